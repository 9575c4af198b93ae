"""The contents of images, as far as they are known: the packages that their nodes list, and what reading them told."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.decoding import decode_json
from skyport_wf.errors import SkyportError
from skyport_wf.image.examination.packages.operating_system import OperatingSystem
from skyport_wf.image.examination.packages.package import Package
from skyport_wf.image.examination.waste import WastedFile
from skyport_wf.output_file import replace_file
from skyport_wf.progress import UNSEEN, Progress
from skyport_wf.publication.package_lists import listed_packages
from skyport_wf.publication.thin import id_of, name_of, same_image
from skyport_wf.registry.bounded_cache import BoundedCache
from skyport_wf.registry.made_files import MadeFiles

if TYPE_CHECKING:
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import Node

_MOST_WAITING = 8
"""Images that are being read, or wait for that."""
_MEMORY = 64 << 20
"""Bytes of documents that are kept decoded; in memory they take some times as much."""


class BusyError(SkyportError):
    """So many images are being read that one more has to wait for another time."""


class Findings(msgspec.Struct, frozen=True):
    """The contents of an image."""

    image_id: str
    packages: tuple[Package, ...]
    """In order of kind and name."""
    operating_system: OperatingSystem | None = None
    """None if the image does not say."""
    wasted: tuple[int, ...] | None = None
    """Bytes in each layer that the image does not show, the lowest layer first; None if unknown."""
    largest_wasted: tuple[WastedFile, ...] = ()
    has_bash: bool = True
    """False if no AWE task can start in it, for want of a /bin/bash."""
    notes: tuple[str, ...] = ()
    """Reasons why something is unknown, in sentences."""


class FindingsStore:
    """The findings of images on this machine. Threads share it, and processes the files."""

    def __init__(self) -> None:
        self._files = MadeFiles("findings", ".json")
        self._decoded = BoundedCache[Findings](_MEMORY)
        self._making = threading.Lock()
        self._waiting = threading.BoundedSemaphore(_MOST_WAITING)

    def find(self, node: Node) -> Findings | None:
        """Return what is known of the image on a node; None if nothing is."""
        if found := self.find_read(node):
            return found
        listed = listed_packages(node)
        if listed is None:
            return None
        return Findings(
            listed.image_id, listed.packages, listed.operating_system, has_bash=listed.has_bash, notes=listed.notes
        )

    def find_read(self, node: Node) -> Findings | None:
        """Return what reading the image on a node told; None if it was never read on this machine."""
        found = self._decoded.get(node.id)
        if found is None:
            path = self._files.find(node.id)
            try:
                content = path.read_bytes() if path else b""
                found = decode_json(content, Findings) if content else None
            except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                return None
            if found:
                self._decoded.put(node.id, found, size=len(content))
        return found if found and same_image(found.image_id, id_of(node)) else None

    def make(self, shock: ShockClient, node: Node, progress: Progress = UNSEEN) -> Findings:
        """Return what is in the image on a node, read from it if it was never read.

        progress: follows the bytes that are read.
        Raises ArchiveError if the node's file is no image, ShockError or TemporaryError if it cannot be read, BusyError
        if too many others wait for theirs.
        """
        if not self._waiting.acquire(blocking=False):
            raise BusyError("Other images are being read. Try again when they are done.")
        try:
            # One at a time, whatever is asked for: each takes a processor.
            with self._making:
                return self.find_read(node) or self._make(shock, node, progress)
        finally:
            self._waiting.release()

    def _make(self, shock: ShockClient, node: Node, progress: Progress) -> Findings:
        from skyport_wf.inspection.show import examine_node

        found = examine_node(shock, node, name_of(node), progress)
        made = Findings(
            found.contents.image_id,
            found.packages,
            found.operating_system,
            found.waste.by_layer if found.waste else None,
            found.waste.largest if found.waste else (),
            found.has_bash,
            found.notes,
        )
        content = msgspec.json.encode(made)
        self._decoded.put(node.id, made, size=len(content))
        self._keep(node.id, content)
        return made

    def _keep(self, node_id: str, content: bytes) -> None:
        try:
            path = self._files.path(node_id)
            self._files.make_room(len(content))
            with replace_file(path) as file:
                file.write(content)
        except (OSError, SkyportError):
            # Without room on the disk it is read anew the next time.
            return
