"""A JSON document as the values that queries find: every place in it, with what stands there."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import msgspec

from skyport_wf.store.refusals import InvalidRequestError

DEEPEST = 100
"""How deep a document may nest: MongoDB's limit, under Shock."""

NULL, NUMBER, TEXT, CONTAINER, BOOLEAN = range(5)
"""Kinds of values, in the order in which MongoDB, under Shock, sorts them."""

MOST_LEAVES = 50_000
"""How many values a document may have: each is a row of the index, written while other writers wait."""

_LONGEST_PATH = 1000
"""A place whose path is longer cannot be asked for: nested long keys would else outgrow their document."""
_LARGEST_INTEGER = 2**63


class Leaf(msgspec.Struct, frozen=True):
    """What stands at one place of a document."""

    path: str
    """The keys that lead there, joined by dots. A place in a list has the list's path, as in MongoDB."""
    kind: int
    """NULL, NUMBER, TEXT, CONTAINER or BOOLEAN."""
    number: int | float | None = None
    """Its value, if it is a number."""
    text: str | None = None
    """Its value, if it is a text."""


def leaves(document: Any) -> Iterator[Leaf]:
    """Go through every place of the document except its root.

    Raises InvalidRequestError for a document that nests deeper than DEEPEST, or has more than MOST_LEAVES.
    """
    places = (_walk(key, value, 1) for key, value in document.items()) if isinstance(document, dict) else ()
    for count, leaf in enumerate(chain.from_iterable(places), start=1):
        if count > MOST_LEAVES:
            raise InvalidRequestError(f"attributes have more than {MOST_LEAVES} values")
        yield leaf


def _walk(path: str, value: Any, depth: int) -> Iterator[Leaf]:
    if depth > DEEPEST:
        raise InvalidRequestError(f"attributes are nested more than {DEEPEST} levels deep")
    if len(path) > _LONGEST_PATH:
        return
    yield _leaf(path, value)
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _walk(f"{path}.{key}", inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(path, inner, depth + 1)


def _leaf(path: str, value: Any) -> Leaf:
    match value:
        case None:
            return Leaf(path, NULL)
        case bool():
            return Leaf(path, BOOLEAN)
        case int() | float():
            # SQLite's integers have 64 bits; Shock reads every number as a float anyway.
            return Leaf(path, NUMBER, number=value if abs(value) < _LARGEST_INTEGER else float(value))
        case str():
            return Leaf(path, TEXT, text=value)
        case _:
            return Leaf(path, CONTAINER)
