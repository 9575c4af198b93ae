"""Parts joined into one file, in the background, by exactly one process at a time.

A node stays locked until its file is whole. If the process that joins dies, or the disk is full, the next one that
opens the store or looks after it starts again: whoever is joining holds a file lock, which ends with its process.
"""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import msgspec

from skyport_wf.byte_streams import PIECE
from skyport_wf.store.access import OURSELVES
from skyport_wf.store.database import timestamp
from skyport_wf.store.files import Content, Staging
from skyport_wf.store.node import Lock
from skyport_wf.store.node_store import NodeStore
from skyport_wf.store.refusals import SERVER_FULL, FullError, NodeNotFoundError, RefusedError, StoreError
from skyport_wf.store.rows import find_node, update_node
from skyport_wf.store.unpacking import COMPRESSIONS, Unpacker

_log = logging.getLogger(__name__)


class Joiner:
    """The threads that join; an interpreter that ends waits for them."""

    def __init__(self, nodes: NodeStore) -> None:
        self._nodes = nodes
        self._starting = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None
        self._active: set[str] = set()
        self._lacking_room: set[str] = set()

    def start(self, identity: str) -> None:
        """Begin to join the parts of a node, unless we are at it already, or nobody can write here."""
        if self._nodes.folder.is_read_only():
            return
        with self._starting:
            if identity not in self._active:
                self._active.add(identity)
                self._threads = self._threads or ThreadPoolExecutor(max_workers=2, thread_name_prefix="join")
                self._threads.submit(self._run, identity)

    def resume(self) -> None:
        """Begin with every node that someone else left locked, or for which there was no room."""
        asked = "SELECT id FROM node WHERE locked_since IS NOT NULL AND (lock_error = '' OR lock_error GLOB ?)"
        with self._nodes.database.read() as connection:
            left = [row["id"] for row in connection.execute(asked, (f"{SERVER_FULL}*",))]
        for identity in left:
            self.start(identity)

    def close(self) -> None:
        """Wait until everything is joined."""
        with self._starting:
            threads, self._threads = self._threads, None
        if threads:
            threads.shutdown()

    def _run(self, identity: str) -> None:
        """Join the parts of a node, whatever happens: nobody hears of what a thread raises."""
        try:
            with self._nodes.files.stage(f"join-{identity}") as staging:
                self._join(staging, identity)
                self._lacking_room.discard(identity)
        except BlockingIOError:
            _log.debug("node %s: its parts are being joined by another process", identity)
        except Exception as error:
            self._fail(identity, error)
        finally:
            with self._starting:
                self._active.discard(identity)

    def _fail(self, identity: str, error: Exception) -> None:
        """Say in the log, and on the node, that its parts could not be joined."""
        failure = self._nodes.folder.failure(error) if isinstance(error, OSError) else error
        if not isinstance(failure, FullError):
            _log.warning("node %s: joining its parts failed: %s", identity, error, exc_info=error)
        elif identity not in self._lacking_room:
            # Once, though it is tried again and again.
            self._lacking_room.add(identity)
            _log.warning("node %s: its parts cannot be joined yet: %s", identity, failure)
        reason = failure.public_words if isinstance(failure, StoreError) else str(failure)
        # Best effort: where even this fails, whoever opens the store next tries again.
        with suppress(Exception):
            self._note(identity, reason or type(error).__name__)

    def _join(self, staging: Staging, identity: str) -> None:
        try:
            node = self._nodes.read(identity, OURSELVES)
            if not node.is_joining or not node.parts:
                return
            # Before anything is copied in vain.
            staging.expect(sum(part.content.size for part in node.parts.present))
            if node.lock and node.lock.error:
                # Whoever asks sees that it goes on.
                self._note(identity, "")
            unpacker = next((Unpacker(name) for name in COMPRESSIONS if name == node.parts.compression), None)
            for part in node.parts.present:
                with self._nodes.files.open(part.content.id) as file:
                    while data := file.read(PIECE):
                        for piece in unpacker.feed(data) if unpacker else (data,):
                            staging.write(piece)
            if unpacker:
                unpacker.finish()
        except NodeNotFoundError:
            return
        except FileNotFoundError:
            # The node was deleted, or someone else was faster, while we read its parts.
            with suppress(RefusedError):
                if self._nodes.read(identity, OURSELVES).is_joining:
                    raise
            return
        content = staging.keep()
        staging.commit()
        self._nodes.remove_files(self._give_file(identity, content))

    def _give_file(self, identity: str, content: Content) -> list[str]:
        """Give a node the file that its parts were joined into, and return the files that are of no use now."""
        with self._nodes.database.write() as connection:
            now = timestamp()
            found = find_node(connection, identity, now)
            unused = [content.id]
            # Deleted meanwhile, or joined by someone else: then our file is of no use.
            if found and found[1].is_joining and found[1].parts:
                serial, node = found
                unused = [part.content.id for part in found[1].parts.present]
                # Shock names a joined file after its node if nobody named it.
                name = node.file_name or identity
                joined = msgspec.structs.replace(
                    node, content=content, content_since=now, last_modified=now, lock=None, file_name=name
                )
                update_node(connection, serial, node, joined)
            for file in unused:
                self._nodes.files.doubt(file)
        return unused

    def _note(self, identity: str, reason: str) -> None:
        """Say on a node why its parts could not be joined; an empty text: that they are being joined."""
        with self._nodes.database.write() as connection:
            found = find_node(connection, identity, timestamp())
            if found and found[1].lock and found[1].is_joining and found[1].lock.error != reason:
                noted = msgspec.structs.replace(found[1], lock=Lock(found[1].lock.since, reason))
                update_node(connection, *found, noted)
