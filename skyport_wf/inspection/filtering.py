"""Conditions on listed images: `state=retired`, `owner=anna`, `larger=1GB`, `older=90d`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Final, get_args

from skyport_wf.errors import UsageError
from skyport_wf.image_list.platforms import normalize_platform
from skyport_wf.inspection.listing import ListedImage, Readers
from skyport_wf.publication.attributes import PublishedFacts, read_attributes
from skyport_wf.publication.deletion import is_younger
from skyport_wf.publication.inventory import ImageState

Filter = Callable[[ListedImage], bool]
_SIZE: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*([kKMGT]?)B?")
_UNITS: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_DAYS: Final = re.compile(r"([0-9]{1,5})d?")
_CHOICES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "state": ("there is no such state. The states are", get_args(ImageState)),
    "readers": ("there are no such readers. They are", get_args(Readers)),
}
"""Keys with few values, what to say of any other, and the values."""


def parse_filter(text: str) -> Filter:
    """Return what a condition KEY=VALUE means. Raises UsageError if it means nothing.

    Where the value is words, it may have `*`, `?` and `[...]`.
    """
    key, _, value = text.partition("=")
    if key in _CHOICES and value:
        problem, choices = _CHOICES[key]
        if not any(fnmatchcase(word, value) for choice in choices for word in _spellings(choice)):
            raise UsageError(f"--filter {text[:100]!r}: {problem} {', '.join(choices)}.")
    if key == "platform":
        value = normalize_platform(value)
    if key in _WORDS and value:
        words = _WORDS[key]
        return lambda one: any(fnmatchcase(word, value) for word in words(one))
    if key in ("larger", "smaller") and (size := _SIZE.fullmatch(value)):
        bound = float(size[1]) * _UNITS[size[2].upper()]
        if key == "larger":
            return lambda one: one.image.node.file.size > bound
        return lambda one: one.image.node.file.size < bound
    if key in ("older", "newer") and (days := _DAYS.fullmatch(value)):
        age = timedelta(days=int(days[1]))
        return lambda one: is_younger(one.image.node, age) == (key == "newer")
    known = ", ".join(f"{name}=" for name in _WORDS)
    raise UsageError(
        f"--filter {text[:100]!r} means nothing. Write {known} with a word, larger= or smaller= with a size such as "
        "1GB, older= or newer= with days such as 90d."
    )


def needs_access(text: str) -> bool:
    """Return whether a condition is about who may do what."""
    return text.startswith(("owner=", "readers="))


def _facts(one: ListedImage) -> PublishedFacts | None:
    attributes = read_attributes(one.image.node.attributes)
    return attributes.skyport_wf if attributes else None


def _spellings(words: str) -> tuple[str, str]:
    """Return words as they are shown, and as one word that needs no quotes."""
    return words, words.replace(" ", "-")


def _platform(one: ListedImage) -> Iterator[str]:
    if facts := _facts(one):
        yield normalize_platform(facts.platform)


def _labels(one: ListedImage) -> Iterator[str]:
    """Yield each label by its name, and with its value."""
    for label in facts.labels if (facts := _facts(one)) else ():
        yield label.name
        yield f"{label.name}={label.value}"


_WORDS: Final[Mapping[str, Callable[[ListedImage], Iterator[str]]]] = {
    "state": lambda one: iter((one.image.state,)),
    "owner": lambda one: iter((one.owner,)),
    "readers": lambda one: iter(_spellings(one.readable_by)),
    "platform": _platform,
    "label": _labels,
}
FILTER_KEYS: Final = (*_WORDS, "larger", "smaller", "older", "newer")
"""What a condition may begin with."""
