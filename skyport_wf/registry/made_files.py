"""Files that a registry makes of images once, to hand them out again: in the user's cache, up to a size in all.

They can go at any time, and are made again then.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from skyport_wf.cache import cache_folder
from skyport_wf.errors import SkyportError
from skyport_wf.shock.node import NODE_ID

LARGEST: Final = 20 * 10**9
"""Bytes of all the files; what is larger by itself is not made."""


class MadeFiles:
    """The files of one kind, each known by the id of the node that it is made of."""

    def __init__(self, kind: str, suffix: str) -> None:
        """Keep files with this suffix in a folder of the cache. kind: the folder's name."""
        self._kind = kind
        self._suffix = suffix

    def path(self, node_id: str) -> Path:
        """Return where the file of a node is, or would be. Raises SkyportError for an id that leads elsewhere."""
        if not re.fullmatch(NODE_ID, node_id):
            raise SkyportError(f"{node_id[:100]!a} is no id of a node.")
        return self._folder / f"{node_id}{self._suffix}"

    def find(self, node_id: str) -> Path | None:
        """Return the file of a node, which others make room for now; None if there is none."""
        # What needs no such file is handed out also where none can be made.
        with suppress(OSError, SkyportError):
            path = self.path(node_id)
            os.utime(path)
            return path
        return None

    def known(self) -> Iterator[str]:
        """Yield the ids of the nodes that there are files of."""
        with suppress(SkyportError):
            for path in self._folder.glob(f"*{self._suffix}"):
                yield path.name.removesuffix(self._suffix)

    def make_room(self, size: int) -> None:
        """Remove the files that were not asked for the longest, until there is room for one of this size."""
        entries = [(path, path.stat()) for path in self._folder.glob(f"*{self._suffix}")]
        entries.sort(key=lambda entry: entry[1].st_mtime)
        taken = sum(status.st_size for _, status in entries)
        for path, status in entries:
            if taken + size <= LARGEST:
                return
            # With what is noted about it.
            for file in path.parent.glob(f"{path.name}*"):
                file.unlink(missing_ok=True)
            taken -= status.st_size

    @property
    def _folder(self) -> Path:
        return cache_folder("registry", self._kind)
