"""Find the images in an OCI layout: index, manifest, config and layers, each named by the digest of its bytes.

Source: OCI image-spec, image-index.md, manifest.md, annotations.md; containerd's annotation for whole names; cosign's
pkg/oci/layout, for what `cosign save` writes.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from skyport_wf.digests import digest_of
from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive.go_json import decode_like_go
from skyport_wf.image.archive.manifest import NamedImage

_NAMES: Final = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
_COSIGN: Final = "dev.cosignproject.cosign/"
_COSIGN_IMAGES: Final = (f"{_COSIGN}image", f"{_COSIGN}imageIndex")
"""Of the kinds that cosign writes, those that are no signatures and attestations."""
_IMAGE_LAYER: Final = re.compile(r"|.*(?:image|\btar\b).*")
"""Media types of layers that images have; some tools write none."""
_MAX_DEPTH: Final = 4
"""Indexes within indexes; tools write one in another at most."""
_MAX_IMAGES: Final = 1000
_MAX_DESCRIPTORS: Final = 100_000
"""Entries of all indexes: one may name another any number of times, and that a third."""


class Platform(msgspec.Struct, frozen=True):
    """The machines that an image runs on."""

    os: str = ""
    architecture: str = ""
    variant: str = ""

    def __str__(self) -> str:
        """Return it such as `linux/arm64/v8`; empty if that does not say it."""
        told = self.os and self.architecture
        return "/".join((self.os, self.architecture, *filter(None, [self.variant]))) if told else ""


class Descriptor(msgspec.Struct, frozen=True, rename="camel"):
    """A reference to a blob."""

    digest: str
    media_type: str = ""
    artifact_type: str = ""
    annotations: dict[str, str] | None = None
    platform: Platform | None = None


class Manifest(msgspec.Struct, frozen=True, rename="camel"):
    """An index, which has `manifests`, or the manifest of an image, which has `config` and `layers`."""

    manifests: tuple[Descriptor, ...] | None = None
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] | None = None
    artifact_type: str = ""


def find_images(index: bytes, read: Callable[[str], bytes | None]) -> list[NamedImage]:
    """Return the images that `index.json` leads to, as a `manifest.json` would name them.

    read: returns the JSON document of the layout at a path, None if it is not there.
    Raises ArchiveError if the index is damaged, or leads to more than any has. Attestations and other artifacts are
    passed over.
    """
    images = []
    for found in _walk(_decode(index, "its index.json"), _Documents(read), (), "", _MAX_DEPTH):
        images.append(found)
        if len(images) > _MAX_IMAGES:
            raise ArchiveError(f"holds more than {_MAX_IMAGES:,} images. Save each image by itself.")
    return images


class _Documents:
    """The documents of a layout; each is decoded once, however many entries lead to it."""

    def __init__(self, read: Callable[[str], bytes | None]) -> None:
        self._read = read
        self._manifests: dict[str, Manifest] = {}
        self._platforms: dict[str, str] = {}
        self._entries = 0

    def count_entry(self) -> None:
        """Count an entry of an index. Raises ArchiveError if there are too many."""
        self._entries += 1
        if self._entries > _MAX_DESCRIPTORS:
            raise ArchiveError(f"has an index of more than {_MAX_DESCRIPTORS:,} entries. Save each image by itself.")

    def manifest(self, descriptor: Descriptor) -> Manifest:
        """Return what a descriptor leads to. Raises ArchiveError if it is not there, or damaged."""
        path = _path(descriptor.digest)
        if path in self._manifests:
            return self._manifests[path]
        document = self._read(path)
        if document is None:
            raise ArchiveError(f"is incomplete: {path}, which its index names, is missing. Save the image again.")
        if digest_of(document) != descriptor.digest:
            raise ArchiveError(f"is damaged: {path} has another digest than its name says. Save the image again.")
        return self._manifests.setdefault(path, _decode(document, path))

    def platform(self, config: str) -> str:
        """Return the platform that the config at a path tells; empty if it tells none, or is not there."""
        if config not in self._platforms:
            try:
                self._platforms[config] = str(decode_like_go(self._read(config) or b"{}", Platform))
            except (ValueError, RecursionError):
                self._platforms[config] = ""  # who takes this image is told
        return self._platforms[config]


def _walk(
    manifest: Manifest, documents: _Documents, names: tuple[str, ...], platform: str, depth: int
) -> Iterator[NamedImage]:
    if manifest.config:
        if _is_image(manifest.config, manifest):
            config = _path(manifest.config.digest)
            layers = tuple(_path(layer.digest) for layer in manifest.layers or ())
            yield NamedImage(config, names, layers, platform or documents.platform(config))
        return
    for descriptor in manifest.manifests or ():
        documents.count_entry()
        annotations = descriptor.annotations or {}
        kind = annotations.get("kind", "")
        if "vnd.docker.reference.type" in annotations or (kind.startswith(_COSIGN) and kind not in _COSIGN_IMAGES):
            continue  # what BuildKit or cosign says about another manifest
        if not _may_be_image(descriptor.artifact_type):
            continue
        # Beside a whole name, the other annotation has no more than its tag, which other images may have, too.
        told = names + tuple(annotations[key] for key in _NAMES if key in annotations)[:1]
        machine = str(descriptor.platform or "") or platform
        try:
            if not depth:
                raise ArchiveError("has indexes within indexes, more than any tool writes. Save the image again.")
            found = documents.manifest(descriptor)
        except ArchiveError as error:
            # Tools copy an index as it is, and leave out the images of other platforms or names.
            yield NamedImage(_path(descriptor.digest), told, None, machine, problem=str(error))
        else:
            yield from _walk(found, documents, told, machine, depth - 1)


def _is_image(config: Descriptor, manifest: Manifest) -> bool:
    """Return whether a manifest is an image's: a chart, a signature or another artifact has other media types."""
    # A signature may have the config of an image, without a layer of one.
    layers = all(_IMAGE_LAYER.fullmatch(layer.media_type) for layer in manifest.layers or ())
    return "image" in config.media_type and layers and _may_be_image(manifest.artifact_type)


def _may_be_image(artifact_type: str) -> bool:
    # Of an image, it is empty or the type of its config (OCI distribution-spec, "Listing Referrers").
    return not artifact_type or "image" in artifact_type


def _path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/', 1)}"


def _decode(document: bytes, name: str) -> Manifest:
    try:
        return decode_like_go(document, Manifest)
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"is damaged: {name} cannot be read ({error}). Save the image again.") from error
