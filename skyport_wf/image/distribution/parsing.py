"""Manifests as others write them: of an image, or an index of the images of several platforms.

Source: Docker image manifest version 2, schema 2; OCI image-spec 1.1, manifest.md, image-index.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from skyport_wf.decoding import decode_json
from skyport_wf.digests import is_sha256
from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive.manifest import parse_config
from skyport_wf.image.distribution.manifests import Flavour
from skyport_wf.image.platforms import AWE_PLATFORM, best_platform

LARGEST_MANIFEST: Final = 4 << 20
"""Bytes that a registry has to take at least; those of images have a few thousand."""
LARGEST_CONFIG: Final = 4 << 20
"""Bytes of a config that a registry hands out; those of real images have 1,000 to 100,000."""
_MOST_LAYERS: Final = 1000
_MOST_SHOWN: Final = 20
_MOST_ASKED: Final = 20
"""Images of an index that are asked for their platforms."""
_MOST_INDEXES: Final = 4
"""Indexes that lead one to the next; tools write two at most."""
INDEX_TYPES: Final = (
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
)
_CONFIG_TYPES: Final = (
    *(flavour.value[1] for flavour in Flavour),
    "application/octet-stream",
    "application/json",
    "text/html",
    "",
)
"""Behind the two that images have today, those that registries gave them before 2017; Docker takes them, too.

Source: moby, distribution/registry.go, "Handle unexpected values from".
"""
_LAYER_TYPES: Final = (".tar", ".tar.gzip", ".tar+gzip", ".tar+zstd", ".tar.zstd")


class ManifestError(ArchiveError):
    """Something is not the manifest of an image that can be published."""


class ImageManifest(msgspec.Struct, frozen=True):
    """The manifest of an image."""

    media_type: str
    config: str
    """Digest of the config: the image's id."""
    layers: tuple[str, ...]
    """Digests, the lowest first."""
    sizes: dict[str, int]
    """Bytes of each blob, by digest."""
    gzipped: frozenset[str]
    """Digests of the layers that are gzip, as far as their media types tell the truth."""

    def require_size(self, digest: str, size: int) -> None:
        """Raise ManifestError if a blob has another size than the manifest says."""
        if self.sizes[digest] != size:
            raise ManifestError(f"the blob {digest} has {size} bytes, the manifest says {self.sizes[digest]}")


class _Platform(msgspec.Struct, frozen=True):
    os: str = ""
    architecture: str = ""
    variant: str = ""

    def __str__(self) -> str:
        return "/".join((self.os, self.architecture, *filter(None, [self.variant])))


class _Descriptor(msgspec.Struct, frozen=True, rename="camel"):
    digest: str
    media_type: str = ""
    size: int = 0
    platform: _Platform | None = None
    annotations: dict[str, str | None] | None = None


class _Document(msgspec.Struct, frozen=True, rename="camel"):
    schema_version: int
    media_type: str = ""
    artifact_type: str = ""
    config: _Descriptor | None = None
    layers: tuple[_Descriptor, ...] | None = None
    manifests: tuple[_Descriptor, ...] | None = None
    annotations: dict[str, str | None] | None = None


class Reference(msgspec.Struct, frozen=True):
    """A manifest that says that it belongs to another one."""

    subject: str
    """Digest of the other one."""
    artifact_type: str
    annotations: dict[str, str]


class _Referring(msgspec.Struct, frozen=True, rename="camel"):
    subject: _Descriptor
    config: _Descriptor
    artifact_type: str = ""
    annotations: dict[str, str] = {}


def parse_manifest(content: bytes) -> ImageManifest:
    """Return the manifest of an image. Raises ManifestError, with the reason, if it is none."""
    document = _decode(content)
    media_type = document.media_type or Flavour.OCI.media_type
    if media_type not in [flavour.media_type for flavour in Flavour]:
        raise ManifestError(f"a manifest of the type {media_type[:200]!a} is not one of an image")
    config, layers = document.config, document.layers
    if config is None or layers is None or config.media_type not in _CONFIG_TYPES or document.artifact_type:
        raise _no_image(document)
    if len(layers) > _MOST_LAYERS:
        raise ManifestError(f"it has {len(layers)} layers, and no engine takes so many")
    for blob in (config, *layers):
        if not is_sha256(blob.digest):
            raise ManifestError(f"it names the digest {blob.digest[:100]!a}, which is no SHA-256")
        if blob.size < 0:
            raise ManifestError(f"it says that {blob.digest} has {blob.size} bytes")
    for layer in layers:
        if not layer.media_type.endswith(_LAYER_TYPES) or "foreign" in layer.media_type:
            raise ManifestError(
                f"its layer {layer.digest[:100]!a} is of the type {layer.media_type[:200]!a}, and not a tar that is "
                "plain, in gzip or in zstd, and comes from the registry"
            )
    sizes = {blob.digest: blob.size for blob in (config, *layers)}
    gzipped = frozenset(layer.digest for layer in layers if layer.media_type.endswith("gzip"))
    return ImageManifest(media_type, config.digest, tuple(layer.digest for layer in layers), sizes, gzipped)


