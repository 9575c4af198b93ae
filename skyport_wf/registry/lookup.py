"""Finding images and blobs on a Shock: by tag as an AWE worker does, by digest among all that the caller may read.

What was found is remembered by node: a node's file never changes. Who may read the node is asked each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from skyport_wf.digests import digest_of
from skyport_wf.errors import ArchiveError, ShockError
from skyport_wf.image.distribution.manifests import Descriptor, Flavour, Manifest
from skyport_wf.image_list.reference import LATEST, is_tag
from skyport_wf.publication.attributes import RETIRED_TYPE, read_attributes
from skyport_wf.publication.awe_lookup import IMAGE_TYPE, AweLookupError
from skyport_wf.publication.manifest import told_manifest, told_reference
from skyport_wf.publication.thin import name_of
from skyport_wf.registry.bounded_cache import BoundedCache
from skyport_wf.registry.copies import Copies
from skyport_wf.registry.negotiation import choose_flavour
from skyport_wf.registry.package_lists import ARTIFACT_TYPE, EMPTY, PackageLists, make_artifact
from skyport_wf.registry.refusals import BlobUnknownError, ManifestUnknownError, UnreadableError
from skyport_wf.registry.stored_image import NoRangesError, StoredBlob, StoredImage, read_stored_image
from skyport_wf.shock.connection import ShockRefusalError
from skyport_wf.transfer.thin_chain import read_chain

if TYPE_CHECKING:
    from skyport_wf.image.contents import SavedArchive
    from skyport_wf.registry.view import View
    from skyport_wf.shock.node import Node

_LAYER_DIGEST: Final = "skyport_wf.archive.layers.digest"
"""The attribute with the digests of the layers in a node's file."""
_KINDS: Final = (IMAGE_TYPE, RETIRED_TYPE)
"""An image that lost its name to another one can still be pulled by digest."""
_MEMORY: Final = 16 << 20
"""Bytes of images, and of what is remembered of digests."""
_ENTRY: Final = 500
"""Bytes that remembering a digest takes, about."""
_NOT_FOUND: Final = 404
_CANDIDATES: Final = 10
"""Nodes with the same layer of which one is taken."""


