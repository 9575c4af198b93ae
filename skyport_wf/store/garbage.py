"""Files that crashes leave behind: half written ones, and those that no node has."""

import logging
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from skyport_wf.formatting import count
from skyport_wf.store.database import is_uuid, timestamp
from skyport_wf.store.files import lock_unused
from skyport_wf.store.node_store import NodeStore
from skyport_wf.store.refusals import StoreError
from skyport_wf.store.rows import is_referenced

_CLOCKS = timedelta(minutes=1)
"""Clocks may differ by this much between what a file and the database say."""

_log = logging.getLogger(__name__)


class Orphan(msgspec.Struct, frozen=True):
    """A file in the store's folder that nobody needs."""

    path: Path
    """Its place on disk."""
    size: int
    """In bytes."""


def collect_garbage(store: NodeStore, *, remove: bool) -> tuple[Orphan, ...]:
    """Return the files that nobody needs, and remove them if asked to; nodes are never touched.

    Looks at every file there is. Safe while others use the store: a file that someone is writing is locked.
    Raises StoreError, and removes nothing, if there are files that are older than the database; DamagedError, if that
    is damaged.
    """
    with store.folder.failing_in_words():
        store.database.require_intact()
        files = [path for path in store.files if path.parent != store.folder.doubtful]
        if remove:
            _require_own_database(store, [orphan.path for orphan in _find_orphans(store, files, remove=False)])
        orphans = _find_orphans(store, files, remove=remove)
        if remove:
            _settle(store, is_intact=True)
    return orphans


def tidy(store: NodeStore) -> None:
    """Remove what a crash left: quickly, as it is known where that can be."""
    for orphan in _find_orphans(store, store.folder.staging.glob("*"), remove=True):
        _log.info("removed %s (%d bytes), which a crash left behind", orphan.path, orphan.size)
    _settle(store)


def _require_own_database(store: NodeStore, orphans: list[Path]) -> None:
    """Raise StoreError if an orphan is older than the database: then it is another database's, which knows its node."""
    made = store.database.created_on()
    if not made:
        return
    limit = timestamp(datetime.fromisoformat(made) - _CLOCKS)
    older = []
    for path in orphans:
        with suppress(FileNotFoundError):
            if path.parent != store.folder.staging and timestamp(_modified(path)) < limit:
                older.append(path)
    if older:
        raise StoreError(
            f"{store.folder.database} was made on {made[:19]}, after {count(len(older), 'file')} that it does not "
            f"know, such as {older[0]}. They may be the images of a database that was moved away: put that one back. "
            "If they are not, remove them yourself. Nothing was removed."
        )


def _modified(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _settle(store: NodeStore, *, is_intact: bool = False) -> None:
    """Ask the database about each file in doubt, and remove those that no node has.

    is_intact: whether that of the database is known. Else it is looked at, as it takes long, only where there is a
        file to remove.
    Raises DamagedError, and removes nothing, if the database is damaged.
    """
    for note in store.folder.doubtful.glob("*"):
        # In this order, as the file goes from the one place to the other.
        if (store.folder.staging / note.name).exists() or not is_uuid(note.name):
            continue
        path = store.files.path(note.name)
        file = lock_unused(path)
        if file is None:
            if not path.exists():
                note.unlink(missing_ok=True)
            continue
        with file:
            if not is_intact and not _is_known(store, note.name):
                # Before it is our turn to write, so that nobody waits for it.
                store.database.require_intact()
                is_intact = True
            # The database's answer holds only while nobody writes: the file may just be about to go.
            with store.database.write() as connection:
                if is_referenced(connection, note.name):
                    note.unlink(missing_ok=True)
                elif is_intact:
                    path.unlink(missing_ok=True)
                    _log.info("removed %s, which a crash left behind", path)
                    note.unlink(missing_ok=True)


def _find_orphans(store: NodeStore, paths: Iterable[Path], *, remove: bool) -> tuple[Orphan, ...]:
    """Return those of the files that nobody needs, removed if asked to."""
    orphans = []
    for path in paths:
        # First the lock, then the question: whoever was writing has told the database before unlocking.
        file = lock_unused(path)
        if file is None:
            continue
        with file:
            if path.parent != store.folder.staging and is_uuid(path.name) and _is_known(store, path.name):
                continue
            orphans.append(Orphan(path, path.stat().st_size))
            if remove:
                path.unlink(missing_ok=True)
    return tuple(orphans)


def _is_known(store: NodeStore, content: str) -> bool:
    with store.database.read() as connection:
        return is_referenced(connection, content)
