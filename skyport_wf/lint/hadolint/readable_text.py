"""A Dockerfile in words that hadolint can read: it takes some for mistakes that docker takes as they are."""

import itertools
import json
import posixpath
import re
from collections import defaultdict
from collections.abc import Callable, Sequence

from skyport_wf.image.instructions import (
    Heredoc,
    Instruction,
    decode_lines,
    json_words,
    raw_words,
    read_options,
    replace_words,
    triggered,
    written_options,
)
from skyport_wf.image.variables import unquote
from skyport_wf.lint.shell.grammar import SHELLS
from skyport_wf.lint.shell.invocations import heredoc_shell, script_heredocs

_REGISTRY = r"(?:[A-Za-z0-9-]+|\[[0-9A-Fa-f:]+\]):\d+|localhost"
_SHORT_REGISTRY = re.compile(rf"(?<![\w.-])(?:{_REGISTRY})(?=/)")
_IS_SHORT = re.compile(_REGISTRY)
_QUOTES = re.compile("[\"']")
_WITH_DEFAULT = re.compile(r"\$\{(\w+):?[-+?][^}]*\}")
_HOST_PORT = re.compile(r"(?<=\s)(?:(?:\d+(?:\.\d+){3}|\[[0-9A-Fa-f:.]+\])?:)?(?:\d+(?:-\d+)?)?:(?=[\d$])")
"""What stands before a port of an image, as in `127.0.0.1:80:8080`."""
_SCTP = re.compile(r"/sctp(?!\S)", re.IGNORECASE)
_BARE_COMMAND = re.compile(r"\b(CMD|ENTRYPOINT)\s*$", re.IGNORECASE)
_NO_CHECK = re.compile(r"\bnone(?=\s*$)", re.IGNORECASE)
_DIRECTIVE = re.compile(r"^\s*#\s*(?:escape|syntax)\s*=", re.IGNORECASE)
_ESCAPED_QUOTE = re.compile(r"\\[\"']")
_FLAGS = frozenset({"ro", "readonly", "rw", "readwrite", "required"})
"""Fields of a mount that are true or false."""
_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "True"), "true"),
    **dict.fromkeys(("0", "f", "F", "FALSE", "False"), "false"),
}
"""As Go's `strconv.ParseBool` takes them, but for the two that hadolint knows."""
_DEVICE = re.compile(r"--device(?:=.*)?")
_DURATION = re.compile(
    r"(--(?:interval|timeout|start-period|start-interval)=)"
    r"[-+]?(?:0|(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h))+)"
)
"""As Go's `time.ParseDuration` takes them."""
_ENOUGH = 2
"""Characters of a folder that it can read."""
_MOST_OPTIONS = 100
"""More than any instruction has."""
_WITH_OPTIONS = frozenset({"FROM", "RUN", "COPY", "ADD", "HEALTHCHECK"})
_TABS = re.compile(r"^\t+")
_ALL = re.compile(".+")
_REPOSITORY = re.compile(r"(?<=[\s\"'])(?:git@|git://|ssh://)(?=[\w.@\[-]+[:/])", re.IGNORECASE)
_NO_SHELL = "pwsh"
"""Under this one, hadolint neither asks ShellCheck nor takes a `|` for a pipe of a shell."""
_DEFAULT_SHELL = 'SHELL ["/bin/sh", "-c"]'
_WITH_PIPEFAIL = frozenset({"bash", "ksh"})
"""Shells with a `pipefail`, which a script sets by itself, that ShellCheck knows."""
_ADD = re.compile(r"^(\s*(?:ONBUILD\s+)?)ADD\b", re.IGNORECASE)


