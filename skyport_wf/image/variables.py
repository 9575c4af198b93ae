"""Variables of a Dockerfile, and the words that they stand in, as BuildKit's small shell reads them.

Values are by name; None is that of a variable which is declared, and has none.
"""

import platform
import re
from collections.abc import Mapping

from skyport_wf.image_list.platforms import normalize_platform

_NAME = re.compile(r"[A-Za-z_]\w*|[\d@*#?$!-]")
_MODIFIER = re.compile(r":?[-+?]|:?##?|:?%%?|//?")
_DEEPEST = 40
"""Words inside each other, as in `${A:-${B:-c}}`."""
_LONGEST_MODIFIED, _MOST_STARS = 256, 3
"""More than any tag or name has: to look for longer patterns may take for ever."""
_LONGEST_SHOWN = 80
_MACHINES = {"armv7l": "arm/v7", "armv6l": "arm/v6", "i686": "386"}
"""Names that systems have for machines, and images and builders have not."""


def platform_arguments(wanted: str | None) -> dict[str, str]:
    """Return the arguments that BuildKit declares by itself, such as TARGETARCH.

    wanted: the platform that an image is built for, normalized, such as `linux/arm64`; with None, that of this machine.
    """
    machine = platform.machine().lower()
    here = normalize_platform(f"linux/{_MACHINES.get(machine, machine)}")
    values: dict[str, str] = {}
    for prefix, name in (("BUILD", here), ("TARGET", wanted or here)):
        system, architecture, variant, *_ = [*name.split("/"), "", ""]
        values |= {
            f"{prefix}PLATFORM": name,
            f"{prefix}OS": system,
            f"{prefix}ARCH": architecture,
            f"{prefix}VARIANT": variant,
        }
    return values


def expand(text: str, values: Mapping[str, str | None], *, unknown: bool = False) -> str:
    """Put the values of variables in their places: `$NAME`, `${NAME}`, `${NAME:-word}`, `${NAME%pattern}` and so on.

    unknown: whether variables without a value stay as they are; otherwise nothing takes their place.
    """
    return _Word(text, values, keep_unknown=unknown, keep_quotes=True).read("")


def read_word(text: str, values: Mapping[str, str | None]) -> str:
    """Return a word as BuildKit understands it: without its quotes, and with the values of its variables."""
    return _Word(text, values).read("")


def unquote(text: str) -> str:
    """Return a word without its quotes and backslashes; variables stay as they are, `${NAME:-"word"}` as a whole."""
    return _Word(text, {}, keep_variables=True).read("")


def has_open_quote(text: str) -> bool:
    """Tell whether a quote in a text does not end, which docker refuses."""
    word = _Word(text, {})
    word.read("")
    return word.has_open_quote


def unknown_names(text: str, values: Mapping[str, str | None]) -> list[str]:
    """Return the variables in a text that are not declared, and have no word to take their place, each once."""
    word = _Word(text, values)
    word.read("")
    return list(dict.fromkeys(word.unknown))


def bad_substitution(text: str) -> tuple[int, str]:
    """Return where the first `${...}` begins that BuildKit cannot read, and what it is; an empty text if there is none.

    BuildKit knows fewer modifiers than a shell does: no `${A^^}`, `${A[0]}`, `${A:0:3}` or `${A/x}`.
    """
    word = _Word(text, {})
    word.read("")
    return word.bad


