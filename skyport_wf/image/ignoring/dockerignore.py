"""`.dockerignore` as docker reads it: which files are no part of a build context.

Docker 23 came with another pattern matcher, and walks folders in another way. Both ways are here, since an image holds
what the docker command of its machine sends. Tests compare them with BuildKit itself, on random files.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

import msgspec

from skyport_wf.errors import SkyportError
from skyport_wf.image.ignoring.go_patterns import BadPatternError, check_glob, path_matcher

_LONGEST_LINE = 65535
"""Bytes of a line that docker still reads."""
_GO_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f"
    "\u205f\u3000"
)
"""White space to Go; Python has four control characters more."""
_TRAILING_GLOB = re.compile(r"(?:/\*)?(?:/\*\*)?\Z")
_WILDCARD = re.compile(r"[*?\[\]^\\]")
_OLD_MEANING = re.compile(r"[+(){}|^]|^\*\*[^/]")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_SPECIAL = re.compile(r"(?=[*?\[\]\\+(){}|^]|^[#!])")


class IgnorePattern(msgspec.Struct, frozen=True):
    """A line of a `.dockerignore`."""

    text: str
    """The pattern as docker compares it: without `!` and a `/` at its ends, `..` and `.` resolved."""
    is_exception: bool
    """True for a line with `!`: what it matches stays."""
    place: str
    """The file and the line, for messages."""


def parse_dockerignore(content: bytes, name: str) -> list[IgnorePattern]:
    """Return the patterns of a `.dockerignore` in their order. Raises SkyportError for what docker refuses.

    name: what messages call it.
    """
    patterns = []
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        place = f"{name}, line {number}"
        if len(line) > _LONGEST_LINE:
            raise SkyportError(f"{place} is longer than {_LONGEST_LINE} bytes: docker reads no such line.")
        text = line.decode(errors="replace")
        # A `#` is looked for before white space goes, so ` #x` is the name of a file.
        if text.startswith("#") or not (text := text.strip(_GO_SPACE)):
            continue
        is_exception = text.startswith("!")
        text = _clean(text[is_exception:].strip(_GO_SPACE))
        text = text.removeprefix("/") if text != "/" else text
        # docker reads what it got here a second time: `/ x` has lost its `/` by now, and loses its space.
        text = _clean(("!" * is_exception + text).strip(_GO_SPACE))
        if not text:
            continue
        is_exception = text.startswith("!")
        pattern = IgnorePattern(text[is_exception:], is_exception, place)
        try:
            check_glob(pattern.text)
        except BadPatternError:
            raise _refused(pattern) from None
        # The docker command sends patterns in headers, which hold no control characters but tabs. Newer ones take them
        # where another pattern is not ASCII, as they encode all of them then; older ones do not.
        if not pattern.text or _CONTROL.search(pattern.text):
            raise _refused(pattern)
        patterns.append(pattern)
    return patterns


def quote(path: str) -> str:
    """Return a line of `.dockerignore` that matches this path; a `?` stands for white space and control characters."""
    return re.sub(r"[\s\x00-\x1f\x7f]", "?", _SPECIAL.sub(r"\\", path))


def have_an_old_meaning(patterns: Sequence[IgnorePattern]) -> bool:
    """Tell whether docker commands before 23 may read these patterns differently."""
    return any(pattern.is_exception or _OLD_MEANING.search(pattern.text) for pattern in patterns)


class IgnoreRules:
    """The patterns of a `.dockerignore`: the last one that matches decides."""

    def __init__(self, patterns: Sequence[IgnorePattern], *, old: bool = False) -> None:
        """Prepare to match.

        old: whether to read them as docker commands before 23 do.
        """
        self.old = old
        self._rules = [(pattern, path_matcher(pattern.text, old=old)) for pattern in patterns]
        exceptions = [pattern.text for pattern in patterns if pattern.is_exception]
        bare = exceptions if old else [_TRAILING_GLOB.sub("", text) for text in exceptions]
        self._exceptions = tuple(f"{text}/" for text in bare)
        self._kept_anywhere = not old and any(map(_WILDCARD.search, bare))

    def ignores(self, path: str, above: Sequence[bool]) -> tuple[bool, list[bool]]:
        """Return whether a path is ignored, and which of the patterns match it or a folder that it is in.

        path: below the root of the context, with `/`.
        above: which patterns match the folder that it is in; empty for what is at the top.
        Raises SkyportError for a pattern that docker refuses once it is needed.
        """
        ignored = False
        matching = []
        for at, (pattern, matches) in enumerate(self._rules):
            found = bool(above) and above[at]
            try:
                if self.old:
                    # Of the folders above, only the one at the pattern's own depth counts.
                    depth = pattern.text.count("/") + 1
                    folders = path.split("/")[:-1]
                    found = matches(path) or (len(folders) >= depth and matches("/".join(folders[:depth])))
                elif not found and pattern.is_exception == ignored:
                    # A pattern that would change nothing is not asked. docker counts it as one that does not match
                    # for what is below, too, even where it does.
                    found = matches(path)
            except BadPatternError as error:
                raise _refused(pattern) from error
            matching.append(found)
            ignored = (not pattern.is_exception) if found else ignored
        return ignored, matching

    def keeps_below(self, folder: str) -> bool:
        """Tell whether docker looks into a folder that is ignored, for what an exception keeps."""
        return self._kept_anywhere or any(text.startswith(f"{folder}/") for text in self._exceptions)


def _clean(path: str) -> str:
    """Return the path as Go's `filepath.Clean` writes it; of nothing, nothing."""
    return re.sub("^//", "/", posixpath.normpath(path)) if path else ""


def _refused(pattern: IgnorePattern) -> SkyportError:
    text = "!" * pattern.is_exception + pattern.text
    return SkyportError(
        f"{pattern.place}: docker refuses the pattern {text!r}. Mend it, or quote what is special in it by \\."
    )