def find_reference(content: bytes) -> Reference | None:
    """Return what the manifest of an image says of another one, None if it says nothing of any."""
    try:
        found = decode_json(content, _Referring)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not is_sha256(found.subject.digest):
        return None
    return Reference(found.subject.digest, found.artifact_type or found.config.media_type, found.annotations)


def check_part_of_index(content: bytes) -> None:
    """Raise ManifestError for a manifest that cannot be one of an index: of an image, or of its attestation."""
    document = _decode(content)
    if document.media_type in INDEX_TYPES or document.manifests is not None:
        return
    if document.artifact_type or not document.config or document.config.media_type not in _CONFIG_TYPES:
        raise _no_image(document)


def _no_image(document: _Document) -> ManifestError:
    # Charts of Helm, images of Singularity and signatures are in registries, too.
    kind = document.artifact_type or (document.config.media_type if document.config else "")
    told = f" but {kind[:200]!a}" if kind else ""
    return ManifestError(f"it is not an image{told}, and AWE has a use for nothing else")


def find_manifest(
    content: bytes,
    read: Callable[[str], bytes],
    read_config: Callable[[ImageManifest], bytes],
    platform: str = AWE_PLATFORM,
) -> bytes:
    """Return the manifest of the image that is meant: the content itself, or what it leads to as an index.

    read: returns what has a digest, which may be an index, too.
    read_config: returns the config of an image, which tells the platform where an index does not.
    platform: such as `linux/arm64/v8`, as `best_platform` takes it.
    Raises ManifestError if there is no such image, and what `read` and `read_config` do.
    """

    def platform_of(digest: str) -> str:
        try:
            return parse_config(read_config(parse_manifest(read(digest)))).platform
        except ArchiveError:
            # No image, or a damaged one: another one may be meant.
            return ""

    for _ in range(_MOST_INDEXES):
        digest = _choose_platform(content, platform, platform_of)
        if digest is None:
            return content
        content = read(digest)
    if _choose_platform(content, platform, platform_of):
        raise ManifestError("it has indexes within indexes, more than any tool writes")
    return content


def _choose_platform(content: bytes, platform: str, platform_of: Callable[[str], str]) -> str | None:
    """Return the digest of the manifest in an index that is for a platform; None if the content is no index.

    platform_of: returns the platform that the image of a digest says itself.
    Attestations, which are listed beside the images, have an unknown platform.
    Raises ManifestError if there is no such image.
    """
    document = _decode(content)
    if document.media_type not in INDEX_TYPES and not (document.manifests is not None and not document.media_type):
        return None
    listed = document.manifests or ()
    found = {str(one.platform): one.digest for one in reversed(listed) if one.platform}
    if best := best_platform(found, platform):
        return _checked(found[best])
    if len(listed) == 1 and listed[0].platform is None:
        return _checked(listed[0].digest)
    # As Docker does it: an index need not tell the platforms, and the images do.
    for one in [one for one in listed if one.platform is None][:_MOST_ASKED]:
        own = platform_of(_checked(one.digest))
        if best_platform([own], platform):
            return one.digest
        found.setdefault(own, one.digest)
    told = sorted(found.keys() - {"unknown/unknown", ""})
    shown = ", ".join(f"{one[:100]!a}" for one in told[:_MOST_SHOWN]) or "none that it says"
    raise ManifestError(f"the index has no image for {platform}; it has {shown}")


def _checked(digest: str) -> str:
    if not is_sha256(digest):
        raise ManifestError(f"the index names the digest {digest[:100]!a}, which is no SHA-256")
    return digest


def media_type_of(content: bytes) -> str:
    """Return the media type of a manifest or an index."""
    document = _decode(content)
    return document.media_type or (Flavour.OCI.media_type if document.manifests is None else INDEX_TYPES[1])


def _decode(content: bytes) -> _Document:
    try:
        document = decode_json(content, _Document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ManifestError(f"it is not a manifest: {error}") from error
    if document.schema_version != 2:
        raise ManifestError(f"manifests of schema {document.schema_version} are no longer in use")
    return document
