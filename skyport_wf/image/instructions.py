"""The instructions of a Dockerfile, each with the lines that it stands on.

Read as BuildKit's parser reads them: what a heredoc holds decides where the next instruction begins, so bodies,
continued lines and comments have to be told apart in one pass. What the instructions do only the engine decides.
"""

import bisect
import re
from collections.abc import Iterator, Sequence

import msgspec

_DIRECTIVE = re.compile(r"#\s*(?P<name>[A-Za-z][A-Za-z0-9]*)\s*=\s*(?P<value>\S.*?)\s*$")
_WORD = re.compile(r"""(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|[^\s'"\\])+""", re.DOTALL)
_HEREDOC = re.compile(r"""\d*<<(?P<tabs>-?)(?P<name>(?:\w|['"])[^\s<>|;&()]*)$""")
"""A word of its own, so that `$((1<<3))` and bash's `<<<word` are none."""
_MAY_HAVE_HEREDOC = frozenset({"RUN", "COPY", "ADD"})


class Heredoc(msgspec.Struct, frozen=True):
    """Text that stands below an instruction, up to a line that ends it."""

    name: str
    text: str
    line: int
    """The line that the text begins on."""


class Instruction(msgspec.Struct, frozen=True):
    """One instruction, its continued lines joined."""

    name: str
    """In capitals."""
    value: str
    """What stands behind the name, as the builder sees it: without comments and the ends of continued lines."""
    line: int
    """The line that it begins on, counted from 1."""
    last_line: int
    """The line that it ends on, with its heredocs."""
    pieces: tuple[tuple[int, int], ...] = ()
    """Where in the value each of its lines begins: offset and line."""
    heredocs: tuple[Heredoc, ...] = ()

    def line_at(self, offset: int) -> int:
        """Return the line that this offset in the value stands on."""
        place = bisect.bisect_right(self.pieces, (offset, self.last_line)) - 1
        return self.pieces[place][1] if place >= 0 else self.line


def decode_lines(content: bytes) -> list[str]:
    """Return the lines of a Dockerfile, without their ends; bytes that are not UTF-8 are replaced."""
    return [line.removesuffix("\r") for line in content.decode("utf-8-sig", errors="replace").split("\n")]


def read_instructions(content: bytes) -> list[Instruction]:
    """Return the instructions of the Dockerfile `content`; whatever is in it, nothing is an error."""
    return list(_Reader(decode_lines(content)).instructions())


class _Reader:
    """Goes through the lines once."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._at = 0
        escape = re.escape(_escape_of(lines))
        self._continued = re.compile(rf"(?<!{escape}){escape}[ \t]*$")

    def instructions(self) -> Iterator[Instruction]:
        while self._at < len(self._lines):
            if _is_content(self._lines[self._at]):
                yield self._instruction()
            else:
                self._at += 1

    def _instruction(self) -> Instruction:
        line = self._at + 1
        text, pieces = self._join_lines()
        name, value, start = _split(text)
        heredocs = tuple(self._heredocs(value)) if _takes_heredocs(name, value) else ()
        shifted = tuple((max(offset - start, 0), number) for offset, number in pieces)
        return Instruction(name, value, line, self._at, shifted, heredocs)

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
                continue
            end = self._continued.search(line)
            continued = end is not None
            part = line[: end.start()] if end else line
            pieces.append((size, self._at))
            parts.append(part)
            size += len(part)
        return "".join(parts), pieces

    def _heredocs(self, value: str) -> Iterator[Heredoc]:
        if "<<" not in value:
            return
        for word in _WORD.finditer(value):
            if match := _HEREDOC.match(word[0]):
                yield self._heredoc(re.sub(r"""['"\\]""", "", match["name"]), tabs=bool(match["tabs"]))

    def _heredoc(self, name: str, *, tabs: bool) -> Heredoc:
        first = self._at
        body: list[str] = []
        while self._at < len(self._lines):
            line = self._lines[self._at].lstrip("\t") if tabs else self._lines[self._at]
            self._at += 1
            if line == name:
                break
            body.append(line)
        return Heredoc(name, "\n".join(body), first + 1)


def _escape_of(lines: Sequence[str]) -> str:
    """Return the character that continues lines; a directive at the very top may change it."""
    for line in lines:
        directive = _DIRECTIVE.match(line.strip())
        if not directive:
            break
        if directive["name"].lower() == "escape" and directive["value"] in ("`", "\\"):
            return directive["value"]
    return "\\"


def _is_content(line: str) -> bool:
    stripped = line.lstrip()
    return bool(stripped) and not stripped.startswith("#")


def _split(text: str) -> tuple[str, str, int]:
    """Return the instruction's name in capitals, the rest, and where the rest begins."""
    words = text.split(None, 1)
    if len(words) < 2:
        return "".join(words).upper(), "", len(text)
    return words[0].upper(), words[1].rstrip(), len(text) - len(words[1])


def _takes_heredocs(name: str, value: str) -> bool:
    if name == "ONBUILD":
        name = (value.split(None, 1) or [""])[0].upper()
    return name in _MAY_HAVE_HEREDOC
