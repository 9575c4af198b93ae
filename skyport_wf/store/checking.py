"""Every file of the store read, and compared with the node that it belongs to."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from skyport_wf.store.files import Content
from skyport_wf.store.node_store import NodeStore

_FILES = """
    SELECT node.id, coalesce(image.text, node.file_name) AS name, node.content_id, node.size, node.md5
    FROM node LEFT JOIN attribute image ON image.node = node.serial AND image.path = 'name'
    WHERE node.content_id IS NOT NULL
    UNION ALL
    SELECT node.id, node.file_name || ' part ' || part.number, part.content_id, part.size, part.md5
    FROM part JOIN node ON node.serial = part.node WHERE node.content_id IS NULL
    ORDER BY 3
"""
"""The files of nodes, and the parts of those that are not complete. Nodes that were copied have one file together."""


class StoredFile(msgspec.Struct, frozen=True):
    """A file of a node, and what is wrong with it."""

    node: str
    """The node's UUID."""
    name: str
    """The image's name, or else the file's."""
    path: Path
    """The file's place on disk; that of the database, if it has something else there than a file's name."""
    size: int
    """In bytes, as it should be."""
    damage: str
    """The problem of the file, in words; empty if it is whole."""


def check_files(store: NodeStore) -> Iterator[StoredFile]:
    """Read every file of every node, and yield what was found. Safe while others use the store.

    Raises DamagedError if the database, which says what files there should be, is damaged; ClosedError if we may not
    read a file.
    """
    store.database.require_intact()
    with store.database.read() as connection:
        rows = connection.execute(_FILES).fetchall()
    read: tuple[str, str] | None = None
    for row in rows:
        content = Content(row["content_id"], row["size"], row["md5"])
        if not read or read[0] != content.id:
            read = (content.id, store.files.find_damage(content))
        if read[1] and not _has_file_still(store, row["id"], content):
            # Deleted, or joined with other parts, since we asked.
            continue
        yield StoredFile(row["id"], row["name"], store.files.damaged_path(content.id), content.size, read[1])


def _has_file_still(store: NodeStore, node: str, content: Content) -> bool:
    with store.database.read() as connection:
        return any(row["id"] == node and row["content_id"] == content.id for row in connection.execute(_FILES))
