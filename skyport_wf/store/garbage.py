"""What crashes leave behind on disk: files that were being written, and files that no node has."""

from pathlib import Path

import msgspec

from skyport_wf.store.files import lock_unused
from skyport_wf.store.nodes import NodeStore
from skyport_wf.store.rows import is_referenced
from skyport_wf.store.values import is_uuid


class Orphan(msgspec.Struct, frozen=True):
    """A file in the store's folder that nobody needs."""

    path: Path
    """Where it is."""
    size: int
    """In bytes."""


def collect_garbage(store: NodeStore, *, remove: bool) -> tuple[Orphan, ...]:
    """Return the files that nobody needs, and remove them if asked to; nodes are never touched.

    Safe while others use the store: a file that someone is writing is locked by them.
    """
    return tuple(orphan for path in store.files if (orphan := _examine(store, path, remove)))


def _examine(store: NodeStore, path: Path, remove: bool) -> Orphan | None:
    """Return the file if nobody needs it.

    First the lock, then the question: whoever was writing has told the database before unlocking.
    """
    file = lock_unused(path)
    if file is None:
        return None
    with file:
        if path.parent != store.files.staging and _is_known(store, path.name):
            return None
        orphan = Orphan(path, path.stat().st_size)
        if remove:
            path.unlink()
        return orphan


def _is_known(store: NodeStore, name: str) -> bool:
    with store.database.read() as connection:
        return is_uuid(name) and is_referenced(connection, name)
