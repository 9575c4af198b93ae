"""Parts joined into one file, in the background, by exactly one process at a time.

A node stays locked until its file is whole. If the process that joins dies, the next one that opens the store
or looks after it starts again: whoever is joining holds a file lock, which ends with its process.
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
from skyport_wf.store.refusals import NodeNotFoundError, RefusedError
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

    def start(self, identity: str) -> None:
        """Begin to join the parts of a node, unless we are at it already."""
        with self._starting:
            if identity not in self._active:
                self._active.add(identity)
                self._threads = self._threads or ThreadPoolExecutor(max_workers=2, thread_name_prefix="join")
                self._threads.submit(self._run, identity)

    def resume(self) -> None:
        """Begin with every node that someone else left locked."""
        asked = "SELECT id FROM node WHERE locked_since IS NOT NULL AND lock_error = ''"
        with self._nodes.database.read() as connection:
            left = [row["id"] for row in connection.execute(asked)]
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
        except BlockingIOError:
            _log.debug("node %s: its parts are being joined by another process", identity)
        except Exception as error:
            _log.warning("node %s: joining its parts failed: %s", identity, error, exc_info=True)
            # Best effort: where even this fails, whoever opens the store next tries again.
            with suppress(Exception):
                self._note_failure(identity, str(error) or type(error).__name__)
        finally:
            with self._starting:
                self._active.discard(identity)

    def _join(self, staging: Staging, identity: str) -> None:
        try:
            node = self._nodes.read(identity, OURSELVES)
            if not node.is_joining or not node.parts:
                return
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

    def _note_failure(self, identity: str, reason: str) -> None:
        """Say on a node why its parts could not be joined."""
        with self._nodes.database.write() as connection:
            found = find_node(connection, identity, timestamp())
            if found and found[1].lock and found[1].is_joining:
                failed = msgspec.structs.replace(found[1], lock=Lock(found[1].lock.since, reason))
                update_node(connection, *found, failed)
