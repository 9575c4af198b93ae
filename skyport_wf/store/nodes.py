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

from skyport_wf.store.access import Right, acl_of_owner, is_allowed, require
from skyport_wf.store.changes import MOST_PARTS, Change, Upload, changed, check_change
from skyport_wf.store.database import Database
from skyport_wf.store.files import FileStore
from skyport_wf.store.query import Query
from skyport_wf.store.refusals import InvalidRequestError, NodeNotFoundError
from skyport_wf.store.rows import add_part, delete_nodes, find_node, insert_node, update_node
from skyport_wf.store.search import Page, search
from skyport_wf.store.values import Acl, Content, Lock, Node, Part, User, is_uuid, timestamp

_BATCH = 20
"""Nodes that are deleted in one go: others wait meanwhile, and each may have thousands of attributes."""

_log = logging.getLogger("skyport_wf.store")


class NodeStore:
    """All nodes of one data folder; any number of threads and processes may use one folder at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = Database(folder / "shock.sqlite")
        self.files = FileStore(folder)

    def read(self, identity: str, user: User, *, right: Right = "read") -> Node:
        """Return a node on which the user has the right.

        Raises NodeNotFoundError, UnauthorizedError.
        """
        with self.database.read() as connection:
            node = self._find(connection, identity)[1]
        require(node.acl, user, right)
        return node

    def find(self, query: Query, user: User) -> Page:
        """Return a page of the nodes that the query finds among those that the user may read."""
        with self.database.read() as connection:
            return search(connection, query, user, timestamp())

    def create(self, user: User, change: Change) -> Node:
        """Make a node of the user's, and return it once it is on disk.

        Raises InvalidRequestError for what no new node can have, or for a node to copy from that the user may
        not read; NodeNotFoundError if there is none to copy from.
        """
        blank = Node(str(uuid4()), acl_of_owner(user))
        check_change(blank, change)
        content = _keep(change.upload)
        with self.database.write() as connection:
            now = datetime.now(UTC)
            node = msgspec.structs.replace(blank, created_on=timestamp(now))
            node = self._changed(connection, node, change, content, user, now)
            insert_node(connection, node)
            _commit(change.uploads)
        return node

    def update(self, identity: str, user: User, change: Change) -> Node:
        """Change a node on which the user has the right to write, and return it.

        Raises NodeNotFoundError, UnauthorizedError, and InvalidRequestError for what does not fit the node.
        """
        content = _keep(change.upload)
        pieces = [Part(number, piece.name, piece.staging.keep()) for number, piece in change.pieces.items()]
        with self.database.write() as connection:
            serial, before = self._find(connection, identity)
            require(before.acl, user, "write")
            if change.lifetime is not None:
                require(before.acl, user, "delete")
            check_change(before, change)
            now = datetime.now(UTC)
            node = msgspec.structs.replace(before, last_modified=timestamp(now))
            node = self._changed(connection, node, change, content, user, now)
            for part in pieces:
                node = _with_part(connection, serial, node, part, change.pieces[part.number])
            update_node(connection, serial, before, node)
            _commit((change.upload,) if change.upload else ())
        return node

    def change_acl(self, identity: str, change: Callable[[Acl], Acl]) -> Acl:
        """Give a node the ACL that `change`, which may refuse, makes of the one it has; return the new one."""
        with self.database.write() as connection:
            serial, before = self._find(connection, identity)
            node = msgspec.structs.replace(before, acl=change(before.acl), last_modified=timestamp())
            update_node(connection, serial, before, node)
        return node.acl

    def delete(self, identity: str, user: User) -> None:
        """Delete a node, and its file unless a copy has it too. Raises NodeNotFoundError, UnauthorizedError."""
        with self.database.write() as connection:
            serial, node = self._find(connection, identity)
            require(node.acl, user, "delete")
            unused = self._delete(connection, [serial])
        self.remove_files(unused)

    def reap(self) -> int:
        """Delete the nodes whose time is over, and return how many there were."""
        reaped = 0
        while serials := self._expired():
            with self.database.write() as connection:
                unused = self._delete(connection, serials)
            self.remove_files(unused)
            reaped += len(serials)
        return reaped

    def _find(self, connection: sqlite3.Connection, identity: str) -> tuple[int, Node]:
        found = find_node(connection, identity, timestamp()) if is_uuid(identity) else None
        if not found:
            raise NodeNotFoundError
        return found

    def _changed(  # noqa: PLR0917  (who, what and when)
        self, connection: sqlite3.Connection, node: Node, change: Change, content: Content | None,
        user: User, now: datetime,
    ) -> Node:  # fmt: skip
        """Return the node with the change made, except its pieces."""
        if change.copy_of is not None:
            node = self._copied(connection, node, change, user, now)
        node = changed(node, change, now)
        return _with_file(node, change.upload, content, now) if change.upload and content else node

    def _copied(self, connection: sqlite3.Connection, node: Node, change: Change, user: User, now: datetime) -> Node:
        """Return the node with the file of the one to copy, which stays on disk once."""
        source = self._find(connection, change.copy_of or "")[1]
        if not is_allowed(source.acl, user, "read"):
            raise InvalidRequestError("copy_data_node auth error")
        if not source.content:
            raise InvalidRequestError("copy_data node has no file")
        return msgspec.structs.replace(
            node,
            type="copy",
            content=source.content,
            content_since=timestamp(now),
            file_name=source.file_name,
            file_format=source.file_format,
            attributes=source.attributes if change.copy_attributes else node.attributes,
        )

    def _delete(self, connection: sqlite3.Connection, serials: list[int]) -> list[str]:
        """Delete nodes, and return the files to remove once that is on disk."""
        unused = delete_nodes(connection, serials)
        for content in unused:
            self.files.doubt(content)
        return unused

    def _expired(self) -> list[int]:
        asked = "SELECT serial FROM node WHERE expiration <> '' AND expiration <= ? LIMIT ?"
        with self.database.read() as connection:
            return [row["serial"] for row in connection.execute(asked, (timestamp(), _BATCH))]

    def remove_files(self, contents: list[str]) -> None:
        """Remove files that no node has any more; what fails is left to the next start."""
        for content in contents:
            try:
                self.files.remove(content)
            except OSError as error:
                _log.warning("cannot remove the file %s that no node has any more: %s", content, error)


def _keep(upload: Upload | None) -> Content | None:
    return upload.staging.keep() if upload else None


def _commit(uploads: tuple[Upload, ...]) -> None:
    """Keep the files from here on.

    Called before the transaction ends: if ending it fails, a file is left that nobody knows, which garbage
    collection finds; the other way round a node could be left without its file.
    """
    for upload in uploads:
        upload.staging.commit()


def _with_file(node: Node, upload: Upload, content: Content, now: datetime) -> Node:
    return msgspec.structs.replace(
        node, content=content, content_since=timestamp(now), file_name=node.file_name or upload.name
    )


def _with_part(connection: sqlite3.Connection, serial: int, node: Node, part: Part, upload: Upload) -> Node:
    """Return the node with one more part, and locked if it was the last."""
    parts = node.parts
    assert parts is not None  # noqa: S101  (check_change refuses pieces for any other node)
    if part.number > MOST_PARTS:
        raise InvalidRequestError(f"a file cannot have more than {MOST_PARTS} parts")
    if part.number > parts.count and not parts.open_ended:
        # Shock answers 200 and forgets a part beyond the last.
        return node
    try:
        add_part(connection, serial, part)
    except sqlite3.IntegrityError:
        raise InvalidRequestError("Node file immutable") from None
    _commit((upload,))
    present = tuple(sorted((*parts.present, part), key=lambda one: one.number))
    parts = msgspec.structs.replace(parts, count=max(parts.count, part.number), present=present)
    is_last = not parts.open_ended and len(present) == parts.count
    return msgspec.structs.replace(node, parts=parts, lock=Lock(node.last_modified) if is_last else node.lock)
