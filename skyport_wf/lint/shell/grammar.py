"""Shell scripts as commands and words: enough of a shell's grammar to see which programs are called with what.

Pipes, lists, subshells, quotes, here-documents, redirections, and command and process substitutions are told apart.
What a variable holds, and whether a branch is taken, is not known. Nothing is an error: lint has to read what a shell
would refuse, too. shlex knows nothing of substitutions and lines, and ends at an unbalanced quote.
"""

import re
from collections.abc import Callable, Iterator

import msgspec

_DEEPEST = 40
"""Substitutions inside each other; what is deeper is not looked into."""
_PLAIN = re.compile(r"[^\s\\'\"$`;&|()<>]+")
_PLAIN_QUOTED = re.compile(r'[^"\\$`]+')
_REDIRECTION = re.compile(r"<<<|<<-?|&>>?|[<>]&|>\||<>|>>|[<>]")
_FLAGS_WITH_SCRIPT = re.compile(r"-[a-z]*c")
SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh", "busybox", "$SHELL", "${SHELL}"})
SUBSTITUTED = "$(...)"
"""Stands in a word's text for a command substitution."""


class Word(msgspec.Struct, frozen=True):
    """A word of a command."""

    text: str
    """Without quotes; variables as they are written."""
    nested: tuple["Pipeline", ...] = ()
    """Runs inside it: `$(...)`, backticks, `<(...)`."""
    redirection: str = ""
    """The operator before it, such as `<<<`, if it is no argument; kept for what is nested only."""


class Command(msgspec.Struct, frozen=True):
    """A simple command; or a subshell, which has no words."""

    words: tuple[Word, ...]
    line: int
    group: tuple["Pipeline", ...] = ()
    """Runs in the subshell."""
    writes: tuple[str, ...] = ()
    """Files that its output is sent to: `>x`, `2>>y`."""


class Pipeline(msgspec.Struct, frozen=True):
    """Commands of which each reads what the one before it prints; mostly one."""

    commands: tuple[Command, ...]


def scan_shell(text: str, line_at: Callable[[int], int]) -> tuple[Pipeline, ...]:
    """Return what the script runs, in its order.

    line_at: gives the line on which an offset in `text` stands.
    """
    return _Scanner(text, line_at).script("")


def every_pipeline(pipelines: tuple[Pipeline, ...], *, depth: int = 0) -> Iterator[Pipeline]:
    """Yield these, and what runs inside them: in subshells, substitutions and the strings of `sh -c`."""
    for pipeline in pipelines:
        yield pipeline
        for command in pipeline.commands if depth < _DEEPEST else ():
            for nested in (command.group, *(word.nested for word in command.words), _script_in(command)):
                yield from every_pipeline(nested, depth=depth + 1)


def _script_in(command: Command) -> tuple[Pipeline, ...]:
    """Return what the string runs that a shell is given with `-c`."""
    texts = [word.text for word in command.words]
    if not any(text.rpartition("/")[2] in SHELLS for text in texts):
        return ()
    flag = next((index for index, text in enumerate(texts) if _FLAGS_WITH_SCRIPT.fullmatch(text)), len(texts))
    return scan_shell(texts[flag + 1], lambda _: command.line) if flag + 1 < len(texts) else ()


