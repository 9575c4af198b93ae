"""Nodes to rows of the database and back."""

# ruff: noqa: S608  (statements are put together from constants; values are always passed apart)

import sqlite3
from collections import defaultdict
from collections.abc import Iterable

import msgspec

from skyport_wf.store.indexing import leaves
from skyport_wf.store.values import Acl, Content, Lock, Node, Part, Parts

_FIND = "SELECT * FROM node WHERE id = ? AND (expiration = '' OR expiration > ?)"

_SET = (
    "type",
    "owner",
    "attributes",
    "file_name",
    "file_format",
    "content_id",
    "size",
    "md5",
    "content_since",
    "parts_count",
    "parts_open_ended",
    "compression",
    "locked_since",
    "lock_error",
    "tags",
    "priority",
    "created_on",
    "last_modified",
    "expiration",
)
_INSERT = f"INSERT INTO node (id, {', '.join(_SET)}) VALUES (?{', ?' * len(_SET)})"
_UPDATE = f"UPDATE node SET {', '.join(f'{name} = ?' for name in _SET)} WHERE serial = ?"


def find_node(connection: sqlite3.Connection, identity: str, now: str) -> tuple[int, Node] | None:
    """Return a node and its serial number, or None if there is none or it has expired."""
    row = connection.execute(_FIND, (identity, now)).fetchone()
    return (row["serial"], _node_of_row(connection, row)) if row else None


def node_of_serial(connection: sqlite3.Connection, serial: int) -> Node:
    """Return the node of a serial number that is known to be there."""
    return _node_of_row(connection, connection.execute("SELECT * FROM node WHERE serial = ?", (serial,)).fetchone())


def _node_of_row(connection: sqlite3.Connection, row: sqlite3.Row) -> Node:
    """Return the node that the row and those that belong to it hold."""
    return Node(
        id=row["id"],
        acl=_acl(connection, row),
        type=row["type"],
        attributes=msgspec.Raw(row["attributes"].encode()),
        file_name=row["file_name"],
        file_format=row["file_format"],
        content=_content(row),
        content_since=row["content_since"],
        parts=_parts(connection, row),
        lock=Lock(row["locked_since"], row["lock_error"]) if row["locked_since"] else None,
        tags=tuple(msgspec.json.decode(row["tags"], type=list[str])),
        priority=row["priority"],
        created_on=row["created_on"],
        last_modified=row["last_modified"],
        expiration=row["expiration"],
    )


def insert_node(connection: sqlite3.Connection, node: Node) -> None:
    """Write a new node."""
    serial = connection.execute(_INSERT, (node.id, *_columns(node))).lastrowid
    assert serial is not None  # noqa: S101  (an INSERT has one; the type checker cannot know)
    _write_permissions(connection, serial, node.acl)
    _write_attributes(connection, serial, node)


def update_node(connection: sqlite3.Connection, serial: int, before: Node, after: Node) -> None:
    """Write what differs, except parts, which add_part writes."""
    connection.execute(_UPDATE, (*_columns(after), serial))
    if after.acl != before.acl:
        connection.execute("DELETE FROM permission WHERE node = ?", (serial,))
        _write_permissions(connection, serial, after.acl)
    if bytes(after.attributes) != bytes(before.attributes):
        connection.execute("DELETE FROM attribute WHERE node = ?", (serial,))
        _write_attributes(connection, serial, after)


def add_part(connection: sqlite3.Connection, serial: int, part: Part) -> None:
    """Write a part. Raises sqlite3.IntegrityError if the node has one of that number."""
    content = part.content
    connection.execute(
        "INSERT INTO part (node, number, name, content_id, size, md5) VALUES (?, ?, ?, ?, ?, ?)",
        (serial, part.number, part.name, content.id, content.size, content.md5),
    )


def delete_nodes(connection: sqlite3.Connection, serials: list[int]) -> list[str]:
    """Delete nodes, and return the files that none has any more."""
    marks = ", ".join("?" * len(serials))
    asked = (
        f"SELECT content_id FROM node WHERE serial IN ({marks}) AND content_id IS NOT NULL"
        f" UNION SELECT content_id FROM part WHERE node IN ({marks})"
    )
    contents = [row["content_id"] for row in connection.execute(asked, serials * 2)]
    connection.execute(f"DELETE FROM node WHERE serial IN ({marks})", serials)
    return [content for content in contents if not is_referenced(connection, content)]


def is_referenced(connection: sqlite3.Connection, content: str) -> bool:
    """Return whether any node, or an unjoined part of one, has that file."""
    asked = (
        "SELECT EXISTS (SELECT 1 FROM node WHERE content_id = :id)"
        " OR EXISTS (SELECT 1 FROM part JOIN node ON serial = part.node"
        " WHERE part.content_id = :id AND node.content_id IS NULL)"
    )
    return bool(connection.execute(asked, {"id": content}).fetchone()[0])


def _columns(node: Node) -> tuple[object, ...]:
    """Return the values of the columns in _SET."""
    content, parts, lock = node.content, node.parts, node.lock
    return (
        node.type,
        node.acl.owner,
        bytes(node.attributes).decode(),
        node.file_name,
        node.file_format,
        content.id if content else None,
        content.size if content else 0,
        content.md5 if content else None,
        node.content_since,
        parts.count if parts else None,
        bool(parts and parts.open_ended),
        parts.compression if parts else "",
        lock.since if lock else None,
        lock.error if lock else "",
        msgspec.json.encode(node.tags).decode(),
        node.priority,
        node.created_on,
        node.last_modified,
        node.expiration,
    )


def _write_permissions(connection: sqlite3.Connection, serial: int, acl: Acl) -> None:
    rows = [(serial, may, user) for may in ("read", "write", "delete") for user in getattr(acl, may)]
    connection.executemany("INSERT INTO permission (node, may, user) VALUES (?, ?, ?)", rows)


def _write_attributes(connection: sqlite3.Connection, serial: int, node: Node) -> None:
    rows = [(serial, leaf.path, leaf.kind, leaf.number, leaf.text) for leaf in leaves(node.decoded_attributes())]
    connection.executemany("INSERT INTO attribute (node, path, kind, number, text) VALUES (?, ?, ?, ?, ?)", rows)


def _acl(connection: sqlite3.Connection, row: sqlite3.Row) -> Acl:
    users = defaultdict[str, list[str]](list)
    asked = "SELECT may, user FROM permission WHERE node = ? ORDER BY position"
    for may, user in connection.execute(asked, (row["serial"],)):
        users[may].append(user)
    return Acl(row["owner"], tuple(users["read"]), tuple(users["write"]), tuple(users["delete"]))


def _content(row: sqlite3.Row) -> Content | None:
    return Content(row["content_id"], row["size"], row["md5"]) if row["content_id"] else None


def _parts(connection: sqlite3.Connection, row: sqlite3.Row) -> Parts | None:
    if row["parts_count"] is None:
        return None
    asked = "SELECT * FROM part WHERE node = ? ORDER BY number"
    present = _part_values(connection.execute(asked, (row["serial"],)))
    return Parts(row["parts_count"], bool(row["parts_open_ended"]), row["compression"], present)


def _part_values(rows: Iterable[sqlite3.Row]) -> tuple[Part, ...]:
    return tuple(Part(row["number"], row["name"], Content(row["content_id"], row["size"], row["md5"])) for row in rows)
