"""The node store: nodes made, read, changed, deleted, found, and deleted when their time is over.

A node's file is on disk before the database knows the node, and the database knows it only as a whole:
whatever is interrupted leaves no node, or a complete one, and at most a file that nobody knows (garbage.py).
"""

import logging
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import msgspec

from skyport_wf.store.access import Acl, Right, User
from skyport_wf.store.changes import NodeChange
from skyport_wf.store.database import Database, is_uuid, timestamp
from skyport_wf.store.files import Content, FileStore
from skyport_wf.store.folder import DataFolder
from skyport_wf.store.node import Lock, StoredNode, StoredPart
from skyport_wf.store.query import Query
from skyport_wf.store.refusals import InvalidRequestError, NodeNotFoundError
from skyport_wf.store.rows import add_part, delete_nodes, find_node, insert_node, update_node
from skyport_wf.store.search import Page, search

_BATCH = 4
"""Nodes that are deleted in one go: others wait meanwhile, and each may have thousands of attributes."""
_MUCH = 20_000
"""Bytes of attributes from which on writing them takes long: each value is a row."""

_log = logging.getLogger(__name__)


class NodeStore:
    """All nodes of one data folder; any number of threads and processes may use one folder at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = DataFolder(folder)
        self.database = Database(self.folder)
        self.files = FileStore(self.folder, self.database.prepare)

    def read(self, identity: str, user: User, *, right: Right = "read") -> StoredNode:
        """Return a node on which the user has the right.

        Raises NodeNotFoundError, UnauthorizedError.
        """
        with self.database.read() as connection:
            node = self._find(connection, identity)[1]
        node.acl.require(user, right)
        return node

    def find(self, query: Query, user: User) -> Page:
        """Return a page of the nodes that the query finds among those that the user may read."""
        with self.database.read() as connection:
            return search(connection, query, user, timestamp())

    def create(self, user: User, change: NodeChange) -> StoredNode:
        """Make a node of the user's, and return it once it is on disk.

        Raises InvalidRequestError for what no new node can have, or for a node to copy from that the user may
        not read; NodeNotFoundError if there is none to copy from.
        """
        # Everything for the owner; that is everyone, if it is an anonymous upload.
        blank = StoredNode(str(uuid4()), Acl(user.id, (user.id,), (user.id,), (user.id,)))
        change.check(blank)
        self._check_source(user, change)
        content = change.upload.staging.keep() if change.upload else None
        with self.database.write(much=_is_much(change)) as connection:
            now = datetime.now(UTC)
            node = msgspec.structs.replace(blank, created_on=timestamp(now))
            node = self._changed(connection, node, change, content, user, now)
            insert_node(connection, node)
            if change.upload:
                change.upload.staging.commit()
        return node

    def update(self, identity: str, user: User, change: NodeChange) -> StoredNode:
        """Change a node on which the user has the right to write, and return it.

        Raises NodeNotFoundError, UnauthorizedError, and InvalidRequestError for what does not fit the node.
        """
        self._check_source(user, change)
        # On disk before others have to wait for us.
        content = change.upload.staging.keep() if change.upload else None
        pieces = [StoredPart(number, piece.name, piece.staging.keep()) for number, piece in change.pieces.items()]
        # Before it is deleted, a node loses the type by which it is found.
        is_small = not (content or pieces or _is_much(change))
        with self.database.write(much=_is_much(change), makes_room=is_small) as connection:
            serial, before = self._find(connection, identity)
            before.acl.require(user, "write")
            if change.lifetime is not None:
                before.acl.require(user, "delete")
            change.check(before)
            now = datetime.now(UTC)
            node = msgspec.structs.replace(before, last_modified=timestamp(now))
            node = self._changed(connection, node, change, content, user, now)
            for part in pieces:
                parts = node.parts
                assert parts is not None  # noqa: S101  (the check refuses pieces for any other node)
                if part.number > parts.count and not parts.open_ended:
                    # Shock answers 200 and forgets a part beyond the last.
                    continue
                try:
                    add_part(connection, serial, part)
                except sqlite3.IntegrityError:
                    raise InvalidRequestError("Node file immutable") from None
                change.pieces[part.number].staging.commit()
                node = _with_part(node, part)
            update_node(connection, serial, before, node)
            if change.upload:
                change.upload.staging.commit()
        return node

    def change_acl(self, identity: str, change: Callable[[Acl], Acl]) -> Acl:
        """Give a node the ACL that `change`, which may refuse, makes of the one it has; return the new one."""
        # Who may delete a node is asked by way of this.
        with self.database.write(makes_room=True) as connection:
            serial, before = self._find(connection, identity)
            node = msgspec.structs.replace(before, acl=change(before.acl), last_modified=timestamp())
            update_node(connection, serial, before, node)
        return node.acl

    def delete(self, identity: str, user: User) -> None:
        """Delete a node, and its file unless a copy has it too. Raises NodeNotFoundError, UnauthorizedError."""
        with self.database.write(makes_room=True) as connection:
            serial, node = self._find(connection, identity)
            node.acl.require(user, "delete")
            unused = self._delete(connection, [serial])
        self.remove_files(unused)

    def reap(self) -> int:
        """Delete the nodes whose time is over, and return how many there were."""
        reaped = 0
        asked = "SELECT serial FROM node WHERE expiration <> '' AND expiration <= ? LIMIT ?"
        while True:
            # Asked by a reader: nobody waits for us while nothing has expired.
            with self.database.read() as connection:
                serials = [row["serial"] for row in connection.execute(asked, (timestamp(), _BATCH))]
            if not serials:
                return reaped
            with self.database.write(much=True, makes_room=True) as connection:
                unused = self._delete(connection, serials)
            self.remove_files(unused)
            reaped += len(serials)

    def remove_files(self, contents: list[str]) -> None:
        """Remove files that no node has any more; what fails is left to the next start."""
        for content in contents:
            try:
                self.files.remove(content)
            except OSError as error:
                _log.warning("cannot remove the file %s that no node has any more: %s", content, error)

    def _find(self, connection: sqlite3.Connection, identity: str) -> tuple[int, StoredNode]:
        found = find_node(connection, identity, timestamp()) if is_uuid(identity) else None
        if not found:
            raise NodeNotFoundError
        return found

    def _changed(  # noqa: PLR0917  (who, what and when)
        self, connection: sqlite3.Connection, node: StoredNode, change: NodeChange, content: Content | None,
        user: User, now: datetime,
    ) -> StoredNode:  # fmt: skip
        """Return the node with the change made, except its pieces. content: the upload, in its place."""
        if change.copy_of is not None:
            source = self._find_source(connection, user, change.copy_of)
            node = msgspec.structs.replace(
                node,
                type="copy",
                content=source.content,
                content_since=timestamp(now),
                file_name=source.file_name,
                file_format=source.file_format,
                attributes=source.attributes if change.copy_attributes else node.attributes,
            )
        node = change.apply(node, now)
        if change.upload and content:
            name = node.file_name or change.upload.name
            node = msgspec.structs.replace(node, content=content, content_since=timestamp(now), file_name=name)
        return node

    def _check_source(self, user: User, change: NodeChange) -> None:
        """Raise InvalidRequestError if the file to copy is damaged: a copy would spread it under another name.

        Read before others have to wait for us. A node never has another file afterwards.
        """
        if change.copy_of is None:
            return
        with self.database.read() as connection:
            source = self._find_source(connection, user, change.copy_of)
        if source.content and (damage := self.files.find_damage(source.content)):
            _log.error("node %s is damaged: %s (%s)", source.id, damage, self.files.damaged_path(source.content.id))
            raise InvalidRequestError(f"copy_data node is damaged: {damage}")

    def _find_source(self, connection: sqlite3.Connection, user: User, identity: str) -> StoredNode:
        source = self._find(connection, identity)[1]
        if not source.acl.names(user, "read"):
            raise InvalidRequestError("copy_data_node auth error")
        if not source.content:
            raise InvalidRequestError("copy_data node has no file")
        return source

    def _delete(self, connection: sqlite3.Connection, serials: list[int]) -> list[str]:
        """Delete nodes, and return the files to remove once that is on disk."""
        unused = delete_nodes(connection, serials)
        for content in unused:
            self.files.doubt(content)
        return unused


def _is_much(change: NodeChange) -> bool:
    return change.attributes is not None and len(bytes(change.attributes)) > _MUCH


def _with_part(node: StoredNode, part: StoredPart) -> StoredNode:
    """Return the node with one more part, and locked if it was the last."""
    parts = node.parts
    assert parts is not None  # noqa: S101  (only nodes with parts get here)
    present = tuple(sorted((*parts.present, part), key=lambda one: one.number))
    parts = msgspec.structs.replace(parts, count=max(parts.count, part.number), present=present)
    is_last = not parts.open_ended and len(present) == parts.count
    return msgspec.structs.replace(node, parts=parts, lock=Lock(node.last_modified) if is_last else node.lock)
