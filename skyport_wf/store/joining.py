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
from skyport_wf.store.files import Staging
from skyport_wf.store.nodes import NodeStore
from skyport_wf.store.refusals import NodeNotFoundError, RefusedError
from skyport_wf.store.rows import find_node, update_node
from skyport_wf.store.unpacking import COMPRESSIONS, Unpacker
from skyport_wf.store.values import OURSELVES, Content, Lock, Node, Parts, timestamp

_log = logging.getLogger("skyport_wf.store")


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
                self._threads.submit(self._join, identity)

    def resume(self) -> None:
        """Begin with every node that someone else left locked."""
        for identity in _unjoined(self._nodes):
            self.start(identity)

    def close(self) -> None:
        """Wait until everything is joined."""
        with self._starting:
            threads, self._threads = self._threads, None
        if threads:
            threads.shutdown()

    def _join(self, identity: str) -> None:
        try:
            with self._nodes.files.stage(f"join-{identity}") as staging:
                self._join_into(staging, identity)
        except BlockingIOError:
            _log.debug("node %s: its parts are being joined by another process", identity)
        except Exception as error:
            _log.warning("node %s: joining its parts failed: %s", identity, error, exc_info=True)
            with suppress(Exception):
                _fail(self._nodes, identity, str(error) or type(error).__name__)
        finally:
            with self._starting:
                self._active.discard(identity)

    def _join_into(self, staging: Staging, identity: str) -> None:
        try:
            node = self._nodes.read(identity, OURSELVES)
            if not _is_waiting(node) or not node.parts:
                return
            self._copy(node.parts, staging)
        except NodeNotFoundError:
            return
        except FileNotFoundError:
            # The node was deleted, or someone else was faster, while we read its parts.
            if self._is_waiting_still(identity):
                raise
            return
        content = staging.keep()
        # Committed first, as in nodes.py; taken back if the node does not want it.
        staging.commit()
        if not _complete(self._nodes, identity, content):
            self._nodes.files.remove(content.id)

    def _copy(self, parts: Parts, staging: Staging) -> None:
        unpacker = next((Unpacker(name) for name in COMPRESSIONS if name == parts.compression), None)
        for part in parts.present:
            with self._nodes.files.open(part.content.id) as file:
                while data := file.read(PIECE):
                    for piece in unpacker.feed(data) if unpacker else (data,):
                        staging.write(piece)
        if unpacker:
            unpacker.finish()

    def _is_waiting_still(self, identity: str) -> bool:
        try:
            return _is_waiting(self._nodes.read(identity, OURSELVES))
        except RefusedError:
            return False


def _is_waiting(node: Node) -> bool:
    return bool(node.lock and not node.lock.error and not node.content)


def _unjoined(nodes: NodeStore) -> tuple[str, ...]:
    """Return the ids of the nodes whose parts are all there, but not joined."""
    asked = "SELECT id FROM node WHERE locked_since IS NOT NULL AND lock_error = ''"
    with nodes.database.read() as connection:
        return tuple(row["id"] for row in connection.execute(asked))


def _complete(nodes: NodeStore, identity: str, content: Content) -> bool:
    """Give a node the file that its parts were joined into; return False if it wants it no more."""
    with nodes.database.write() as connection:
        now = timestamp()
        found = find_node(connection, identity, now)
        if not found or not _is_waiting(found[1]):
            return False
        serial, before = found
        # Shock names a joined file after its node if nobody named it.
        file_name = before.file_name or identity
        node = msgspec.structs.replace(
            before, content=content, content_since=now, last_modified=now, lock=None, file_name=file_name
        )
        update_node(connection, serial, before, node)
        unused = [part.content.id for part in node.parts.present] if node.parts else []
        for part in unused:
            nodes.files.doubt(part)
    nodes.remove_files(unused)
    return True


def _fail(nodes: NodeStore, identity: str, reason: str) -> None:
    """Note on a node why its parts could not be joined."""
    with nodes.database.write() as connection:
        found = find_node(connection, identity, timestamp())
        if found and found[1].lock and _is_waiting(found[1]):
            lock = Lock(found[1].lock.since, reason)
            update_node(connection, *found, msgspec.structs.replace(found[1], lock=lock))
