r"""Patterns of `.dockerignore`, as moby's patternmatcher matches paths with them, and those of `COPY`.

It checks them as Go's `filepath.Match` would, and then makes a regular expression of Go's from each. That has quirks
which decide what is in an image: `[a*]` is no class with a star in it, `\d` is any digit, `**foo` matches `xfoo`.
"""

import functools
import re
from collections.abc import Callable, Iterator

_PERL = {"d": "0-9", "s": "\t\n\f\r ", "w": "0-9A-Z_a-z"}
_POSIX = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": "\0-\x7f", "blank": "\t ", "cntrl": "\0-\x1f\x7f", "digit": "0-9",
    "graph": "!-~", "lower": "a-z", "print": " -~", "punct": "!-/:-@[-`{-~", "space": "\t\n\v\f\r ", "upper": "A-Z",
    "word": "0-9A-Z_a-z", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
"""The classes of Go's regular expressions, as characters and ranges in their order."""
_PART = re.compile(r"(?s)(?:\\.?|\[(?:\\.?|[^\\\]])*\]?|[^*\\\[])*")
"""A pattern up to its next `*`, but for one in a class."""
_NAMED_CLASS = re.compile(r"\[:(\^?)(.*?):\]")
_CONTROL = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ASSERTIONS = {"A": r"\A", "b": r"\b", "B": r"\B", "z": r"\Z"}


class BadPatternError(Exception):
    r"""A pattern that docker refuses; or one with an escape of Go's that is not read here, such as `\pL`."""


def check_glob(pattern: str) -> None:
    """Raise BadPatternError for a pattern that moby refuses, as Go's `filepath.Match` cannot compare it with `.`.

    Match reads a pattern in parts, up to the next `*`, and does not read on once a part does not match. So mistakes
    behind the first part are seen only if that matches `.`, and those behind the second never.
    """
    first = _PART.match(pattern.lstrip("*"))
    if first and _part_matches_dot(first[0]):
        second = _PART.match(first.string[first.end() :].lstrip("*"))
        _part_matches_dot(second[0] if second else "")


def _part_matches_dot(part: str) -> bool:
    """Tell whether a part of a pattern matches `.`. Raises BadPatternError if it is malformed."""
    matching: list[bool] = []
    at = 0
    while at < len(part):
        char, escaped = part[at], part[at + 1 : at + 2]
        if char == "[":
            negated, ranges, at = _glob_class(part, at)
            matching.append(any(low <= "." <= high for low, high in ranges) != negated)
        else:
            if char == "\\" and not escaped:
                raise BadPatternError
            matching.append((escaped if char == "\\" else char) == "." or char == "?")
            at += char == "\\"
        at += 1
    return matching == [True]


def glob_matcher(pattern: str) -> Callable[[str], bool]:
    """Return a function that tells whether Go's `filepath.Match` takes a whole path: for it, `**` is no more than `*`.

    Raises BadPatternError for a malformed pattern.
    """
    first, *others = _glob_chunks(pattern)
    # As in Go, what a `*` has taken up to the next place that matches stays taken; the last has to reach the end.
    starred = [f"(?>[^/]*?{chunk})" for chunk in others[:-1]] + [f"[^/]*?{chunk}" for chunk in others[-1:]]
    compiled = re.compile(first + "".join(starred), re.DOTALL)
    return lambda path: compiled.fullmatch(path) is not None


def _glob_chunks(pattern: str) -> list[str]:
    """Return a pattern of `filepath.Match` as regular expressions, taken apart at its `*`."""
    chunks = [""]
    at = 0
    while at < len(pattern):
        char, escaped = pattern[at], pattern[at + 1 : at + 2]
        if char == "*":
            if chunks[-1] or len(chunks) == 1:
                chunks.append("")
        elif char == "[":
            negated, ranges, at = _glob_class(pattern, at)
            members = "".join(f"{re.escape(low)}-{re.escape(high)}" for low, high in ranges if low <= high)
            chunks[-1] += f"[{'^' * negated}{members}]" if members else "." if negated else "(?!)"
        elif char == "\\":
            if not escaped:
                raise BadPatternError
            chunks[-1] += re.escape(escaped)
            at += 1
        else:
            chunks[-1] += "[^/]" if char == "?" else re.escape(char)
        at += 1
    return chunks


def _glob_class(part: str, at: int) -> tuple[bool, list[tuple[str, str]], int]:
    """Return whether a class is negated, its ranges, and where its `]` is.

    at: where its `[` is.
    """
    negated = part[at + 1 : at + 2] == "^"
    begin = at = at + 1 + negated
    ranges: list[tuple[str, str]] = []
    while at == begin or part[at] != "]":
        low, at = _glob_character(part, at)
        high = low
        if part[at] == "-":
            high, at = _glob_character(part, at + 1)
        ranges.append((low, high))
    return negated, ranges, at


def _glob_character(part: str, at: int) -> tuple[str, int]:
    """Return one end of a range in a class, and where the class goes on: it has to, as a `]` is missing yet."""
    if part[at : at + 1] in ("", "-", "]"):
        raise BadPatternError
    at += part[at] == "\\"
    if at + 1 >= len(part):
        raise BadPatternError
    return part[at], at + 1


