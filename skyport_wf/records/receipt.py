"""The receipt of a published image, and the lock file that names the published images of a list."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from skyport_wf.image.contents import Layer, StoredLayer
from skyport_wf.records.source import BaseImage, EngineVersion, Source, ThinBase


class DockerRequirement(msgspec.Struct, frozen=True):
    """The fields by which a CWL tool runs in the image."""

    docker_image_id: str = msgspec.field(name="dockerImageId")
    docker_load: str | msgspec.UnsetType = msgspec.field(name="dockerLoad", default=msgspec.UNSET)
    """Where the archive is; not there for a thin one, which a runner could load only after its base."""


class PullRequirement(msgspec.Struct, frozen=True, rename="camel"):
    """The field by which a CWL tool runs in an image of a registry."""

    docker_pull: str


class ReceiptUse(msgspec.Struct, frozen=True):
    """How an analysis names the image, ready to paste."""

    cwl: dict[Literal["DockerRequirement"], DockerRequirement]
    awe: dict[Literal["Dockerimage"], str]
    cwl_pull: dict[Literal["DockerRequirement"], PullRequirement] | msgspec.UnsetType = msgspec.UNSET
    """In the place of `cwl`, for runners that reach the registry; not there where none is configured."""
    oci: str | msgspec.UnsetType = msgspec.UNSET
    """Its address in the registry: HOST/REPO@DIGEST, or HOST/REPO:TAG where the digest is unknown."""


class Receipt(msgspec.Struct, frozen=True, kw_only=True, tag_field="record", tag="skyport-wf receipt 2"):
    """An image, and the node that it is published on. A field that can be None is unknown of images of other tools."""

    name: str
    image_id: str
    """The config digest."""
    shock: str
    """The Shock's URL, or `embedded`."""
    node: str
    download_url: str
    size: int
    """Bytes of the node's file."""
    md5: str
    """Of the node's file."""
    archive_sha256: str | None = None
    """Of the uncompressed archive."""
    canonical: bool | None = None
    base: BaseImage | None = None
    layers: tuple[Layer, ...] | None = None
    """The lowest first."""
    stored_layers: tuple[StoredLayer, ...] | None = None
    """The ranges of the node's file that are layers; None if it was not written with such ranges."""
    manifest_digest: str | msgspec.UnsetType = msgspec.UNSET
    """The manifest by which registries know the image; not there where the node alone does not tell it."""
    thin_on: ThinBase | None = None
    """The image whose layers the archive lacks; None if it lacks none."""
    source: Source | None = None
    engine: EngineVersion
    engine_image_id: str | None = None
    """The engine's own id of the image, where it is not the config digest."""
    registered: str | None = None
    """When, in UTC."""
    readable_by: Literal["everyone", "listed users"]
    use: ReceiptUse


class LockedImage(msgspec.Struct, frozen=True):
    """One image's entry of `images.lock.json`."""

    image_id: str
    shock: str
    node: str
    size: int
    md5: str
    archive_sha256: str | None
    source_digest: str | None
    manifest_digest: str | msgspec.UnsetType = msgspec.UNSET
    registry: str | msgspec.UnsetType = msgspec.UNSET
    """HOST or HOST:PORT from which the image can be pulled; not there where none was configured."""


class LockFile(msgspec.Struct, frozen=True, tag_field="record", tag="skyport-wf lock 1"):
    """The published image of each name of an image list; made to be committed."""

    images: dict[str, LockedImage]


def lock_image(receipt: Receipt) -> LockedImage:
    """Return the lock file's entry for a published image."""
    return LockedImage(
        image_id=receipt.image_id,
        shock=receipt.shock,
        node=receipt.node,
        size=receipt.size,
        md5=receipt.md5,
        archive_sha256=receipt.archive_sha256,
        source_digest=receipt.source.digest if receipt.source else None,
        manifest_digest=receipt.manifest_digest,
        registry=receipt.use.oci.partition("/")[0] if receipt.use.oci else msgspec.UNSET,
    )


def merge_into_lock(lock: LockFile | None, receipts: Iterable[Receipt]) -> LockFile:
    """Return the lock file with the entries of `receipts` put in, or in the place of older ones."""
    entries = dict(lock.images) if lock else {}
    entries |= {receipt.name: lock_image(receipt) for receipt in receipts}
    return LockFile(dict(sorted(entries.items())))