class FoundManifest(msgspec.Struct, frozen=True):
    """A manifest that the caller may read."""

    manifest: Manifest
    name: str
    """The image's, as it is published: for `latest`, it has another tag than was asked for."""
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
        self.copies = Copies()
        self._lists = PackageLists()
        self._images = BoundedCache[StoredImage](_MEMORY)
        self._nodes = BoundedCache[str](_MEMORY)
        self._judged = BoundedCache[bool](_MEMORY)
        self._unpacked = BoundedCache[tuple[str, int]](_MEMORY)

    def by_tag(self, view: View, repository: str, tag: str, accept: str) -> FoundManifest:
        """Return a manifest of the image that an AWE worker would get for REPOSITORY:TAG.

        accept: the client's header of that name, which tells the media types that it takes.
        Raises ManifestUnknownError if it would get none, or one that is no image, or takes none; UnreadableError if its
        file cannot be read.
        """
        if not is_tag(tag):
            raise ManifestUnknownError(f"{tag[:100]!a} is not a tag")
        try:
            node = view.resolve(repository if tag == LATEST else f"{repository}:{tag}")
            if _repository_of(node) != repository:
                # A node may say of itself that it is of a repository that its name is not of.
                raise ManifestUnknownError(f"node {node.id} has a name of another repository")
            if not node.file.complete:
                raise ManifestUnknownError(f"node {node.id} has no file yet")
            image = self._image(view, node, make=True)
        except (AweLookupError, ArchiveError, ShockError) as error:
            raise ManifestUnknownError(str(error)) from error
        manifest = image.manifest(choose_flavour(accept, image.preferred))
        return FoundManifest(manifest, name_of(node), view.is_public(node.id))

    def by_digest(self, view: View, repository: str, digest: str) -> FoundManifest:
        """Return the manifest of this digest, of an image of a repository, or of a list of its packages.

        Raises ManifestUnknownError if there is none, UnreadableError if the image's file cannot be read.
        """
        node, manifest = self._find_manifest(view, repository, digest)
        return FoundManifest(manifest, name_of(node), view.is_public(node.id))

    def package_lists(self, view: View, repository: str, digest: str) -> list[Descriptor]:
        """Return the artifact with the packages of an image, by a digest of its manifest; none if that is not there."""
        try:
            node, subject = self._find_manifest(view, repository, digest)
        except ManifestUnknownError:
            return []
        if subject not in self._image_manifests(view, node):
            # Nothing refers to a list of packages.
            return []
        document = self._lists.make(view.shock, node)
        artifact = make_artifact(document, subject)
        self._remember(repository, node, artifact.digest, digest_of(document))
        return [msgspec.structs.replace(artifact.descriptor, artifact_type=ARTIFACT_TYPE)]

    def referring_images(self, view: View, repository: str, digest: str) -> list[Descriptor]:
        """Return the images that were pushed as belonging to a manifest, whether that is there or not."""
        found: list[Descriptor] = []
        for node in _nodes_of(view, repository):
            # First what the node says: few say anything of the kind, and to read its file takes longer.
            reference = told_reference(read_attributes(node.attributes))
            if reference is None or reference.subject != digest:
                continue
            try:
                pushed = self._image(view, node).pushed
            except (ArchiveError, ShockError, UnreadableError):
                continue
            if pushed:
                kind, annotations = reference.artifact_type, reference.annotations or None
                found.append(msgspec.structs.replace(pushed.descriptor, artifact_type=kind, annotations=annotations))
        return found

    def blob(self, view: View, repository: str, digest: str, *, make: bool = False) -> FoundBlob:
        """Return a blob. Raises BlobUnknownError if there is none.

        make: whether to make the lists of packages of the repository's images, if it is none of those that are made.
            Then raises UnreadableError if only images have it that cannot be read; else it has to be pushed again.
        """
        if digest == digest_of(EMPTY):
            return FoundBlob(EMPTY, is_public=True)
        unreadable: UnreadableError | None = None
        for node in self._holders(view, repository, digest):
            try:
                image = self._image(view, node)
            except (ArchiveError, ShockError, UnreadableError) as error:
                # Whoever made it may have claimed the blob of another one.
                unreadable = error if isinstance(error, UnreadableError) else unreadable
                continue
            if image.image_id == digest:
                return FoundBlob(image.config, view.is_public(node.id))
            for layer in image.layers:
                # A thin image has layers on nodes that others may read than the image itself.
                if layer.digest != digest or self._judged.get(_claim(layer)) is False:
                    continue
                if view.find(layer.node):
                    if _repository_of(node) == repository:
                        self._remember(repository, node, digest)
                    return FoundBlob(layer, view.is_public(layer.node))
            document = self._lists.find(node.id)
            if document and digest_of(document) == digest:
                return FoundBlob(document, view.is_public(node.id))
        for node in _nodes_of(view, repository) if make else ():
            document = self._lists.told(node)
            if document and digest_of(document) == digest:
                return FoundBlob(document, view.is_public(node.id))
        if make and unreadable:
            raise unreadable
        raise BlobUnknownError(f"no image that you may read has a blob {digest}")

    def judge(self, blob: StoredBlob, *, is_true: bool) -> None:
        """Remember whether a layer, which was read, is what the owner of its node says; nobody gets a false one."""
        self._judged.put(_claim(blob), is_true, size=_ENTRY)

    def is_proven(self, blob: StoredBlob) -> bool:
        """Return whether a layer was read, and is what the owner of its node says."""
        return self._judged.get(_claim(blob)) is True

    def note_layers(self, saved: SavedArchive) -> None:
        """Remember what the layers of an archive unpack to, all of which has been read."""
        sizes = {layer.diff_id: layer.size for layer in saved.contents.layers}
        for layer in saved.digests.layers:
            self._unpacked.put(layer.digest, (layer.diff_id, sizes[layer.diff_id]), size=_ENTRY)

    def unpacks_to(self, blob: StoredBlob) -> bool:
        """Return whether bytes of the digest of a layer are known to unpack to what the owner of its node says."""
        return self._unpacked.get(blob.digest) == (blob.diff_id, blob.unpacked)

    def _find_manifest(self, view: View, repository: str, digest: str) -> tuple[Node, Manifest]:
        remembered = self._nodes.get(f"{repository}@{digest}")
        first = view.find(remembered) if remembered else None
        nodes = [*([first] if first else ()), *_nodes_of(view, repository)]
        unreadable: UnreadableError | None = None
        # Another registry of this Shock may have told of a list of packages that is not made here yet.
        for document_of in (lambda node: self._lists.find(node.id), self._lists.told):
            for node in nodes:
                try:
                    manifests = self._manifests_of(view, node, document_of(node))
                except UnreadableError as error:
                    # It hides no other image, and is unknown only if its node does not tell of it.
                    unreadable = error if _told_digest(node) == digest else unreadable
                    continue
                for manifest in manifests:
                    if manifest.digest == digest and _repository_of(node) == repository:
                        return node, manifest
        if unreadable:
            raise unreadable
        raise ManifestUnknownError(f"no image of {repository} that you may read has a manifest {digest}")

    def _manifests_of(self, view: View, node: Node, document: bytes | None) -> list[Manifest]:
        """Return the manifests of an image and of its list of packages; none if its file is no image."""
        try:
            manifests = self._image_manifests(view, node)
        except (ArchiveError, ShockError):
            return []
        return [*manifests, *(make_artifact(document, manifest) for manifest in manifests if document)]

    def _image_manifests(self, view: View, node: Node) -> tuple[Manifest, ...]:
        image = self._image(view, node)
        return tuple(image.manifest(flavour) for flavour in Flavour)

    def _holders(self, view: View, repository: str, digest: str) -> Iterator[Node]:
        """Yield the nodes that may have a blob: the one that had it last, the repository's own, others.

        What stands in a node's attributes its owner has written. So of several nodes the oldest comes first: nobody can
        claim a blob that is there already.
        """
        remembered = self._nodes.get(f"{repository}@{digest}")
        if remembered and (node := view.find(remembered)):
            yield node
        for asked in ({"repository": repository, _LAYER_DIGEST: digest}, {_LAYER_DIGEST: digest}, {"id": digest}):
            yield from filter(_has_image, view.query(asked, limit=_CANDIDATES, oldest_first=True))
        for node_id in (*self._lists.find_digest(digest), *self.copies.find_layer(digest)):
            if node := view.find(node_id):
                yield node

    def _image(self, view: View, node: Node, *, make: bool = False) -> StoredImage:
        """Return the image on a node, and remember it with its digests.

        make: whether to make a copy if its layers are no ranges of the file.
        Raises NoRangesError, ArchiveError or ShockError if it is no image, UnreadableError if its file cannot be read.
        """
        if known := self._images.get(node.id):
            return known
        chain = read_chain(view.shock, node)
        try:
            return self._read_image(view, chain, make=make)
        except ShockError as error:
            if isinstance(error, ShockRefusalError) and error.status == _NOT_FOUND:
                # Deleted at this moment.
                raise
            raise UnreadableError(f"{name_of(node)} is there, and cannot be read: {error}") from error

    def _read_image(self, view: View, chain: Sequence[Node], *, make: bool) -> StoredImage:
        node = chain[-1]
        try:
            image = read_stored_image(view.shock, chain)
        except NoRangesError:
            copied = self.copies.make(view.shock, chain) if make else self.copies.find(node.id)
            if copied is None:
                raise
            # Not remembered: the copy may go.
            image = copied
        else:
            self._images.put(node.id, image, size=len(image.config) + _ENTRY * (len(image.layers) + 1))
        manifests = (image.manifest(flavour).digest for flavour in Flavour)
        # Not the layers' digests: those are what the owner of the node says, and others may have the blob, too.
        self._remember(_repository_of(node), node, image.image_id, *manifests)
        return image

    def _remember(self, repository: str, node: Node, *digests: str) -> None:
        for digest in digests:
            self._nodes.put(f"{repository}@{digest}", node.id, size=_ENTRY)


def _claim(blob: StoredBlob) -> str:
    return f"{blob.node} {blob.offset} {blob.size} {blob.digest} {blob.diff_id} {blob.unpacked}"


def _nodes_of(view: View, repository: str) -> Iterable[Node]:
    """Yield the nodes with images that have, or had, a name of the repository, the newest first."""
    for kind in _KINDS:
        # By the names: other tools leave out the attribute `repository`.
        for node in view.query({"type": kind, "name": f"{repository}:*"}):
            if _repository_of(node) == repository and _has_image(node):
                yield node


def _has_image(node: Node) -> bool:
    return (node.attributes or {}).get("type") in _KINDS and node.file.complete


def _repository_of(node: Node) -> str:
    return name_of(node).rpartition(":")[0]


def _told_digest(node: Node) -> str | None:
    """Return the digest of an image's manifest as far as its node tells it."""
    attributes = read_attributes(node.attributes)
    told = told_manifest(attributes) if attributes else None
    return told.digest if told else None
