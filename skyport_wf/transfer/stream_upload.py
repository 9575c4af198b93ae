"""Sending an archive part after part as it is made, before anybody knows how long it will be.

The same image makes the same archive again, so after an interruption the parts that have arrived are not sent again.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from skyport_wf.errors import ArchiveError, TemporaryError
from skyport_wf.publication.attributes import UPLOAD_EXPIRATION, describe_upload
from skyport_wf.records.records import BuildRecord
from skyport_wf.transfer.concurrency import run_concurrently
from skyport_wf.transfer.earlier import find_uploads, take_up
from skyport_wf.transfer.parts import Part, cut_into_parts
from skyport_wf.transfer.parts_node import UnusableNodeError, await_joined, put_part

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock
    from skyport_wf.shock.node import Node

_log = logging.getLogger(__name__)
_PART_SIZE = "part_size"
"""The attribute of an upload that says how many bytes each part has, but the last."""


class StreamUpload:
    """One archive on its way to a hidden, expiring node."""

    def __init__(self, shock: Shock, build: BuildRecord, part_size: int) -> None:
        """Send the archive of the image of `build` in parts of `part_size` bytes, of which three are in memory."""
        self._shock = shock
        self._build = build
        self._part_size = part_size

    def send(self, open_content: Callable[[], Iterator[bytes]]) -> Node:
        """Send what has not arrived yet, and return the node when the server has joined its parts.

        open_content: gives the archive's pieces, once for each attempt.
        Raises TemporaryError if parts cannot be sent, or arrive as something else. Done again, after that or
        after a crash, it sends what is missing.
        """
        earlier = self._find_unfinished()
        try:
            return self._send(earlier or self._begin(), open_content(), keep=earlier is not None)
        except UnusableNodeError as error:
            _log.warning("%s: %s. Starting anew.", self._build.name, error)
        try:
            return self._send(self._begin(), open_content())
        except UnusableNodeError as error:
            raise TemporaryError(f"{self._build.name}: {error}. Run the command again, it starts anew.") from error

    def _find_unfinished(self) -> Node | None:
        for node in find_uploads(self._shock, self._build):
            in_parts = node.parts is not None and node.parts.varlen and not node.file.complete
            if in_parts and (node.attributes or {}).get(_PART_SIZE) == self._part_size and take_up(self._shock, node):
                return node
        return None

    def _begin(self) -> Node:
        return self._shock.user.create_for_parts(
            None,
            file_name=self._build.file_name,
            attributes={**describe_upload(self._build), _PART_SIZE: self._part_size},
            expiration=UPLOAD_EXPIRATION,
        )

    def _send(self, node: Node, content: Iterator[bytes], *, keep: bool = False) -> Node:
        """Send what the node has not got.

        keep: leave a node that turns out to be of no use until it expires: another run may be filling it, with an
            archive of another engine.
        """
        there = node.part_md5s
        _log.info("sending %s to node %s in parts, it has %d", self._build.name, node.id, len(there))

        def put(item: tuple[Part, bytes], stopping: threading.Event) -> Part:
            part, data = item
            digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
            put_part(
                self._shock,
                node.id,
                part,
                lambda start, size: iter([data]),
                digest=digest,
                there=there,
                stopping=stopping,
            )
            return part

        count = size = 0
        try:
            # In their order, as nobody has seen how a server takes others whose number it does not know. While one is
            # sent, the next is read.
            for part in run_concurrently(put, cut_into_parts(content, self._part_size), at_once=1):
                count, size = part.number, part.start + part.size
            if max(there, default=0) > count:
                raise UnusableNodeError(f"node {node.id} has parts of another archive")
            self._shock.user.close_parts(node.id)
            return await_joined(self._shock, node.id, size)
        except (UnusableNodeError, ArchiveError):
            if not keep:
                self._shock.user.drop(node.id)
            raise
