"""A query as SQL: which nodes fulfil it, may be read by the user, and are on the page."""

# ruff: noqa: S608  (statements are put together from constants; values are always passed apart)

import sqlite3

import msgspec

from skyport_wf.store.query import AclCondition, Condition, Query, is_user_id
from skyport_wf.store.rows import node_of_row
from skyport_wf.store.values import PUBLIC, Node, User

_ENOUGH = 500
"""A condition that this many nodes fulfil is not worth counting further when looking for a rare one."""

_INDEXED_TEXT = "substr(text, 1, 100) = substr(?, 1, 100)"
"""The start of a text is what the index attribute_text holds; a Dockerfile may be an attribute."""

_COLUMNS = {
    "id": "n.id",
    "type": "n.type",
    "priority": "n.priority",
    "created_on": "n.created_on",
    "last_modified": "n.last_modified",
    "expiration": "n.expiration",
    "file.name": "n.file_name",
    "file.format": "n.file_format",
    "file.size": "n.size",
    "file.created_on": "n.content_since",
    "file.checksum.md5": "n.md5",
}
"""Keys of the node's document outside its attributes that can be asked for."""


class Page(msgspec.Struct, frozen=True):
    """Some of the nodes that a query finds."""

    nodes: tuple[Node, ...]
    """The page's nodes."""
    total: int
    """How many nodes there are on all pages."""


class _Sql(msgspec.Struct):
    """A statement in the making."""

    source: str = "node n"
    values: list[object] = []
    terms: list[str] = []

    def add(self, term: str, *values: object) -> None:
        self.terms.append(term)
        self.values.extend(values)


def search(connection: sqlite3.Connection, query: Query, user: User, now: str) -> Page:
    """Return the page of nodes that the query finds among those that the user may read."""
    sql = _Sql()
    if rarest := _rarest(connection, query.conditions):
        # CROSS JOIN: SQLite then starts from the few nodes that the index names, in the order written.
        few = f"SELECT DISTINCT node FROM attribute WHERE {_lookup(rarest)}"
        sql.source = f"({few}) f CROSS JOIN node n ON n.serial = f.node"
        sql.values.extend(_lookup_values(rarest))
    sql.add("(n.expiration = '' OR n.expiration > ?)", now)
    if not user.admin:
        sql.add(_may_read(), user.id, user.id, PUBLIC)
    for condition in query.conditions:
        _add_condition(sql, condition)
    for acl_condition in query.acl_conditions:
        _add_acl_condition(sql, acl_condition)
    return _page(connection, sql, query)


def _page(connection: sqlite3.Connection, sql: _Sql, query: Query) -> Page:
    found = f"FROM {sql.source} WHERE {' AND '.join(sql.terms)}"
    total = connection.execute(f"SELECT count(*) {found}", sql.values).fetchone()[0]
    order, order_values = _order(query)
    asked = f"SELECT n.* {found} ORDER BY {order} LIMIT ? OFFSET ?"
    rows = connection.execute(asked, [*sql.values, *order_values, query.limit, query.offset]).fetchall()
    return Page(tuple(node_of_row(connection, row) for row in rows), total)


def _rarest(connection: sqlite3.Connection, conditions: tuple[Condition, ...]) -> Condition | None:
    """Return the condition to start from: the one that the fewest nodes fulfil, of those an index answers."""
    usable = [c for c in conditions if c.equal_to is not None and not c.negated and c.key.startswith("attributes.")]
    return min(usable, key=lambda condition: _count(connection, condition), default=None)


def _count(connection: sqlite3.Connection, condition: Condition) -> int:
    asked = f"SELECT count(*) FROM (SELECT 1 FROM attribute WHERE {_lookup(condition)} LIMIT {_ENOUGH})"
    count: int = connection.execute(asked, _lookup_values(condition)).fetchone()[0]
    return count


def _lookup(condition: Condition) -> str:
    if isinstance(condition.equal_to, int):
        return f"path = ? AND (({_INDEXED_TEXT} AND text IS NOT NULL) OR number = ?)"
    return f"path = ? AND {_INDEXED_TEXT} AND text IS NOT NULL"


def _lookup_values(condition: Condition) -> tuple[object, ...]:
    return (condition.key.removeprefix("attributes."), *condition.values)


def _add_condition(sql: _Sql, condition: Condition) -> None:
    source, values = _source(condition.key)
    exists = "NOT EXISTS" if condition.negated else "EXISTS"
    sql.add(f"{exists} (SELECT 1 FROM {source} WHERE {condition.sql})", *values, *condition.values)


def _source(key: str) -> tuple[str, tuple[object, ...]]:
    """Return what stands at the key, as a table with the columns kind, number and text."""
    if key.startswith("attributes."):
        path = key.removeprefix("attributes.")
        return "(SELECT kind, number, text FROM attribute WHERE node = n.serial AND path = ?)", (path,)
    if key == "tags":
        return "(SELECT 2 AS kind, NULL AS number, value AS text FROM json_each(n.tags))", ()
    column = _COLUMNS.get(key)
    if column is None:
        return "(SELECT 0 AS kind, NULL AS number, NULL AS text WHERE 0)", ()
    number = column in ("n.priority", "n.size")
    return (
        f"(SELECT {1 if number else 2} AS kind, {column if number else 'NULL'} AS number, "
        f"{'NULL' if number else column} AS text WHERE {column} IS NOT NULL)"
    ), ()


def _may_read() -> str:
    return (
        "(n.owner = ? OR EXISTS (SELECT 1 FROM permission p "
        "WHERE p.node = n.serial AND p.may = 'read' AND p.user IN (?, ?)))"
    )


def _add_acl_condition(sql: _Sql, condition: AclCondition) -> None:
    """Add that a user must be in the ACL; one that nobody knows by name is in none."""
    user = "?" if is_user_id(condition.user) else "(SELECT id FROM user WHERE name = ?)"
    if condition.right == "owner":
        sql.add(f"n.owner = {user}", condition.user)
    else:
        sql.add(
            f"EXISTS (SELECT 1 FROM permission p WHERE p.node = n.serial AND p.may = ? AND p.user = {user})",
            condition.right,
            condition.user,
        )


def _order(query: Query) -> tuple[str, tuple[object, ...]]:
    """Return the order of the result; nodes that are equal come newest (or, ascending, oldest) first."""
    direction = "ASC" if query.ascending else "DESC"
    if query.order is None:
        return f"n.serial {direction}", ()
    source, values = _source(query.order)
    columns = [f"(SELECT {column} FROM {source} LIMIT 1) {direction}" for column in ("kind", "number", "text")]
    return ", ".join([*columns, f"n.serial {direction}"]), values * 3
