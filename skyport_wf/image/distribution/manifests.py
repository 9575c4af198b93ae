"""Manifests of an image, in Docker's form and in OCI's: made of the same blobs, so that the image's id is the same.

Every byte counts: whoever has pulled an image by the digest of a manifest wants the same one years later.
Source: Docker image manifest version 2, schema 2; OCI image-spec 1.1, manifest.md.
"""

from collections.abc import Sequence
from enum import Enum

import msgspec

from skyport_wf.digests import digest_of


class Flavour(Enum):
    """The form of a manifest: media types of the manifest, of the config and of a layer."""

    DOCKER = (
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.container.image.v1+json",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
    )
    OCI = (
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.oci.image.layer.v1.tar+gzip",
    )

    @property
    def media_type(self) -> str:
        """The media type of the manifest."""
        return self.value[0]


class Descriptor(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A reference to a blob or a manifest."""

    media_type: str
    size: int
    digest: str
    artifact_type: str = ""
    annotations: dict[str, str] | None = None


class Manifest(msgspec.Struct, frozen=True):
    """A manifest, ready to send."""

    media_type: str
    content: bytes

    @property
    def digest(self) -> str:
        """`sha256:` and the SHA-256 of the manifest."""
        return digest_of(self.content)

    @property
    def descriptor(self) -> Descriptor:
        """How others refer to it."""
        return Descriptor(self.media_type, len(self.content), self.digest)


def make_manifest(flavour: Flavour, *, config: tuple[str, int], layers: Sequence[tuple[str, int]]) -> Manifest:
    """Return the manifest of an image.

    config, layers: digest and size of each blob; of the layers, the lowest first.
    """
    manifest_type, config_type, layer_type = flavour.value
    content = msgspec.json.encode(
        {
            "schemaVersion": 2,
            "mediaType": manifest_type,
            "config": Descriptor(config_type, config[1], config[0]),
            "layers": [Descriptor(layer_type, size, digest) for digest, size in layers],
        }
    )
    return Manifest(manifest_type, content)
