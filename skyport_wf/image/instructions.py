"""The instructions of a Dockerfile, each with the lines that it stands on.

Read as BuildKit's parser reads them: what a heredoc holds decides where the next instruction begins, so bodies,
continued lines and comments have to be told apart in one pass. What the instructions do only the engine decides.
"""

import bisect
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from skyport_wf.image.variables import unquote

_DIRECTIVE = re.compile(r"#\s*(?P<name>[A-Za-z][A-Za-z0-9]*)\s*=\s*(?P<value>\S.*?)\s*$")
_DIRECTIVES = frozenset({"syntax", "escape", "check"})
ESCAPES = frozenset({"\\", "`"})
"""The values that the directive `escape` can have."""
_WORD = re.compile(r"""(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|[^\s'"\\])+""", re.DOTALL)
_HEREDOC = re.compile(r"(?P<mark>[0-9]*<<(?P<tabs>-?))(?P<name>[^<]*)")
"""A word of its own, so that `$((1<<3))` and bash's `<<<word` are none."""
_WITH_HEREDOCS = frozenset({"RUN", "COPY", "ADD"})
_OPTION = re.compile(r"""\s*(?P<text>--(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|[^\s'"\\])+)(?=\s|$)""")


class Heredoc(msgspec.Struct, frozen=True):
    """Text that stands below an instruction, up to a line that ends it."""

    mark: str
    """What stands before the name in the word that announces it: `<<` or `<<-`, perhaps behind a number."""
    written: str
    """The name as it stands in that word, with quotes and backslashes."""
    name: str
    text: str
    """As the builder keeps it, carriage returns at the ends of lines included."""
    line: int
    """The line that the text begins on."""


class Instruction(msgspec.Struct, frozen=True):
    """One instruction, its continued lines joined."""

    name: str
    """In capitals."""
    value: str
    """The text behind the name, as the builder sees it: without comments and the ends of continued lines."""
    line: int
    """The line that it begins on, counted from 1."""
    last_line: int
    """The line that it ends on, with its heredocs."""
    pieces: tuple[tuple[int, int], ...] = ()
    """For each of its lines, the offset in the value at which it begins, and its number."""
    heredocs: tuple[Heredoc, ...] = ()

    def line_at(self, offset: int) -> int:
        """Return the line that this offset in the value stands on."""
        place = bisect.bisect_right(self.pieces, (offset, self.last_line)) - 1
        return self.pieces[place][1] if place >= 0 else self.line


def decode_lines(content: bytes) -> list[str]:
    """Return the lines of a Dockerfile, without their ends; bytes that are not UTF-8 are replaced."""
    return [line.removesuffix("\r") for line in _decode(content)]


def _decode(content: bytes) -> list[str]:
    return content.decode("utf-8-sig", errors="replace").split("\n")


def read_instructions(content: bytes) -> list[Instruction]:
    """Return the instructions of the Dockerfile `content`; whatever is in it, nothing is an error."""
    return list(_Reader(_decode(content)).instructions())


