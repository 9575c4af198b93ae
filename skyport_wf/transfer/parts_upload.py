"""Sending a large archive in parts: after an interruption only those that are missing go up again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.errors import ShockError, SkyportError, TemporaryError
from skyport_wf.image.contents import ArchiveDigests
from skyport_wf.publication.attributes import UPLOAD_TYPE, describe_upload
from skyport_wf.publication.take_name import UPLOAD_EXPIRATION
from skyport_wf.records.records import BuildRecord
from skyport_wf.transfer.concurrency import run_concurrently
from skyport_wf.transfer.parts import Part, md5_of_part, plan_parts, read_part
from skyport_wf.transfer.send import archive_name
from skyport_wf.transfer.unfinished import ProgressFile, begin

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock
    from skyport_wf.shock.node import Node

_log = logging.getLogger(__name__)
_JOINING_SECONDS, _JOINED_PER_SECOND = 300, 5_000_000
"""How long joining may take: this, and at least so many bytes a second."""
_FORGOTTEN_SECONDS = 10
"""For how long a node may have all its parts, no file, and no joining under way."""
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0


class _UnusableNodeError(SkyportError):
    """The node cannot become what was sent: Shock never takes a part a second time."""


class PartsUpload:
    """One archive on its way to a hidden, expiring node."""

    def __init__(
        self,
        shock: Shock,
        build: BuildRecord,
        archive: Path,
        digests: ArchiveDigests,
        *,
        progress_file: ProgressFile,
    ) -> None:
        """Send the file `archive`, of these digests, that holds the image of `build`.

        progress_file: names the node of an upload that was interrupted; which parts it has, the server knows.
        """
        self._shock = shock
        self._build = build
        self._archive = archive
        self._size = digests.size
        self._parts = plan_parts(digests.size, build.shock)
        self._progress_file = progress_file
        self._upload = begin(shock.url, build.name, digests.size, digests.md5, self._parts[0].size)

    def find_unfinished(self) -> Node | None:
        """Return the node of an earlier attempt if it can be gone on with."""
        from skyport_wf.shock.connection import ShockRefusalError

        node_id = self._progress_file.read(self._upload)
        try:
            node = self._shock.user.find(node_id) if node_id else None
        except ShockRefusalError:
            # It was another user's, before the token was changed.
            return None
        if node is None or node.parts is None or node.parts.count != len(self._parts):
            return None
        # A node that has been registered since, or retired, is not for us to touch.
        return node if (node.attributes or {}).get("type") == UPLOAD_TYPE and node.expires else None

    def finish(self, node: Node | None, progress: Callable[[int], None]) -> Node:
        """Send what is missing, and return the node when the server has joined its parts.

        node: of an earlier attempt that is gone on with; a new one is made if None.
        progress: called with the bytes of each part that has arrived, now or earlier.
        Raises TemporaryError if parts cannot be sent, or arrive as something else. Done again, after that or
        after a crash, it sends what is missing.
        """
        try:
            return self._finish(node or self._begin(), progress)
        except _UnusableNodeError as error:
            _log.warning("%s: %s. Starting anew.", self._build.name, error)
        try:
            return self._finish(self._begin(), lambda size: None)
        except _UnusableNodeError as error:
            raise TemporaryError(f"{self._build.name}: {error}. Run the command again, it starts anew.") from error

    def _begin(self) -> Node:
        """Make a node for the parts, and remember it."""
        node = self._shock.user.create_for_parts(
            len(self._parts),
            file_name=archive_name(self._build),
            attributes=describe_upload(self._build),
            expiration=UPLOAD_EXPIRATION,
        )
        self._progress_file.write(msgspec.structs.replace(self._upload, node=node.id))
        return node

    def _finish(self, node: Node, progress: Callable[[int], None]) -> Node:
        """Send what the node has not got. Raises _UnusableNodeError, and deletes the node, if that cannot be done."""
        arrived = sum(node.md5_of_part(part.number) is not None for part in self._parts)
        _log.info("sending %s to node %s in %d parts, it has %d", self._build.name, node.id, len(self._parts), arrived)

        def send(part: Part, stopping: threading.Event) -> Part:
            """Let the node have the part, and see that it is the right one."""
            digest = md5_of_part(self._archive, part, stopping)
            listed = node.md5_of_part(part.number) or self._send(node.id, part, stopping)
            if listed != digest:
                raise _UnusableNodeError(
                    f"part {part.number} arrived damaged: {self._shock.name} lists it with MD5 {listed}, it has "
                    f"{digest}"
                )
            return part

        try:
            for part in run_concurrently(send, self._parts, at_once=self._build.shock.connections):
                progress(part.size)
            return self._await_joined(node.id)
        except _UnusableNodeError:
            self._progress_file.remove()
            try:
                self._shock.user.delete(node.id)
            except (ShockError, TemporaryError) as error:
                _log.info("the unfinished upload %s stays until it expires: %s", node.id, error)
            raise

    def _send(self, node_id: str, part: Part, stopping: threading.Event) -> str:
        from skyport_wf.shock.connection import ShockRefusalError

        try:
            return self._shock.user.send_part(
                node_id, part.number, lambda: read_part(self._archive, part, stopping),
                size=part.size, stopping=stopping,
            )  # fmt: skip
        except ShockRefusalError as error:
            if error.status == 404:
                raise self._vanished(node_id) from error
            raise

    def _await_joined(self, node_id: str) -> Node:
        until = time.monotonic() + _JOINING_SECONDS + self._size / _JOINED_PER_SECOND
        forgotten = until
        pause = _SHORTEST_PAUSE
        while True:
            node = self._shock.user.find(node_id)
            if node is None:
                raise self._vanished(node_id)
            if node.file.complete:
                return node
            what = f"{self._shock.name} could not join the parts of node {node_id}"
            if node.file.locked and node.file.locked.error:
                raise _UnusableNodeError(f"{what}: {node.file.locked.error}")
            now = time.monotonic()
            # A server that is started again while it joins never goes on. Its node then looks, for ever, as otherwise
            # only for the moment between the last part and the beginning of joining.
            forgotten = until if node.file.locked else min(forgotten, now + _FORGOTTEN_SECONDS)
            if now > forgotten:
                raise _UnusableNodeError(f"{what}: it has forgotten them")
            if now > until:
                raise _UnusableNodeError(f"{what} in reasonable time")
            time.sleep(pause)
            pause = min(1.5 * pause, _LONGEST_PAUSE)

    def _vanished(self, node_id: str) -> _UnusableNodeError:
        return _UnusableNodeError(f"the unfinished upload {node_id} vanished from {self._shock.name}")