def path_matcher(pattern: str, *, old: bool) -> Callable[[str], bool]:
    """Return a function that tells whether a whole path matches; it raises BadPatternError if Go cannot compile it.

    old: whether to match as docker commands before 23 do: always by a regular expression, in which `+()` keep the
    meaning that they have there. `{}|` have kept it to this day: what should quote them has a mistake.
    """
    expression, kind = _go_expression(pattern, literal=".$" if old else ".+()$")
    if old or kind == "regexp":
        return lambda path: _compiled(expression).search(path) is not None
    if kind == "prefix":
        return lambda path: path.startswith(pattern[:-2])
    if kind == "suffix":
        return lambda path: path.endswith(pattern[2:]) or f"/{path}" == pattern[2:]
    return lambda path: path == pattern


def _go_expression(pattern: str, *, literal: str) -> tuple[str, str]:
    """Return the regular expression that moby makes of a pattern, and how it matches if that can do without.

    literal: characters that a backslash is put before.
    """
    parts: list[str] = []
    kind = "exact"
    at = 0
    while at < len(pattern):
        start, char = at, pattern[at]
        at += 1
        if char == "*" and pattern[at : at + 1] == "*":
            at += 2 if pattern[at + 1 : at + 2] == "/" else 1
            is_last = at >= len(pattern)
            parts.append(".*" if is_last else "(.*/)?")
            kind = "suffix" if start == 0 else "prefix" if is_last and kind == "exact" else "regexp"
        elif char == "\\":
            # One at the end quotes the `$` that follows.
            parts.append(pattern[start : at + 1])
            kind = "regexp" if at < len(pattern) else kind
            at += 1
        else:
            parts.append({"*": "[^/]*", "?": "[^/]"}.get(char, f"\\{char}" if char in literal else char))
            kind = "regexp" if char in "*?[]" else kind
    return "^" + "".join(parts) + "$", kind


@functools.cache
def _compiled(expression: str) -> re.Pattern[str]:
    """Return Python's form of one of Go's regular expressions. Raises BadPatternError if Go refuses it."""
    try:
        return re.compile("".join(_python_parts(expression)))
    except re.error as error:
        raise BadPatternError from error


def _python_parts(expression: str) -> Iterator[str]:
    at, last = 0, ""
    while at < len(expression):
        char = expression[at]
        escaped = expression[at + 1 : at + 2]
        if char == "[":
            part, at = _class(expression, at + 1)
            yield part
        elif char == "\\" and escaped in _ASSERTIONS:
            yield _ASSERTIONS[escaped]
            at += 2
        elif char == "\\" and escaped.lower() in _PERL:
            yield f"[{_members(_PERL[escaped.lower()], negated=escaped.isupper())}]"
            at += 2
        elif char == "\\":
            literal, at = _character(expression, at)
            yield re.escape(literal)
        elif char in "*+?" and last in ("*", "+", "?"):
            # A repetition repeated is an error in Go, and means something else in Python.
            raise BadPatternError
        else:
            # Go takes `^+`, Python only `(?:^)+`. And Python's `$` also matches before a line feed at the end.
            yield {"^": "(?:^)", "$": r"\Z"}.get(char, char)
            at += 1
        last = char


def _class(expression: str, at: int) -> tuple[str, int]:
    """Return Python's form of a class, and where the expression goes on.

    at: behind the `[`.
    """
    negated = expression[at : at + 1] == "^"
    begin = at = at + negated
    parts: list[str] = []
    while at == begin or expression[at : at + 1] != "]":
        escaped = expression[at + 1 : at + 2] if expression[at : at + 1] == "\\" else ""
        if named := _NAMED_CLASS.match(expression, at):
            if named[2] not in _POSIX:
                raise BadPatternError
            parts.append(_members(_POSIX[named[2]], negated=bool(named[1])))
            at = named.end()
        elif escaped.lower() in _PERL:
            parts.append(_members(_PERL[escaped.lower()], negated=escaped.isupper()))
            at += 2
        else:
            low, at = _character(expression, at)
            high = low
            if expression[at : at + 1] == "-" and expression[at + 1 : at + 2] not in ("", "]"):
                high, at = _character(expression, at + 1)
            if high < low:
                raise BadPatternError
            parts.append(f"{re.escape(low)}-{re.escape(high)}")
    return f"[{'^' * negated}{''.join(parts)}]", at + 1


def _members(ranges: str, *, negated: bool) -> str:
    """Return these characters and ranges as they stand in a class of Python's; if negated, all others."""
    pairs = [(low, high or low) for low, high in re.findall("(?s)(.)(?:-(.))?", ranges)]
    if negated:
        starts = ["\0", *(chr(ord(high) + 1) for _, high in pairs)]
        ends = [*(chr(max(ord(low) - 1, 0)) for low, _ in pairs), "\U0010ffff"]
        pairs = [(low, high) for low, high in zip(starts, ends, strict=True) if low <= high]
    return "".join(f"{re.escape(low)}-{re.escape(high)}" for low, high in pairs)


def _character(expression: str, at: int) -> tuple[str, int]:
    """Return the character that stands here, escaped or not, and where the expression goes on."""
    char, escaped = expression[at : at + 1], expression[at + 1 : at + 2]
    if char and char != "\\":
        return char, at + 1
    if escaped in _CONTROL:
        return _CONTROL[escaped], at + 2
    if not char or not escaped.isascii() or escaped.isalnum() or not escaped:
        raise BadPatternError
    return escaped, at + 2
