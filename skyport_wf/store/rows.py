"""Nodes to rows of the database and back; the attributes also as one row for each value, which queries find."""

# ruff: noqa: S608  (statements are put together from constants; values are always passed apart)

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec

from skyport_wf.decoding import decode_json
from skyport_wf.store.access import RIGHTS, Acl
from skyport_wf.store.database import is_uuid
from skyport_wf.store.files import Content
from skyport_wf.store.node import Lock, StoredNode, StoredPart, StoredParts
from skyport_wf.store.refusals import InvalidRequestError

DEEPEST = 100
"""Levels to which attributes may nest: MongoDB's limit, under Shock."""
MOST_LEAVES = 50_000
"""Values that attributes may have: each is a row of the index, written while other writers wait."""
_LONGEST_PATH = 1000
"""A value whose path is longer cannot be asked for: nested long keys would else outgrow their document."""
_LARGEST_INTEGER = 2**63

NULL, NUMBER, TEXT, CONTAINER, BOOLEAN = range(5)
"""Kinds of values, in the order in which MongoDB, under Shock, sorts them."""

Leaf = tuple[str, int, int | float | None, str | None]
"""One place of the attributes: the keys that lead there, joined by dots; the kind; the value, if it is a number; the
value, if it is a text. A place in a list has the list's path, as in MongoDB."""


def find_node(connection: sqlite3.Connection, identity: str, now: str) -> tuple[int, StoredNode] | None:
    """Return a node and its serial number, or None if there is none or it has expired."""
    asked = "SELECT * FROM node WHERE id = ? AND (expiration = '' OR expiration > ?)"
    row = connection.execute(asked, (identity, now)).fetchone()
    return (row["serial"], _node_of_row(connection, row)) if row else None


def nodes_of_serials(connection: sqlite3.Connection, serials: Sequence[int]) -> tuple[StoredNode, ...]:
    """Return the nodes of serial numbers that are known to be there, in their order: with two questions for all."""
    wanted = (msgspec.json.encode(serials).decode(),)
    among = "IN (SELECT value FROM json_each(?))"
    rows = {row["serial"]: row for row in connection.execute(f"SELECT * FROM node WHERE serial {among}", wanted)}
    users = {serial: defaultdict[str, list[str]](list) for serial in serials}
    found = connection.execute(f"SELECT position, node, may, user FROM permission WHERE node {among}", wanted)
    for _, serial, may, user in sorted(map(tuple, found)):
        users[serial][may].append(user)
    return tuple(_node_of_row(connection, rows[serial], users[serial]) for serial in serials)


def _node_of_row(
    connection: sqlite3.Connection, row: sqlite3.Row, users: Mapping[str, Sequence[str]] | None = None
) -> StoredNode:
    """Return the node that the row and those that belong to it hold.

    users: who has which right, if that is known.
    """
    serial = (row["serial"],)
    if users is None:
        users = found = defaultdict[str, list[str]](list)
        asked = "SELECT may, user FROM permission WHERE node = ? ORDER BY position"
        for may, user in connection.execute(asked, serial):
            found[may].append(user)
    parts = None
    if row["parts_count"] is not None:
        rows = connection.execute("SELECT * FROM part WHERE node = ? ORDER BY number", serial)
        present = tuple(
            StoredPart(part["number"], part["name"], Content(part["content_id"], part["size"], part["md5"]))
            for part in rows
        )
        parts = StoredParts(row["parts_count"], bool(row["parts_open_ended"]), row["compression"], present)
    return StoredNode(
        id=row["id"],
        acl=Acl(row["owner"], **{right: tuple(users.get(right, ())) for right in RIGHTS}),
        type=row["type"],
        attributes=msgspec.Raw(row["attributes"].encode()),
        file_name=row["file_name"],
        file_format=row["file_format"],
        content=Content(row["content_id"], row["size"], row["md5"]) if row["content_id"] else None,
        content_since=row["content_since"],
        parts=parts,
        lock=Lock(row["locked_since"], row["lock_error"]) if row["locked_since"] else None,
        tags=tuple(decode_json(row["tags"], list[str])),
        priority=row["priority"],
        created_on=row["created_on"],
        last_modified=row["last_modified"],
        expiration=row["expiration"],
    )


def insert_node(connection: sqlite3.Connection, node: StoredNode) -> None:
    """Write a new node."""
    columns = {"id": node.id, **_columns(node)}
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    serial = connection.execute(f"INSERT INTO node ({names}) VALUES ({marks})", tuple(columns.values())).lastrowid
    assert serial is not None  # noqa: S101  (an INSERT has one; the type checker cannot know)
    _write_permissions(connection, serial, node.acl)
    _write_attributes(connection, serial, node)


