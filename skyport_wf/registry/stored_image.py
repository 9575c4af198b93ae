"""The image on a node as a registry needs it: its config, and where each of its layers lies.

Layers are ranges of the node's file, as its attributes have them. Those of a thin image's base are on the base's node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from skyport_wf.byte_streams import ChunkReader
from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive.compression import CompressionError, decompressed
from skyport_wf.image.archive.manifest import image_id as id_of_config
from skyport_wf.image.archive.manifest import parse_config
from skyport_wf.image.archive.members import POLICY, read_members
from skyport_wf.image.contents import StoredLayer
from skyport_wf.image.distribution.manifests import Flavour, Manifest, make_manifest
from skyport_wf.image.distribution.parsing import LARGEST_CONFIG
from skyport_wf.image.tar.reader import TarReader
from skyport_wf.publication.attributes import read_attributes
from skyport_wf.publication.manifest import pushed_manifest
from skyport_wf.shock.file_part import read_exactly

if TYPE_CHECKING:
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import Node

_LARGEST_GAP: Final = LARGEST_CONFIG + (1 << 20)
"""Bytes of a file before its first layer or after its last one, uncompressed: manifest, config, headers, padding."""

ReadRange = Callable[[int, int], bytes]
"""Returns so many bytes of a file from an offset."""


class StoredBlob(msgspec.Struct, frozen=True):
    """A layer, where it is stored."""

    digest: str
    size: int
    node: str
    """The id of the node that has the image."""
    offset: int
    """Where it begins in the node's file, or in the copy of that."""
    diff_id: str
    unpacked: int
    """Bytes of the uncompressed layer, as the node's owner says."""
    is_copied: bool = False
    """Whether it is in a copy of the image, as the node's file has no such range."""


class StoredImage(msgspec.Struct, frozen=True):
    """An image on a node."""

    node: str
    """The node's id."""
    config: bytes
    layers: tuple[StoredBlob, ...]
    """The lowest first; one that the image has twice is there twice."""
    pushed: Manifest | None = None
    """The manifest with which it was pushed."""

    @property
    def image_id(self) -> str:
        """The image's id: the digest of its config."""
        return id_of_config(self.config)

    @property
    def preferred(self) -> Flavour:
        """The form of the manifest with which it was pushed; else Docker's, as the archive is one of Docker's."""
        pushed = self.pushed
        return next(
            (flavour for flavour in Flavour if pushed and flavour.media_type == pushed.media_type), Flavour.DOCKER
        )

    def manifest(self, flavour: Flavour) -> Manifest:
        """Return the image's manifest: the one with which it was pushed, if that has this form."""
        if self.pushed and self.pushed.media_type == flavour.media_type:
            return self.pushed
        config = (self.image_id, len(self.config))
        return make_manifest(flavour, config=config, layers=[(layer.digest, layer.size) for layer in self.layers])


class NoRangesError(ArchiveError):
    """The file of a node does not have the image's layers as ranges."""


def ranges_of(node: Node) -> tuple[StoredLayer, ...]:
    """Return the layers that a node's file has as ranges, as far as what its owner says of them makes sense."""
    attributes = read_attributes(node.attributes)
    known = attributes.skyport_wf if attributes else None
    found = sorted(known.archive.layers if known else (), key=lambda layer: layer.offset)
    end = 0
    for layer in found:
        if layer.offset < end or layer.size <= 0:
            return ()
        end = layer.offset + layer.size
    return tuple(found) if end <= node.file.size else ()


def read_stored_image(shock: ShockClient, chain: Sequence[Node]) -> StoredImage:
    """Return the image on the last node of a chain; only little of its file is read.

    chain: the node with those that it is thin on, the lowest first.
    Raises NoRangesError if the files were not written so that their layers are ranges.
    """
    node = chain[-1]
    own = ranges_of(node)

    def read(offset: int, size: int) -> bytes:
        with shock.download(node.id, part=(offset, size)) as stream:
            return b"".join(read_exactly(stream, size, f"the file of node {node.id}"))

    config = read_config(read, node.file.size, own, image_id=_image_id(node))
    stored: dict[str, StoredBlob] = {}
    for holder in chain:
        attributes = read_attributes(holder.attributes)
        known = attributes.skyport_wf if attributes else None
        sizes = {layer.diff_id: layer.size for layer in (known.layers if known else ())}
        for layer in ranges_of(holder):
            stored[layer.diff_id] = StoredBlob(
                layer.digest, layer.size, holder.id, layer.offset, layer.diff_id, sizes.get(layer.diff_id, 0)
            )
    layers = place_layers(config, stored)
    attributes = read_attributes(node.attributes)
    known = attributes.skyport_wf if attributes else None
    digests = [layer.digest for layer in layers]
    pushed = pushed_manifest(known, image_id=id_of_config(config), layers=digests) if known else None
    return StoredImage(node.id, config, layers, pushed)


def place_layers(config: bytes, stored: dict[str, StoredBlob]) -> tuple[StoredBlob, ...]:
    """Return the layers of the image with this config. stored: by diff id. Raises NoRangesError if one is missing."""
    layers = parse_config(config).rootfs.diff_ids or ()
    if missing := set(layers) - stored.keys():
        raise NoRangesError(f"layer {min(missing)} is no range of a file")
    return tuple(stored[diff_id] for diff_id in layers)


def read_config(read: ReadRange, size: int, layers: Sequence[StoredLayer], *, image_id: str) -> bytes:
    """Return the config of the image in an archive, which stands before its first layer or after its last.

    size, layers: of the archive.
    Raises NoRangesError if there is none with this id.
    """
    start = layers[0].offset if layers else size
    end = layers[-1].offset + layers[-1].size if layers else size
    for offset, length in ((0, start), (end, size - end)):
        if 0 < length <= _LARGEST_GAP:
            for document in _documents(read(offset, length)):
                if id_of_config(document) == image_id:
                    return document
    raise NoRangesError(f"the config {image_id} is not where it should be")


def _documents(compressed: bytes) -> Iterator[bytes]:
    """Yield the files of a piece of an archive, up to the header of a layer or the archive's end."""
    unpacked = bytearray()
    try:
        for piece in decompressed(ChunkReader([compressed]), "gzip"):
            unpacked += piece
            if len(unpacked) > _LARGEST_GAP:
                return
        # Before the first header may be the padding of a layer.
        tar = TarReader(ChunkReader([bytes(unpacked).lstrip(b"\0")]), POLICY, name="the archive")
        for member in read_members(tar):
            if member.kind == "file" and member.size <= LARGEST_CONFIG:
                yield tar.peek(member.size)
    except (ArchiveError, CompressionError, EOFError):
        # It ends where a layer begins; a file that someone else wrote may have anything there.
        return


def _image_id(node: Node) -> str:
    """Return the id that the node says its image has; other tools write it without `sha256:`."""
    return f"sha256:{str((node.attributes or {}).get('id')).removeprefix('sha256:')}"