def read_directives(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield name and value of each directive, one a line: they stand at the very top.

    Any other line ends them, a blank one or `# NAME=value` of an unknown name included.
    """
    for line in lines:
        match = _DIRECTIVE.match(line.strip())
        if not match or match["name"].lower() not in _DIRECTIVES:
            return
        yield match["name"].lower(), match["value"]


def read_options(value: str) -> tuple[dict[int, str], int]:
    """Return the options that an instruction's value begins with, such as `--from=base`, and where they end.

    The options are without their quotes, by the offsets at which they stand.
    """
    options: dict[int, str] = {}
    end = 0
    for start, written in written_options(value):
        options[start] = unquote(written)
        end = start + len(written)
    return options, len(value) - len(value[end:].lstrip())


def written_options(value: str) -> Iterator[tuple[int, str]]:
    """Yield the options that an instruction's value begins with, with their quotes, and where each stands."""
    end = 0
    while match := _OPTION.match(value, end):
        yield match.start("text"), match["text"]
        end = match.end()


def triggered(instruction: Instruction) -> Instruction:
    """Return the instruction that an `ONBUILD` makes others do; any other as it is."""
    if instruction.name != "ONBUILD":
        return instruction
    name, value, *_ = [*instruction.value.split(None, 1), "", ""]
    pieces = _shifted(instruction.pieces, len(instruction.value) - len(value))
    return msgspec.structs.replace(instruction, name=name.upper(), value=value, pieces=pieces)


def raw_words(text: str) -> list[str]:
    """Return the words of an instruction such as `ARG`, as they are written."""
    return [match[0] for match in _WORD.finditer(text)]


def replace_words(text: str, others: Mapping[str, str]) -> str:
    """Return the text with other words in the places of those that have one, as they are written."""
    return _WORD.sub(lambda word: others.get(word[0], word[0]), text)


def json_words(text: str) -> list[str] | None:
    """Return the words of the form `["a", "b"]`, None if the text is something else: a builder reads plain words."""
    if not text.startswith("["):
        return None
    try:
        words = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else None


class _Reader:
    """Goes through the lines once."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._with_ends = lines
        self._lines = lines = [line.removesuffix("\r") for line in lines]
        self._at = 0
        escapes = (value for name, value in read_directives(lines) if name == "escape" and value in ESCAPES)
        escape = re.escape(next(escapes, "\\"))
        self._continued = re.compile(rf"(?<!{escape}){escape}[ \t]*$")

    def instructions(self) -> Iterator[Instruction]:
        while self._at < len(self._lines):
            if not _is_content(self._lines[self._at]):
                self._at += 1
                continue
            line = self._at + 1
            text, pieces = self._join_lines()
            name, value, *_ = [*text.split(None, 1), "", ""]
            start = len(text) - len(value)
            triggered = value.split(None, 1)[:1] if name.upper() == "ONBUILD" else [name]
            may_have_heredocs = bool(_WITH_HEREDOCS.intersection(map(str.upper, triggered)))
            heredocs = tuple(self._heredocs(value)) if may_have_heredocs and "<<" in value else ()
            yield Instruction(name.upper(), value.rstrip(), line, self._at, _shifted(pieces, start), heredocs)

    def _join_lines(self) -> tuple[str, list[tuple[int, int]]]:
        """Return the text of the instruction that begins here, and where each of its lines begins in it."""
        parts: list[str] = []
        pieces: list[tuple[int, int]] = []
        size = 0
        continued = True
        while continued and self._at < len(self._lines):
            line = self._lines[self._at]
            self._at += 1
            if parts and not _is_content(line):
                # Comments and blank lines inside an instruction are passed over, and do not end it.
                continue
            end = self._continued.search(line)
            continued = end is not None
            part = line[: end.start()] if end else line
            pieces.append((size, self._at))
            parts.append(part)
            size += len(part)
        return "".join(parts), pieces

    def _heredocs(self, value: str) -> Iterator[Heredoc]:
        for word in _WORD.finditer(value):
            match = _HEREDOC.fullmatch(word[0])
            name = unquote(match["name"]) if match else ""
            if not match or not name:
                continue
            first = self._at
            body: list[str] = []
            while self._at < len(self._lines):
                line = self._with_ends[self._at]
                line = line.lstrip("\t") if match["tabs"] else line
                self._at += 1
                if line.removesuffix("\r") == name:
                    break
                body.append(line)
            yield Heredoc(match["mark"], match["name"], name, "\n".join(body), first + 1)


def _shifted(pieces: Iterable[tuple[int, int]], start: int) -> tuple[tuple[int, int], ...]:
    """Return the offsets of lines as they are in a text that begins at `start`."""
    return tuple((max(offset - start, 0), number) for offset, number in pieces)


def _is_content(line: str) -> bool:
    stripped = line.lstrip()
    return bool(stripped) and not stripped.startswith("#")