def update_node(connection: sqlite3.Connection, serial: int, before: StoredNode, after: StoredNode) -> None:
    """Write what differs, except parts, which add_part writes."""
    columns = _columns(after)
    changes = ", ".join(f"{name} = ?" for name in columns)
    connection.execute(f"UPDATE node SET {changes} WHERE serial = ?", (*columns.values(), serial))
    if after.acl != before.acl:
        connection.execute("DELETE FROM permission WHERE node = ?", (serial,))
        _write_permissions(connection, serial, after.acl)
    if bytes(after.attributes) != bytes(before.attributes):
        connection.execute("DELETE FROM attribute WHERE node = ?", (serial,))
        _write_attributes(connection, serial, after)


def add_part(connection: sqlite3.Connection, serial: int, part: StoredPart) -> None:
    """Write a part. Raises sqlite3.IntegrityError if the node has one of that number."""
    content = part.content
    connection.execute(
        "INSERT INTO part (node, number, name, content_id, size, md5) VALUES (?, ?, ?, ?, ?, ?)",
        (serial, part.number, part.name, content.id, content.size, content.md5),
    )


def delete_nodes(connection: sqlite3.Connection, serials: list[int]) -> list[str]:
    """Delete nodes, and return the files that none has any more; what a damaged row has in their place names none."""
    marks = ", ".join("?" * len(serials))
    asked = (
        f"SELECT content_id FROM node WHERE serial IN ({marks}) AND content_id IS NOT NULL"
        f" UNION SELECT content_id FROM part WHERE node IN ({marks})"
    )
    contents = [row["content_id"] for row in connection.execute(asked, serials * 2)]
    connection.execute(f"DELETE FROM node WHERE serial IN ({marks})", serials)
    return [content for content in contents if is_uuid(content) and not is_referenced(connection, content)]


def is_referenced(connection: sqlite3.Connection, content: str) -> bool:
    """Return whether any node, or an unjoined part of one, has that file."""
    asked = (
        "SELECT EXISTS (SELECT 1 FROM node WHERE content_id = :id)"
        " OR EXISTS (SELECT 1 FROM part JOIN node ON serial = part.node"
        " WHERE part.content_id = :id AND node.content_id IS NULL)"
    )
    return bool(connection.execute(asked, {"id": content}).fetchone()[0])


def leaves(attributes: Any) -> Iterator[Leaf]:
    """Go through every place of the attributes except their root.

    Raises InvalidRequestError for attributes that nest deeper than DEEPEST, or have more than MOST_LEAVES.
    """
    places = (_walk(key, value, 1) for key, value in attributes.items()) if isinstance(attributes, dict) else ()
    for count, leaf in enumerate(chain.from_iterable(places), start=1):
        if count > MOST_LEAVES:
            raise InvalidRequestError(f"attributes have more than {MOST_LEAVES} values")
        yield leaf


def _walk(path: str, value: Any, depth: int) -> Iterator[Leaf]:
    if depth > DEEPEST:
        raise InvalidRequestError(f"attributes are nested more than {DEEPEST} levels deep")
    if len(path) > _LONGEST_PATH:
        return
    match value:
        case None:
            yield path, NULL, None, None
        case bool():
            yield path, BOOLEAN, None, None
        case int() | float():
            # SQLite's integers have 64 bits; Shock reads every number as a float anyway.
            yield path, NUMBER, value if abs(value) < _LARGEST_INTEGER else float(value), None
        case str():
            yield path, TEXT, None, value
        case dict():
            yield path, CONTAINER, None, None
            for key, inner in value.items():
                yield from _walk(f"{path}.{key}", inner, depth + 1)
        case _:
            yield path, CONTAINER, None, None
            for inner in value:
                yield from _walk(path, inner, depth + 1)


def _columns(node: StoredNode) -> dict[str, object]:
    """Return the values of the columns that a change of the node may touch."""
    content, parts, lock = node.content, node.parts, node.lock
    return {
        "type": node.type,
        "owner": node.acl.owner,
        "attributes": bytes(node.attributes).decode(),
        "file_name": node.file_name,
        "file_format": node.file_format,
        "content_id": content.id if content else None,
        "size": content.size if content else 0,
        "md5": content.md5 if content else None,
        "content_since": node.content_since,
        "parts_count": parts.count if parts else None,
        "parts_open_ended": bool(parts and parts.open_ended),
        "compression": parts.compression if parts else "",
        "locked_since": lock.since if lock else None,
        "lock_error": lock.error if lock else "",
        "tags": msgspec.json.encode(node.tags).decode(),
        "priority": node.priority,
        "created_on": node.created_on,
        "last_modified": node.last_modified,
        "expiration": node.expiration,
    }


def _write_permissions(connection: sqlite3.Connection, serial: int, acl: Acl) -> None:
    rows = [(serial, may, user) for may in RIGHTS for user in getattr(acl, may)]
    connection.executemany("INSERT INTO permission (node, may, user) VALUES (?, ?, ?)", rows)


def _write_attributes(connection: sqlite3.Connection, serial: int, node: StoredNode) -> None:
    rows = ((serial, *leaf) for leaf in leaves(decode_json(node.attributes)))
    connection.executemany("INSERT INTO attribute (node, path, kind, number, text) VALUES (?, ?, ?, ?, ?)", rows)
