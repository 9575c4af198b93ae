"""Copies of images whose layers are no ranges of their nodes' files: published before ranges were, or by other tools.

Made when such an image is first asked for, which takes as long as reading it all.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from skyport_wf.decoding import decode_json
from skyport_wf.formatting import human_size
from skyport_wf.image.archive.canonical import save_canonical
from skyport_wf.image.contents import SavedArchive
from skyport_wf.image_list.reference import parse_reference
from skyport_wf.output_file import replace_file
from skyport_wf.progress import UNSEEN
from skyport_wf.publication.thin import name_of
from skyport_wf.registry.made_files import LARGEST, MadeFiles
from skyport_wf.registry.stored_image import NoRangesError, StoredBlob, StoredImage, place_layers, read_config
from skyport_wf.transfer.thin_chain import open_whole

if TYPE_CHECKING:
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import Node


class Copies:
    """The copies on this machine, which other processes may make and use, too."""

    def __init__(self) -> None:
        self._archives = MadeFiles("copies", ".tar.gz")
        self._making = threading.Lock()

    def find(self, node_id: str) -> StoredImage | None:
        """Return the image of a node if there is a copy of it."""
        path = self._archives.find(node_id)
        try:
            saved = path and decode_json(_note(path).read_bytes(), SavedArchive)
            return _image(node_id, path, saved) if path and saved else None
        except (OSError, msgspec.DecodeError):
            return None

    def find_layer(self, digest: str) -> list[str]:
        """Return the ids of the nodes with a copy that has a layer of this digest."""
        return [
            node_id
            for node_id in self._archives.known()
            if (image := self.find(node_id)) and any(layer.digest == digest for layer in image.layers)
        ]

    def make(self, shock: ShockClient, chain: Sequence[Node]) -> StoredImage:
        """Return the image on the last node of a chain, of a copy that is made if there is none.

        Raises NoRangesError if the image is too large for that.
        """
        node = chain[-1]
        size = sum(below.file.size for below in chain)
        if size > LARGEST:
            raise NoRangesError(
                f"{name_of(node)} was published without ranges, and its {human_size(size)} are too much to make them "
                "here. Publish it again under a new tag."
            )
        path = self._archives.path(node.id)
        # One at a time, whatever is asked for: each takes a processor, and the disk.
        with self._making:
            if found := self.find(node.id):
                return found
            self._archives.make_room(size)
            _note(path).unlink(missing_ok=True)
            with open_whole(shock, chain, UNSEEN) as archive:
                saved = save_canonical(archive, parse_reference(name_of(node)), path)
            with replace_file(_note(path)) as file:
                file.write(msgspec.json.encode(saved))
        return _image(node.id, path, saved)

    def open(self, node_id: str) -> BinaryIO:
        """Open the copy's file. Raises OSError if it is gone."""
        return self._archives.path(node_id).open("rb")


def _note(path: Path) -> Path:
    """Return the file that says what is in a copy."""
    return path.with_name(f"{path.name}.json")


def _image(node_id: str, path: Path, saved: SavedArchive) -> StoredImage:
    layers = saved.digests.layers

    def read(offset: int, size: int) -> bytes:
        with path.open("rb") as file:
            return os.pread(file.fileno(), size, offset)

    config = read_config(read, saved.digests.size, layers, image_id=saved.contents.image_id)
    sizes = {layer.diff_id: layer.size for layer in saved.contents.layers}
    stored = {
        layer.diff_id: StoredBlob(
            layer.digest, layer.size, node_id, layer.offset, layer.diff_id, sizes[layer.diff_id], is_copied=True
        )
        for layer in layers
    }
    return StoredImage(node_id, config, place_layers(config, stored))
