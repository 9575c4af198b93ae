"""The order of conda's versions. They look like Python's, and are not: `1.0.2k` is one, and 1.0.2 comes after it.

Source: conda's documentation, "Version ordering".
"""

from __future__ import annotations

import re
from itertools import zip_longest

_VERSION = re.compile(r"(?:(\d{1,18})!)?([0-9a-z._-]+)(?:\+([0-9a-z._-]+))?")
_RUN = re.compile(r"\d+|\D+")
_DEV, _WORD, _NUMBER, _POST = range(4)
"""What a run of letters or digits is, in the order in which versions have them."""
_ZERO = (_NUMBER, 0, "")
"""What a version is taken to have where another one has more."""

_Run = tuple[int, int, str]


def compare_conda(one: str, other: str) -> int:
    """Return less than 0 if `one` is older than `other`, 0 if they are equal, more than 0 if it is newer.

    Raises ValueError for what conda takes for no version.
    """
    for mine, theirs in zip(_read(one), _read(other), strict=True):
        for my_part, their_part in zip_longest(mine, theirs, fillvalue=[_ZERO]):
            for my_run, their_run in zip_longest(my_part, their_part, fillvalue=_ZERO):
                if my_run != their_run:
                    return -1 if my_run < their_run else 1
    return 0


def _read(version: str) -> tuple[list[list[_Run]], list[list[_Run]], list[list[_Run]]]:
    """Return a version's epoch, number and local version, each as parts, and those as runs of digits and letters."""
    found = _VERSION.fullmatch(version.lower())
    if not found:
        raise ValueError(f"{version} is no version of conda's")
    epoch, number, local = found.groups()
    return [[(_NUMBER, int(epoch or 0), "")]], _read_parts(number), _read_parts(local) if local else []


def _read_parts(text: str) -> list[list[_Run]]:
    # An underscore at the end belongs to the last part: openssl's 1.0.2_ comes before 1.0.2a.
    text = text.replace("-", "_")
    stripped = text.rstrip("_")
    parts = re.split(r"[._]", stripped)
    if not all(parts):
        raise ValueError(f"{text} has an empty part")
    parts[-1] += text[len(stripped) :]
    # A part that begins with a letter has a zero before it, so that numbers stand against numbers.
    return [[*([] if part[0].isdigit() else [_ZERO]), *map(_read_run, _RUN.findall(part))] for part in parts]


def _read_run(run: str) -> _Run:
    if run.isdigit():
        return (_NUMBER, int(run), "")
    kind = {"dev": _DEV, "post": _POST}.get(run, _WORD)
    return (kind, 0, run)
