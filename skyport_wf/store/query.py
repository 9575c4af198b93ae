"""Shock's queries: `?query&KEY=VALUE` about attributes, `?querynode&KEY=VALUE` about the whole node.

VALUE is a text or a number (either matches a number), empty (the key is there), `null`, `*` at either end (any
text), a range `[LOW;HIGH]` (a bracket turned outwards excludes its end), or any of these after `!` (not).
"""

import re
from datetime import UTC, datetime

import msgspec

from skyport_wf.store.access import PUBLIC
from skyport_wf.store.database import is_uuid, timestamp
from skyport_wf.store.refusals import InvalidRequestError
from skyport_wf.store.rows import NULL

DEFAULT_LIMIT = 25
LARGEST_LIMIT = 10_000
"""A page never has more nodes than this, whatever is asked for."""
_MOST_CONDITIONS = 100

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_RANGE = re.compile(r"([\[\]])(.*);(.*)([\[\]])", re.DOTALL)
_ACL_KEYS = ("owner", "read", "write", "delete")
_PUBLIC_KEYS = tuple(f"public_{key}" for key in _ACL_KEYS)
_MOMENTS = ("created_on", "last_modified", "expiration", "file.created_on")
_COLUMNS = {int: "number", str: "text"}
_PAGE_KEYS = ("query", "querynode", "limit", "offset", "order", "direction")


class Condition(msgspec.Struct, frozen=True):
    """One thing that a node must fulfil."""

    key: str
    """A place in the attributes (`attributes.KEY`) or in the rest of the node's document."""
    sql: str
    """A condition, in SQL, about the columns kind, number and text of what stands there."""
    values: tuple[str | int, ...] = ()
    """The values of its question marks."""
    negated: bool = False
    """True: no value that stands there may fulfil it."""
    equal_to: str | int | None = None
    """The value asked for, if the condition is that simple: such a one can be looked up in an index."""


class AclCondition(msgspec.Struct, frozen=True):
    """A user who must stand in a node's ACL."""

    right: str
    """`owner`, `read`, `write` or `delete`."""
    user: str
    """A user's UUID or name, or `public`."""


class Query(msgspec.Struct, frozen=True):
    """A search for nodes, and the page of it to answer."""

    conditions: tuple[Condition, ...] = ()
    """All of them must hold."""
    acl_conditions: tuple[AclCondition, ...] = ()
    """And all of these."""
    order: str | None = None
    """The key to sort by; when the node was made, if None."""
    ascending: bool = False
    """True: the smallest first. False: the largest, which is the newest."""
    limit: int = DEFAULT_LIMIT
    """The page's size."""
    offset: int = 0
    """Number of nodes before the page."""


def parse_query(arguments: list[tuple[str, str]]) -> Query:
    """Return what the arguments of `GET /node` ask for.

    Raises InvalidRequestError for a value that means nothing.
    """
    given = dict(reversed(arguments))
    prefix = "attributes." if "query" in given else ""
    conditions: list[Condition] = []
    acl: list[AclCondition] = []
    # Without either word Shock lists all nodes, whatever else is asked.
    is_search = "query" in given or "querynode" in given
    for key, value in arguments if is_search else ():
        if key in _PAGE_KEYS:
            continue
        if not prefix and key in _PUBLIC_KEYS:
            acl.append(AclCondition(key.removeprefix("public_"), PUBLIC))
        elif not prefix and key in _ACL_KEYS:
            acl += [AclCondition(key, user) for user in value.split(",")]
        else:
            conditions.append(_condition(prefix + key, value))
    if len(conditions) + len(acl) > _MOST_CONDITIONS:
        raise InvalidRequestError(f"a query cannot have more than {_MOST_CONDITIONS} conditions")
    return Query(
        tuple(conditions),
        tuple(acl),
        prefix + given["order"] if "order" in given else None,
        given.get("direction") == "asc",
        # `limit=0` is "no limit" in MongoDB, under Shock.
        min(_page_number(given.get("limit", str(DEFAULT_LIMIT)), "limit"), LARGEST_LIMIT) or LARGEST_LIMIT,
        _page_number(given.get("offset", "0"), "offset"),
    )


def _page_number(text: str, name: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise InvalidRequestError(f"{name} must be a number from 0")
    return int(text)


def _condition(key: str, value: str) -> Condition:
    if value == "":
        return Condition(key, "1")
    negated = value.startswith("!")
    value = value.removeprefix("!")
    if value == "":
        raise InvalidRequestError(f"query for {key!r}: nothing follows the `!`")
    if _INTEGER.fullmatch(value):
        return Condition(key, "(text = ? OR number = ?)", (value, int(value)), negated, int(value))
    if value == "null":
        # It matches the text, a null, and a key that is not there, which MongoDB takes for null: so what is asked
        # is whether something else stands there.
        return Condition(key, f"(kind <> {NULL} AND text IS NOT 'null')", negated=not negated)
    if found := _RANGE.fullmatch(value):
        return _range(key, found, negated)
    if value.startswith("*") or value.endswith("*"):
        return _wildcard(key, value, negated)
    return Condition(key, "text = ?", (value,), negated, value)


def _range(key: str, found: re.Match[str], negated: bool) -> Condition:
    """Return the condition of a range; both ends hold of the same value, so of one kind."""
    low, high = _bound(key, found[2]), _bound(key, found[3])
    above = "<" if negated else ">"
    below = ">" if negated else "<"
    first = f"{_COLUMNS[type(low)]} {above}{'=' if (found[1] == '[') != negated else ''} ?"
    second = f"{_COLUMNS[type(high)]} {below}{'=' if (found[4] == ']') != negated else ''} ?"
    return Condition(key, f"({first} {'OR' if negated else 'AND'} {second})", (low, high))


def _bound(key: str, text: str) -> str | int:
    """Return an end of a range: a number, a moment as the store writes it, or any other text."""
    if _INTEGER.fullmatch(text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text) if key in _MOMENTS else None
    except ValueError:
        return text
    return text if moment is None else timestamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _wildcard(key: str, value: str, negated: bool) -> Condition:
    """Return the condition of a text with `*` at an end.

    Shock makes a regular expression of it, in which `.` is any character; here every character but the `*`
    stands for itself. Its negation matches only texts: no key, no match.
    """
    values: tuple[str, ...] = ()
    if value == "*":
        sql = "1"
    elif value.startswith("*") and value.endswith("*"):
        sql, values = "instr(text, ?) > 0", (value[1:-1],)
    elif value.startswith("*"):
        sql, values = "substr(text, -length(?)) = ?", (value[1:],) * 2
    else:
        sql, values = "substr(text, 1, length(?)) = ?", (value[:-1],) * 2
    return Condition(key, f"(text IS NOT NULL AND {'NOT ' if negated else ''}({sql}))", values)


def is_user_id(text: str) -> bool:
    """Return whether a user in an ACL condition is given by id rather than by name."""
    return text == PUBLIC or is_uuid(text)
