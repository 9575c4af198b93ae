"""A query as SQL: which nodes fulfil it, may be read by the user, and are on the page."""

# ruff: noqa: S608  (statements are put together from constants; values are always passed apart)

import sqlite3

import msgspec

from skyport_wf.store.access import PUBLIC, User
from skyport_wf.store.node import StoredNode
from skyport_wf.store.query import AclCondition, Condition, Query, is_user_id
from skyport_wf.store.rows import nodes_of_serials

_ENOUGH = 500
"""A condition that this many nodes fulfil is not worth counting further when looking for a rare one."""

_SHORT = 100
"""Up to this length the index holds a text as a whole (see schema.py)."""

_MD5 = "file.checksum.md5"

_COLUMNS = {
    "id": "id",
    "type": "type",
    "priority": "priority",
    "created_on": "created_on",
    "last_modified": "last_modified",
    "expiration": "expiration",
    "file.name": "file_name",
    "file.format": "file_format",
    "file.size": "size",
    "file.created_on": "content_since",
    "file.checksum.md5": "md5",
}
"""Keys of the node's document outside its attributes that can be asked for."""

_MAY_READ = (
    "(EXISTS (SELECT 1 FROM permission p WHERE p.node = n.serial AND p.may = 'read' AND p.user IN (?, ?))"
    " OR EXISTS (SELECT 1 FROM node o WHERE o.serial = n.serial AND o.owner = ?))"
)
"""As Acl.allows, in SQL; the values are the user, everyone, and the user once more."""


class Page(msgspec.Struct, frozen=True):
    """One page of the nodes that a query finds."""

    nodes: tuple[StoredNode, ...]
    """The page's nodes."""
    total: int
    """Number of nodes on all pages."""


class _Sql(msgspec.Struct):
    """A statement in the making: which nodes there are, as numbers in the column n.serial."""

    source: str = "node n"
    values: list[object] = []
    terms: list[str] = []

    def add(self, term: str, *values: object) -> None:
        self.terms.append(term)
        self.values.extend(values)

    @property
    def found(self) -> str:
        return f"SELECT DISTINCT n.serial FROM {self.source} WHERE {' AND '.join(self.terms)}"


def search(connection: sqlite3.Connection, query: Query, user: User, now: str) -> Page:
    """Return the page of nodes that the query finds among those that the user may read."""
    sql = _Sql()
    conditions = list(query.conditions)
    if rarest := _rarest(connection, query.conditions):
        lookup, values, exact = _lookup(rarest)
        sql.source = f"({lookup}) n"
        sql.values.extend(values)
        if exact:
            conditions.remove(rarest)
    # The few that have expired and still wait to be deleted: an index has them.
    sql.add("n.serial NOT IN (SELECT serial FROM node WHERE expiration <> '' AND expiration <= ?)", now)
    if not user.admin:
        sql.add(_MAY_READ, user.id, PUBLIC, user.id)
    for condition in conditions:
        source, values = _source(condition.key)
        exists = "NOT EXISTS" if condition.negated else "EXISTS"
        sql.add(f"{exists} (SELECT 1 FROM {source} WHERE {condition.sql})", *values, *condition.values)
    for acl_condition in query.acl_conditions:
        _add_acl_condition(sql, acl_condition)
    total = connection.execute(f"SELECT count(*) FROM ({sql.found})", sql.values).fetchone()[0]
    direction = "ASC" if query.ascending else "DESC"
    if query.order is None:
        # In the order of an index: it ends as soon as the page is full.
        asked, values = f"{sql.found} ORDER BY n.serial {direction}", tuple(sql.values)
    else:
        # Nodes that are equal come newest, or, ascending, oldest first.
        source, order = _source(query.order)
        columns = [f"(SELECT {column} FROM {source} LIMIT 1) {direction}" for column in ("kind", "number", "text")]
        by = ", ".join([*columns, f"n.serial {direction}"])
        asked = f"SELECT n.serial FROM node n WHERE n.serial IN ({sql.found}) ORDER BY {by}"
        values = (*sql.values, *order * 3)
    rows = connection.execute(f"{asked} LIMIT ? OFFSET ?", (*values, query.limit, query.offset)).fetchall()
    return Page(nodes_of_serials(connection, [row["serial"] for row in rows]), total)


def _rarest(connection: sqlite3.Connection, conditions: tuple[Condition, ...]) -> Condition | None:
    """Return the condition to start from: the one that the fewest nodes fulfil, of those an index answers."""

    def count(condition: Condition) -> int:
        lookup, values, _ = _lookup(condition)
        found: int = connection.execute(f"SELECT count(*) FROM ({lookup} LIMIT {_ENOUGH})", values).fetchone()[0]
        return found

    indexed = [
        condition
        for condition in conditions
        if condition.equal_to is not None
        and not condition.negated
        and (condition.key.startswith("attributes.") or condition.key == _MD5)
    ]
    return min(indexed, key=count, default=None)


def _lookup(condition: Condition) -> tuple[str, tuple[object, ...], bool]:
    """Return how to look up the nodes with a value, and whether those are all right, or only candidates."""
    text, *numbers = condition.values
    if condition.key == _MD5:
        return "SELECT serial FROM node WHERE md5 = ?", (text,), True
    # SQLite, too, counts the length of a text up to the first NUL.
    is_short = len(str(text).partition("\0")[0]) <= _SHORT
    if is_short:
        same = f"text = ? AND length(text) <= {_SHORT}"
    else:
        same = f"substr(text, 1, {_SHORT}) = substr(?, 1, {_SHORT}) AND length(text) > {_SHORT}"
    path = condition.key.removeprefix("attributes.")
    where = f"path = ? AND (({same}) OR number = ?)" if numbers else f"path = ? AND {same}"
    return f"SELECT node AS serial FROM attribute WHERE {where}", (path, text, *numbers), is_short


def _source(key: str) -> tuple[str, tuple[object, ...]]:
    """Return what stands at the key, as a table with the columns kind, number and text."""
    if key.startswith("attributes."):
        path = key.removeprefix("attributes.")
        return "(SELECT kind, number, text FROM attribute WHERE node = n.serial AND path = ?)", (path,)
    if key == "tags":
        tags = (
            "SELECT 2 AS kind, NULL AS number, value AS text FROM node m, json_each(m.tags) WHERE m.serial = n.serial"
        )
        return f"({tags})", ()
    column = _COLUMNS.get(key)
    if column is None:
        return "(SELECT 0 AS kind, NULL AS number, NULL AS text WHERE 0)", ()
    number = column in ("priority", "size")
    return (
        f"(SELECT {1 if number else 2} AS kind, {column if number else 'NULL'} AS number, "
        f"{'NULL' if number else column} AS text FROM node WHERE serial = n.serial AND {column} IS NOT NULL)"
    ), ()


def _add_acl_condition(sql: _Sql, condition: AclCondition) -> None:
    """Add that a user must be in the ACL; one that nobody knows by name is in none."""
    user = "?" if is_user_id(condition.user) else "(SELECT id FROM user WHERE name = ?)"
    if condition.right == "owner":
        sql.add(f"EXISTS (SELECT 1 FROM node o WHERE o.serial = n.serial AND o.owner = {user})", condition.user)
    else:
        sql.add(
            f"EXISTS (SELECT 1 FROM permission p WHERE p.node = n.serial AND p.may = ? AND p.user = {user})",
            condition.right,
            condition.user,
        )