class _Scanner:
    """Goes through the text once; `script` and `word` call each other where substitutions are nested."""

    def __init__(self, text: str, line_at: Callable[[int], int]) -> None:
        self.text = text
        self.at = 0
        self.line_at = line_at
        self.ends: list[str] = []
        self.here_documents: list[tuple[str, bool]] = []

    def script(self, end: str) -> tuple[Pipeline, ...]:
        """Return what runs up to the character `end`, or to the end of the text."""
        made = _Script(self.line_at)
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == end:
                break
            if char in " \t\r":
                self.at += 1
            elif self.sees("\\\n", "||", "&&"):
                if char != "\\":
                    made.end_pipeline()
                self.at += 2
            elif char == "#":
                self.at = self.find("\n", self.at)
            elif char == "|":
                self.at += 2 if self.sees("|&") else 1
                made.end_command()
            elif (char in "<>" and not self.sees("<(", ">(")) or self.sees("&>"):
                self.redirection(made)
            elif char in ";&\n)":
                # A `)` that nothing opened ends a pattern of `case`; what follows is a command.
                self.at += 1
                made.end_pipeline()
                if char == "\n":
                    self.skip_here_documents()
            elif char == "(":
                begin = self.at
                made.add_group(begin, self.nested(1, ")"))
            else:
                made.add_word(self.at, self.word())
                made.word_ended = self.at
        return made.finish()

    def sees(self, *texts: str) -> bool:
        return self.text.startswith(texts, self.at)

    def find(self, text: str, start: int) -> int:
        """Return where `text` is next, or the end."""
        found = self.text.find(text, start)
        return len(self.text) if found < 0 else found

    def nested(self, opening: int, end: str) -> tuple[Pipeline, ...]:
        """Return what runs behind the next `opening` characters, up to `end`, and go on behind that."""
        self.at += opening
        if len(self.ends) >= _DEEPEST:
            # Recursion would end Python, and looking for the end without it would be quadratic: nothing more is read.
            self.at = len(self.text)
            return ()
        self.ends.append(end)
        inside = self.script(end)
        self.ends.pop()
        self.at += 1
        return inside

    def word(self) -> Word:
        parts: list[str] = []
        inside: list[Pipeline] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            if char in " \t\r\n;&|)(" or (self.ends and char == self.ends[-1]):
                break
            if char in "<>":
                if not self.sees("<(", ">("):
                    break
                inside += self.nested(2, ")")
                parts.append(SUBSTITUTED)
            elif char == "\\":
                parts.append("" if self.sees("\\\n") else self.text[self.at + 1 : self.at + 2])
                self.at += 2
            elif char == "'":
                close = self.find("'", self.at + 1)
                parts.append(self.text[self.at + 1 : close])
                self.at = close + 1
            elif char == '"':
                self.quoted(parts, inside)
            elif char in "$`":
                self.substitution(parts, inside)
            elif match := _PLAIN.match(self.text, self.at):
                parts.append(match[0])
                self.at = match.end()
            else:  # white space that is none to a shell
                parts.append(char)
                self.at += 1
        return Word("".join(parts), tuple(inside))

    def quoted(self, parts: list[str], inside: list[Pipeline]) -> None:
        self.at += 1
        while self.at < len(self.text) and self.text[self.at] != '"':
            char = self.text[self.at]
            if char == "\\":
                pair = self.text[self.at : self.at + 2]
                parts.append("" if pair == "\\\n" else pair[1:] if pair[1:] in tuple('"\\$`') else pair)
                self.at += 2
            elif char in "$`":
                self.substitution(parts, inside)
            elif match := _PLAIN_QUOTED.match(self.text, self.at):
                parts.append(match[0])
                self.at = match.end()
        self.at += 1

    def substitution(self, parts: list[str], inside: list[Pipeline]) -> None:
        begin = self.at
        if self.sees("$(("):
            # Arithmetic runs nothing; `<<` in it is no here-document.
            self.at = self.find("))", self.at) + 2
        elif self.sees("${"):
            self.at = self.find("}", self.at) + 1
        elif self.sees("$(") or (self.sees("`") and (not self.ends or self.ends[-1] != "`")):
            opening, end = (2, ")") if self.sees("$") else (1, "`")
            inside += self.nested(opening, end)
            parts.append(SUBSTITUTED)
            return
        else:
            self.at += 1
        parts.append(self.text[begin : self.at])

    def redirection(self, made: "_Script") -> None:
        """Pass over a redirection; what a process substitution runs stays, as a word."""
        made.drop_descriptor(self.at)
        match = _REDIRECTION.match(self.text, self.at)
        self.at = match.end() if match else self.at + 1
        while self.at < len(self.text) and self.text[self.at] in " \t":
            self.at += 1
        begin = self.at
        target = self.word()
        operator = match[0] if match else ""
        if target.nested:
            made.add_word(begin, msgspec.structs.replace(target, redirection=operator))
        elif operator in ("<<", "<<-"):
            self.here_documents.append((target.text, operator == "<<-"))
        elif ">" in operator and not (operator == ">&" and target.text.isdigit()):
            made.add_write(begin, target.text)

    def skip_here_documents(self) -> None:
        # Several that one line announces stand below one another.
        for name, tabs in self.here_documents:
            while self.at < len(self.text):
                end = self.find("\n", self.at)
                line = self.text[self.at : end].removesuffix("\r")
                self.at = end + 1
                if (line.lstrip("\t") if tabs else line) == name:
                    break
        self.here_documents.clear()


class _Script:
    """The pipelines of a script while they are read."""

    def __init__(self, line_at: Callable[[int], int]) -> None:
        self._line_at = line_at
        self._pipelines: list[Pipeline] = []
        self._commands: list[Command] = []
        self._words: list[Word] = []
        self._writes: list[str] = []
        self._begin = 0
        self.word_ended = -1

    def add_word(self, begin: int, word: Word) -> None:
        if not self._words:
            self._begin = begin
        self._words.append(word)

    def add_write(self, begin: int, file: str) -> None:
        if self._words:
            self._writes.append(file)
        elif self._commands and self._commands[-1].group:
            group = self._commands.pop()
            self._commands.append(msgspec.structs.replace(group, writes=(*group.writes, file)))
        else:
            # A redirection may stand before its command, or alone.
            self._begin = begin
            self._writes.append(file)

    def add_group(self, begin: int, group: tuple[Pipeline, ...]) -> None:
        self.end_command()
        self._commands.append(Command((), self._line_at(begin), group))

    def drop_descriptor(self, at: int) -> None:
        """Forget a last word that is the number of a redirection that begins at `at`: `2>file`."""
        if self._words and self.word_ended == at and self._words[-1].text.isdigit():
            self._words.pop()

    def end_command(self) -> None:
        if self._words or self._writes:
            writes = tuple(self._writes)
            self._commands.append(Command(tuple(self._words), self._line_at(self._begin), writes=writes))
            self._words.clear()
            self._writes.clear()

    def end_pipeline(self) -> None:
        self.end_command()
        if self._commands:
            self._pipelines.append(Pipeline(tuple(self._commands)))
            self._commands.clear()

    def finish(self) -> tuple[Pipeline, ...]:
        self.end_pipeline()
        return tuple(self._pipelines)
