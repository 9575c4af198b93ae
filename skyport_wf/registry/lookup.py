"""Finding images and blobs on a Shock: by tag as an AWE worker does, by digest among all that the caller may read.

What was found is remembered by node: a node's file never changes. Who may read the node is asked each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from skyport_wf.image_list.reference import LATEST, is_tag
from skyport_wf.publication.attributes import RETIRED_TYPE
from skyport_wf.publication.awe_lookup import IMAGE_TYPE, AweLookupError
from skyport_wf.publication.resolve import resolve
from skyport_wf.publication.thin import id_of, name_of
from skyport_wf.registry.bounded_cache import BoundedCache
from skyport_wf.registry.manifests import Flavour, Manifest
from skyport_wf.registry.refusals import BlobUnknownError, ManifestUnknownError
from skyport_wf.registry.stored_image import NoRangesError, StoredBlob, StoredImage, ranges_of, read_stored_image
from skyport_wf.transfer.thin_chain import read_chain

if TYPE_CHECKING:
    from skyport_wf.registry.view import View
    from skyport_wf.shock.node import Node

LAYER_DIGEST: Final = "skyport_wf.archive.layers.digest"
"""The attribute with the digests of the layers in a node's file."""
_KINDS: Final = (IMAGE_TYPE, RETIRED_TYPE)
"""An image that lost its name to another one can still be pulled by digest."""
_MEMORY: Final = 16 << 20
"""Bytes of configs, and of what is known of blobs and manifests."""
_ENTRY: Final = 500
"""Bytes that remembering a digest takes, about."""
_CANDIDATES: Final = 10
"""Nodes with the same layer among which one is chosen."""


class FoundImage(msgspec.Struct, frozen=True):
    """An image that the caller may read."""

    image: StoredImage
    name: str
    """As it is published: with `latest`, it has another tag than was asked for."""
    is_public: bool
    """Whether everyone may read it."""


class FoundBlob(msgspec.Struct, frozen=True):
    """A blob that the caller may read."""

    blob: StoredBlob | bytes
    is_public: bool
    """Whether everyone may read it."""


class Lookup:
    """Finds images and blobs. Threads share it."""

    def __init__(self) -> None:
        self._images = BoundedCache[StoredImage](_MEMORY)
        self._manifests = BoundedCache[tuple[str, Flavour]](_MEMORY)
        self._blobs = BoundedCache[StoredBlob](_MEMORY)
        self._configs = BoundedCache[str](_MEMORY)

    def by_tag(self, view: View, repository: str, tag: str) -> FoundImage:
        """Return the image that an AWE worker would get for REPOSITORY:TAG.

        Raises ManifestUnknownError if it would get none.
        """
        if not is_tag(tag):
            raise ManifestUnknownError(f"{tag!r} is not a tag")
        try:
            node = resolve(view.shock, repository if tag == LATEST else f"{repository}:{tag}")
        except AweLookupError as error:
            raise ManifestUnknownError(str(error)) from error
        if name_of(node).rpartition(":")[0] != repository:
            # A node may say of itself that it is of a repository that its name is not of.
            raise ManifestUnknownError(f"node {node.id} has a name of another repository")
        if not node.file.complete:
            raise ManifestUnknownError(f"node {node.id} has no file yet")
        return FoundImage(self._read(view, node), name_of(node), view.is_public(node.id))

    def by_digest(self, view: View, repository: str, digest: str) -> tuple[FoundImage, Manifest]:
        """Return the image of a repository with a manifest of this digest, and that manifest.

        Raises ManifestUnknownError if there is none.
        """
        if known := self._manifests.get(f"{repository}@{digest}"):
            node_id, flavour = known
            found = view.find(node_id)
            if found and name_of(found[0]).rpartition(":")[0] == repository:
                image = self._read(view, found[0])
                return FoundImage(image, name_of(found[0]), found[1]), image.manifest(flavour)
        for node in self.nodes_of(view, repository):
            try:
                image = self._read(view, node)
            except NoRangesError:
                continue
            for flavour in Flavour:
                if (manifest := image.manifest(flavour)).digest == digest:
                    return FoundImage(image, name_of(node), view.is_public(node.id)), manifest
        raise ManifestUnknownError(f"no image of {repository} that you may read has a manifest {digest}")

    def blob(self, view: View, repository: str, digest: str) -> FoundBlob:
        """Return a blob. Raises BlobUnknownError if there is none."""
        known = self._blobs.get(f"{repository}@{digest}")
        if known and (found := view.find(known.node)):
            return FoundBlob(known, found[1])
        known_image = self._configs.get(f"{repository}@{digest}")
        if known_image and (found := view.find(known_image)):
            return FoundBlob(self._read(view, found[0]).config, found[1])
        for node in self._holders(view, repository, {LAYER_DIGEST: digest}):
            for layer in ranges_of(node):
                if layer.digest == digest:
                    blob = StoredBlob(layer.digest, layer.size, node.id, layer.offset)
                    return FoundBlob(blob, view.is_public(node.id))
        for node in self._holders(view, repository, {"id": digest}):
            if id_of(node) == digest:
                return FoundBlob(self._read(view, node).config, view.is_public(node.id))
        raise BlobUnknownError(f"no image that you may read has a blob {digest}")

    def nodes_of(self, view: View, repository: str) -> Iterator[Node]:
        """Yield the nodes with images that have, or had, a name of the repository, the newest first."""
        for kind in _KINDS:
            # By the names: other tools leave out the attribute `repository`.
            for node in view.query({"type": kind, "name": f"{repository}:*"}):
                if name_of(node).rpartition(":")[0] == repository and node.file.complete:
                    yield node

    @staticmethod
    def _holders(view: View, repository: str, asked: dict[str, str]) -> Iterator[Node]:
        """Yield nodes with images, the repository's own first, of a few of each the oldest first.

        What stands in a node's attributes its owner has written: a blob that an older node has is not for others to
        claim.
        """
        for narrowed in ({"repository": repository}, {}):
            found = view.query({**narrowed, **asked}, limit=_CANDIDATES)
            for node in reversed(found):
                if (node.attributes or {}).get("type") in _KINDS and node.file.complete:
                    yield node

    def _read(self, view: View, node: Node) -> StoredImage:
        """Return the image on a node, and remember it with its manifests and blobs."""
        if known := self._images.get(node.id):
            return known
        image = read_stored_image(view.shock, read_chain(view.shock, node))
        repository = name_of(node).rpartition(":")[0]
        self._images.put(node.id, image, size=len(image.config) + _ENTRY * (len(image.layers) + 1))
        for flavour in Flavour:
            digest = image.manifest(flavour).digest
            self._manifests.put(f"{repository}@{digest}", (node.id, flavour), size=_ENTRY)
        for layer in image.layers:
            self._blobs.put(f"{repository}@{layer.digest}", layer, size=_ENTRY)
        self._configs.put(f"{repository}@{image.image_id}", node.id, size=_ENTRY)
        return image
