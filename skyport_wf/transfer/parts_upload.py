"""Sending a large archive in parts: after an interruption only those that are missing go up again."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.errors import TemporaryError
from skyport_wf.image.contents import ArchiveDigests
from skyport_wf.progress import UNSEEN, Progress
from skyport_wf.publication.attributes import UPLOAD_EXPIRATION, describe_upload
from skyport_wf.records.records import BuildRecord
from skyport_wf.transfer.concurrency import run_concurrently
from skyport_wf.transfer.earlier import find_uploads, take_up
from skyport_wf.transfer.parts import Part, ReadRange, md5_of_part, plan_parts
from skyport_wf.transfer.parts_node import UnusableNodeError, await_joined, put_part
from skyport_wf.transfer.unfinished import ProgressFile, begin

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock
    from skyport_wf.shock.node import Node

_log = logging.getLogger(__name__)


class PartsUpload:
    """One archive on its way to a hidden, expiring node."""

    def __init__(
        self,
        shock: Shock,
        build: BuildRecord,
        read: ReadRange,
        digests: ArchiveDigests,
        *,
        progress_file: ProgressFile,
    ) -> None:
        """Send the archive of these digests that holds the image of `build`.

        read: gives its bytes.
        progress_file: names the node of an upload that was interrupted; which parts it has, the server knows.
        """
        self._shock = shock
        self._build = build
        self._read = read
        self._size = digests.size
        self._parts = plan_parts(digests.size, build.shock)
        self._progress_file = progress_file
        self._upload = begin(shock.url, build.name, digests.size, digests.md5, self._parts[0].size)

    def find_unfinished(self) -> Node | None:
        """Return the node of an earlier attempt if it can be gone on with: the one remembered, or one that is there."""
        node = self._find_remembered()
        if node is not None:
            return node
        wanted = self._attributes().items()
        for found in find_uploads(self._shock, self._build):
            in_parts = found.parts is not None and found.parts.count == len(self._parts)
            if in_parts and wanted <= (found.attributes or {}).items() and take_up(self._shock, found):
                self._progress_file.write(msgspec.structs.replace(self._upload, node=found.id))
                return found
        return None

    def _find_remembered(self) -> Node | None:
        from skyport_wf.shock.connection import ShockRefusalError

        node_id = self._progress_file.read(self._upload)
        try:
            node = self._shock.user.find(node_id) if node_id else None
        except ShockRefusalError:
            # It was another user's, before the token was changed.
            return None
        if node is None or node.parts is None or node.parts.count != len(self._parts):
            return None
        # It may have been registered since, or retired; or was begun without a token, and anybody may write to it.
        return node if take_up(self._shock, node) else None

    def _attributes(self) -> dict[str, object]:
        """Return what the node is known by."""
        return {
            **describe_upload(self._build), "archive_md5": self._upload.md5, "part_size": self._upload.part_size
        }  # fmt: skip

    def finish(self, node: Node | None, progress: Progress) -> Node:
        """Send what is missing, and return the node when the server has joined its parts.

        node: of an earlier attempt that is gone on with; a new one is made if None.
        progress: called with the bytes of each part that has arrived, now or earlier.
        Raises TemporaryError if parts cannot be sent, or arrive as something else. Done again, after that or
        after a crash, it sends what is missing.
        """
        try:
            return self._finish(node or self._begin(), progress)
        except UnusableNodeError as error:
            _log.warning("%s: %s. Starting anew.", self._build.name, error)
        try:
            return self._finish(self._begin(), UNSEEN)
        except UnusableNodeError as error:
            raise TemporaryError(f"{self._build.name}: {error}. Run the command again, it starts anew.") from error

    def _begin(self) -> Node:
        """Make a node for the parts, and remember it."""
        node = self._shock.user.create_for_parts(
            len(self._parts),
            file_name=self._build.file_name,
            attributes=self._attributes(),
            expiration=UPLOAD_EXPIRATION,
        )
        self._progress_file.write(msgspec.structs.replace(self._upload, node=node.id))
        return node

    def _finish(self, node: Node, progress: Progress) -> Node:
        """Send what the node has not got. Raises UnusableNodeError, and deletes the node, if that cannot be done."""
        there = node.part_md5s
        _log.info(
            "sending %s to node %s in %d parts, it has %d", self._build.name, node.id, len(self._parts), len(there)
        )

        def send(part: Part, stopping: threading.Event) -> Part:
            digest = md5_of_part(self._read, part, stopping)
            put_part(self._shock, node.id, part, self._read, digest=digest, there=there, stopping=stopping)
            return part

        try:
            for part in run_concurrently(send, self._parts, at_once=self._build.shock.connections):
                progress(part.size)
            return await_joined(self._shock, node.id, self._size)
        except UnusableNodeError:
            self._progress_file.remove()
            self._shock.user.drop(node.id)
            raise