class _Word:
    """Goes through a word once; `read` and `variable` call each other where variables are nested."""

    def __init__(
        self,
        text: str,
        values: Mapping[str, str | None],
        *,
        keep_unknown: bool = False,
        keep_quotes: bool = False,
        keep_variables: bool = False,
    ) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.values = values
        self.unknown: list[str] = []
        self.asked_for: tuple[str, ...] = ()
        """The variables in whose `${NAME:+word}` it is."""
        self.has_open_quote = False
        self.bad = (0, "")
        """Where the first substitution begins that cannot be read, and what it is."""
        self.keep_unknown = keep_unknown
        self.keep_quotes = keep_quotes
        self.keep_variables = keep_variables

    def read(self, ends: str) -> str:
        """Return the word up to one of these characters, or to the end of the text."""
        parts: list[str] = []
        quoted = False
        while self.at < len(self.text):
            char, following = self.text[self.at], self.text[self.at + 1 : self.at + 2]
            if char in ends and not quoted:
                break
            if char == "$":
                parts.append(self.variable())
                continue
            self.at += 1
            if self.keep_quotes or char not in "'\"\\" or (quoted and char == "'"):
                parts.append(char)
            elif char == '"':
                quoted = not quoted
            elif char == "'":
                close = self.text.find("'", self.at)
                self.has_open_quote |= close < 0
                close = len(self.text) if close < 0 else close
                parts.append(self.text[self.at : close])
                self.at = close + 1
            else:
                # Between double quotes, a backslash stays where the next character means nothing special.
                stays = quoted and following not in ('"', "$", "\\")
                parts.append(char + following if stays else following)
                self.at += 1
        self.has_open_quote |= quoted
        return "".join(parts)

    def variable(self) -> str:
        """Return the value of the variable that begins here, or what its modifier makes of that."""
        begin = self.at
        braced = self.text.startswith("{", begin + 1)
        match = _NAME.match(self.text, begin + 1 + braced)
        if not match or self.depth > _DEEPEST:
            if braced and not match:
                self.note_bad(begin, begin + 2)
            self.at += 1
            return "$"
        self.at = match.end()
        value = self.values.get(match[0])
        modifier = _MODIFIER.match(self.text, self.at) if braced else None
        how = modifier[0].removeprefix(":") if modifier else ""
        if braced and not modifier and not self.text.startswith("}", self.at):
            self.note_bad(begin, self.at)
        if match[0] not in self.values and match[0] not in self.asked_for and how not in ("-", "+", "?"):
            self.unknown.append(match[0])
        is_kept = self.keep_variables or (self.keep_unknown and match[0] not in self.values)
        if not braced:
            return self.text[begin : self.at] if is_kept else value or ""
        self.at = modifier.end() if modifier else self.at
        self.depth += 1
        # The word behind `+` counts only if the variable is set: `/lib${LIBS:+:$LIBS}` is right without it.
        asked_for = self.asked_for
        self.asked_for += (match[0],) if how == "+" else ()
        # Those of a word inside are never part of the value.
        keep_quotes, self.keep_quotes = self.keep_quotes, False
        word = self.read("/}" if how in ("/", "//") else "}")
        replacement = ""
        if how in ("/", "//"):
            if self.text.startswith("/", self.at):
                self.at += 1
                replacement = self.read("}")
            else:
                self.note_bad(begin, self.at)
        if self.at >= len(self.text):
            self.note_bad(begin, self.at)
        self.keep_quotes, self.asked_for = keep_quotes, asked_for
        self.depth -= 1
        self.at += 1
        if self.keep_variables:
            return self.text[begin : self.at]
        # Only behind a colon, a variable that is set to nothing is like one that is not set.
        is_set = bool(value) if modifier and modifier[0].startswith(":") else value is not None
        if how == "+":
            return word if is_set else ""
        if how == "-" and not is_set:
            return word
        return self.text[begin : self.at] if is_kept else _modified(value or "", how, word, replacement)

    def note_bad(self, begin: int, end: int) -> None:
        """Take note that what begins and ends there is no substitution; of several, the first counts."""
        if not self.bad[1] or begin < self.bad[0]:
            close = self.text.find("}", end) + 1
            shown = self.text[begin : close or len(self.text)].partition("\n")[0]
            self.bad = (begin, shown[:_LONGEST_SHOWN])


def _modified(value: str, how: str, pattern: str, replacement: str) -> str:
    """Return a value without what a pattern matches at its beginning (`#`) or end (`%`), or with something else."""
    if len(value) > _LONGEST_MODIFIED or pattern.count("*") > _MOST_STARS:
        return value
    any_text = ".*" if how in ("##", "%%", "//", "/") else ".*?"
    expression = "".join({"*": any_text, "?": "."}.get(char, re.escape(char)) for char in pattern)
    if how in ("#", "##"):
        return re.sub(f"(?s)\\A{expression}", "", value, count=1)
    if how in ("%", "%%"):
        # The search goes from left to right, so the shortest end has to be looked for from the right.
        starts = range(len(value) + 1) if how == "%%" else range(len(value), -1, -1)
        whole = re.compile(f"(?s){expression}\\Z")
        start = next((start for start in starts if whole.match(value, start)), len(value))
        return value[:start]
    if how in ("/", "//"):
        return re.sub(f"(?s){expression}", lambda _: replacement, value, count=how == "/")
    return value
