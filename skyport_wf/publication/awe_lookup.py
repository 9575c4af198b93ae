"""The image that an AWE worker gets for a name: the rules of AWE's own code, without I/O.

A worker asks Shock one query (`plan_lookup`) and chooses from what it finds (`choose`).
Source: AWE's worker code of 2019; what it chose was recorded in tests/unit/awe_cases.json.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import chain

import msgspec

from skyport_wf.errors import EXIT_USAGE, SkyportError
from skyport_wf.formatting import one_line, shortened
from skyport_wf.image_list.reference import LATEST, is_pattern

IMAGE_TYPE = "dockerimage"
"""The attribute `type` of every node that a worker may find."""
NEGATION = "!"
"""What a name begins with that Shock takes for all others."""

_TAG_PART = re.compile(r"([0-9]+)-?([^0-9]*)")
_SUFFIXES = ("unknown", "dev", "develop", "alpha", "a", "beta", "b", "c", "d", "e")
_LARGEST_NUMBER = 2**63 - 1


class AweLookupError(SkyportError):
    """An AWE worker would fail every work unit that names this image."""


class NoImageError(AweLookupError):
    """Nothing is published under this name, or nothing that may be read."""

    def __init__(self, message: str, asked: str) -> None:
        """Make an error; asked: the name."""
        super().__init__(message)
        self.asked = asked


class SeveralMeantError(AweLookupError):
    """What fits any number of images stands where one is to be named."""

    exit_code = EXIT_USAGE


class Lookup(msgspec.Struct, frozen=True):
    """The question of a worker to Shock for a name."""

    asked: str
    """The name as the task has it: REPO or REPO:TAG."""
    query: dict[str, str]
    """Attributes that a node has to have; a value may start or end with the wildcard `*`."""
    latest: bool
    """Whether the highest tag among the nodes found is wanted, rather than the only node."""


def plan_lookup(asked: str) -> Lookup:
    """Return what a worker asks Shock for the image name `asked`, REPO or REPO:TAG.

    Raises AweLookupError for a name with more than one colon.
    """
    repository, _, tag = asked.partition(":")
    if ":" in tag:
        raise AweLookupError(f"an AWE worker cannot use {asked!r}: the name has more than one colon")
    if tag in ("", LATEST):
        return Lookup(asked, {"type": IMAGE_TYPE, "repository": repository}, latest=True)
    return Lookup(asked, {"type": IMAGE_TYPE, "name": asked}, latest=False)


def choose(lookup: Lookup, found: Sequence[Mapping[str, object]]) -> int:
    """Return the index of the node that a worker would take.

    found: the attributes of the nodes that answer the lookup's query, newest node first; of `latest`,
        only those of the query's first page.
    Raises AweLookupError where the worker would fail the work unit.
    """
    index = _choose_latest(lookup, found) if lookup.latest else _choose_only(lookup, found)
    if not _text(found[index], "id"):
        raise AweLookupError(f"an AWE worker fails on {lookup.asked}: the node's attribute `id` is missing")
    return index


def _choose_only(lookup: Lookup, found: Sequence[Mapping[str, object]]) -> int:
    if not found:
        what = f"an AWE worker finds no image {lookup.asked}. Is it published, and public?"
        raise NoImageError(what, lookup.asked)
    if len(found) > 1 and (is_pattern(lookup.asked) or lookup.asked.startswith(NEGATION)):
        raise AweLookupError(
            f"an AWE worker fails on {lookup.asked}: {len(found)} nodes fit it, and it takes exactly one. "
            "Name one image."
        )
    if len(found) > 1:
        raise AweLookupError(
            f"an AWE worker fails on {lookup.asked}: {len(found)} nodes have this name, and it takes exactly one. "
            "`skyport-wf ls` shows them; retire all but one."
        )
    return 0


def _choose_latest(lookup: Lookup, found: Sequence[Mapping[str, object]]) -> int:
    if not found:
        repository = lookup.query["repository"]
        what = f"an AWE worker finds no image of the repository {repository}. Is one published?"
        raise NoImageError(what, lookup.asked)
    for attributes in found:
        for key in ("name", "tag", "repository"):
            if not _text(attributes, key):
                name = one_line(_text(attributes, "name")) or "a node without a name"
                raise AweLookupError(
                    f"an AWE worker fails on {lookup.asked}: of {name} the attribute `{key}` "
                    "is missing, empty or not text, and that stops `latest` for the whole repository"
                )
    versions = [_version(lookup, _text(attributes, "tag")) for attributes in found]
    # max() keeps the first of equals: found is newest first, and of equal tags AWE took the newer node.
    return max(range(len(found)), key=versions.__getitem__)


def harm_of_tag(name: str) -> str:
    """Return how an image's tag hurts workers that ask for the highest one of its repository; empty if it does not.

    name: REPO:TAG.
    """
    repository, _, tag = name.partition(":")
    if all(number <= _LARGEST_NUMBER for number in _numbers(tag)):
        return ""
    return (
        f"the number in the tag of {name} has more than 64 bits: while it is published, AWE workers fail on "
        f"{repository} without a tag, and on its `latest`"
    )


def _numbers(tag: str) -> list[int]:
    """Return the numbers that the parts of a tag begin with, of those that have one."""
    return [int(match[1]) for part in tag.split(".") if (match := _TAG_PART.fullmatch(part))]


def _version(lookup: Lookup, tag: str) -> tuple[int, ...]:
    """Return the numbers that AWE compares tags by; trailing zeros are dropped, as a missing number counts as 0."""
    numbers = list(chain.from_iterable(_part_version(lookup, tag, part) for part in tag.split(".")))
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def _part_version(lookup: Lookup, tag: str, part: str) -> tuple[int, int]:
    match = _TAG_PART.fullmatch(part)
    if not match:
        return (0, 0)
    digits = match[1].lstrip("0") or "0"
    # Python refuses to read thousands of them, in its own way.
    if len(digits) > len(str(_LARGEST_NUMBER)) or int(digits) > _LARGEST_NUMBER:
        raise AweLookupError(
            f"an AWE worker fails on {lookup.asked}: the number in the tag {shortened(tag)!r} has more than 64 bits, "
            "and that stops `latest` for the whole repository"
        )
    return (int(digits), _SUFFIXES.index(match[2]) if match[2] in _SUFFIXES else 0)


def _text(attributes: Mapping[str, object], key: str) -> str:
    value = attributes.get(key)
    return value if isinstance(value, str) else ""