class ReadableText:
    """The text for hadolint. Its lines are those of the file, and blank ones."""

    def __init__(self, content: bytes, instructions: Sequence[Instruction]) -> None:
        self._instructions = list(instructions)
        self._lines = decode_lines(content)
        for index, _ in enumerate(itertools.takewhile(lambda line: line.lstrip().startswith("#"), self._lines)):
            # It knows them in small letters only.
            self._lines[index] = _DIRECTIVE.sub(lambda match: match[0].lower(), self._lines[index])
        for one in map(triggered, instructions):
            self._mend_options(one)
            self._part_lines(one)
            if one.name == "FROM":
                # It takes the port of a registry without a dot in its name for a tag, and the name for a part of Docker
                # Hub.
                self._replace(one.line, one.last_line, _SHORT_REGISTRY, lambda match: known_registry(match[0]))
            elif one.name == "EXPOSE":
                self._replace(one.line, one.last_line, _QUOTES, "")
                self._replace(one.line, one.last_line, _WITH_DEFAULT, r"$\1")
                # It knows ports of the image only, and no other protocols than tcp and udp.
                self._replace(one.line, one.last_line, _HOST_PORT, "")
                self._replace(one.line, one.last_line, _SCTP, "")
            elif one.name in ("CMD", "ENTRYPOINT") and not one.value:
                self._replace(one.line, one.line, _BARE_COMMAND, r"\1 []")
            elif one.name == "HEALTHCHECK" and one.value.upper() == "NONE":
                self._replace(one.line, one.last_line, _NO_CHECK, "NONE")
            elif one.name in ("ENV", "LABEL"):
                self._mend_words(one)
            elif one.name == "WORKDIR" and one.value and len(folder := unquote(one.value)) < _ENOUGH and folder != "/":
                # It looks for a colon in the second place, and crashes where there is none.
                line = one.line_at(0) - 1
                self._lines[line] = f"./{folder}".join(self._lines[line].rsplit(one.value, 1))
            elif one.name == "SHELL":
                self._mend_shell(one)
            elif one.name == "ADD" and one.heredocs:
                # It knows heredocs of RUN and COPY only.
                self._replace(one.line, one.heredocs[0].line - 1, _ADD, r"\1COPY")
            elif one.name == "ADD":
                # It takes a repository that is not named by HTTP for a file.
                self._replace(one.line, one.last_line, _REPOSITORY, "https://")
            if one.heredocs:
                self._mend_heredocs(one, one.heredocs[0].line)

    def lines(self) -> list[tuple[int, str]]:
        """Return the lines, each with the number of the one in the file that it stands for."""
        before: defaultdict[int, list[str]] = defaultdict(list)
        behind: defaultdict[int, list[str]] = defaultdict(list)
        shell = _DEFAULT_SHELL
        for one in self._instructions:
            if one.heredocs:
                # It takes what follows a heredoc for a mistake unless it is blank (hadolint/hadolint#960).
                behind[one.last_line].append("")
            if one.name in ("FROM", "SHELL"):
                shell = self._lines[one.line_at(0) - 1] if one.name == "SHELL" else _DEFAULT_SHELL
            elif one.name == "RUN" and (own := heredoc_shell(one)) in _WITH_PIPEFAIL:
                # It takes the script for one of the shell that other instructions have.
                before[one.line].append(f'SHELL ["/bin/{own}", "-o", "pipefail", "-c"]')
                behind[one.last_line].append(shell)
        return [
            (number, text)
            for number, line in enumerate(self._lines, 1)
            for text in (*before[number], line, *behind[number])
        ]

    def take_out(self, line: int) -> bool:
        """Put something without meaning in the place of the instruction on a line; False if there is none."""
        found = next((one for one in self._instructions if one.line <= line <= one.last_line), None)
        if found is None:
            return False
        self._instructions.remove(found)
        self._lines[found.line - 1 : found.last_line] = [""] * (found.last_line - found.line + 1)
        if found.name == "FROM":
            # Without it, what follows would belong to the stage before.
            name = re.search(r"\sAS\s+(\S+)$", found.value, re.IGNORECASE)
            self._lines[found.line - 1] = f"FROM scratch AS {name[1]}" if name else "FROM scratch"
        return True

    def _mend_heredocs(self, one: Instruction, first: int) -> None:
        """Write the heredocs of an instruction, whose texts begin on line `first`, in a form that hadolint knows."""
        # It knows one heredoc of a RUN, and takes it for a script where the command stands behind it. What programs
        # read is none, as are several.
        if one.name == "RUN":
            are_files, file = len(one.heredocs) > 1 or not script_heredocs(one), "</dev/null"
        else:
            # It looks for a heredoc in the place of the first source only, and the others are as good.
            sources_and_target = raw_words(one.value[read_options(one.value)[1] :])
            are_files, file = len(sources_and_target) - 1 > len(one.heredocs), ""
        words = {word.mark + word.written: file if are_files else _quoted(word) for word in one.heredocs}
        for index in range(one.line - 1, first - 1):
            self._lines[index] = replace_words(self._lines[index], words)
        if are_files:
            self._replace(first, one.last_line, _ALL, "")
        elif any(heredoc.mark.endswith("-") for heredoc in one.heredocs):
            # It looks for the end of a heredoc at the very beginning of a line (hadolint/hadolint#1051).
            self._replace(first, one.last_line, _TABS, "")

    def _mend_options(self, one: Instruction) -> None:
        options = written_options(one.value) if one.name in _WITH_OPTIONS else ()
        for start, written in itertools.islice(options, _MOST_OPTIONS):
            option = unquote(written)
            # It takes an option that it does not know for the command, and keeps quotes.
            plain = "" if one.name == "RUN" and _DEVICE.fullmatch(option) else re.sub(r"\s", "_", option)
            if one.name == "RUN" and option.startswith("--mount="):
                plain = "--mount=" + ",".join(map(_plain_field, plain.removeprefix("--mount=").split(",")))
            if one.name == "HEALTHCHECK" and (duration := _DURATION.fullmatch(option)):
                # It knows one whole number of hours, minutes or seconds.
                plain = f"{duration[1]}1s"
            line = one.line_at(start) - 1
            self._lines[line] = self._lines[line].replace(written, plain, 1)

    def _part_lines(self, one: Instruction) -> None:
        """Put a blank before the end of a line where the next one begins with one: otherwise it misses a word's end."""
        pieces = one.pieces if one.name in ("FROM", "COPY", "ADD") else ()
        for (_, number), (_, following) in itertools.pairwise(pieces):
            if self._lines[following - 1][:1].isspace():
                line = self._lines[number - 1].rstrip()
                self._lines[number - 1] = f"{line[:-1]} {line[-1:]}"

    def _mend_words(self, one: Instruction) -> None:
        """Put words without escaped quotes, at which it loses its way, in the places of those that have some."""
        words = {
            word: f"{'x' if _ESCAPED_QUOTE.search(name) else name}=x"
            for word in raw_words(one.value)
            if _ESCAPED_QUOTE.search(word)
            for name, equals, _ in [word.partition("=")]
            if equals
        }
        for index in range(one.line - 1, one.last_line) if words else ():
            self._lines[index] = replace_words(self._lines[index], words)

    def _mend_shell(self, one: Instruction) -> None:
        words = json_words(one.value)
        if not words:
            return
        # It knows shells in /bin only, and gives ShellCheck these words as the first line of a script: that takes
        # `conda run -n x bash -c` and `python3 -c` for mistakes.
        at = next((at for at in reversed(range(len(words))) if posixpath.basename(words[at]) in SHELLS), None)
        known = [_NO_SHELL] if at is None else [f"/bin/{posixpath.basename(words[at])}", *words[at + 1 :]]
        first = one.line_at(0)
        before, _, _ = self._lines[first - 1].partition("[")
        self._lines[first - 1 : one.last_line] = [before + json.dumps(known), *[""] * (one.last_line - first)]

    def _replace(self, first: int, last: int, what: re.Pattern[str], by: str | Callable[[re.Match[str]], str]) -> None:
        for index in range(first - 1, last):
            self._lines[index] = what.sub(by, self._lines[index])


def known_registry(name: str) -> str:
    """Return a registry's name as hadolint is told of it: one with a dot in it."""
    if not _IS_SHORT.fullmatch(name):
        return name
    # What is an address of IPv6 has a port behind it.
    host, colon, port = name.rpartition(":") if ":" in name else (name, "", "")
    plain = re.sub("[^A-Za-z0-9-]", "-", host).strip("-")
    return f"{plain}.{'ipv6' if '[' in host else 'short'}.invalid{colon}{port}"


def _plain_field(field: str) -> str:
    """Return a field of a mount in the words that hadolint knows."""
    key, equals, value = field.partition("=")
    key = key.lower()
    if key in _FLAGS:
        value = _BOOLEANS.get(value, value)
    elif key == "sharing" and "$" in value:
        value = "shared"
    return f"{key}{equals}{value}"


def _quoted(heredoc: Heredoc) -> str:
    """Return the word that announces a heredoc; with quotes around the name if there is more to take off than those."""
    if heredoc.name in (heredoc.written, heredoc.written[1:-1]):
        return heredoc.mark + heredoc.written
    quote = "'" if '"' in heredoc.name else '"'
    return f"{heredoc.mark}{quote}{heredoc.name}{quote}"
