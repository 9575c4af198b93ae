"""The two JSON documents of a docker archive: its manifest and the image's config."""

import hashlib
import re
from typing import TypeVar

import msgspec

from skyport_wf.errors import ArchiveError
from skyport_wf.image.contents import ImageContents, Layer

Document = TypeVar("Document")
_NAMED_BY_DIGEST = re.compile(r"(?:.*/)?(?:sha256:)?([0-9a-f]{64})(?:\.json)?")


class ManifestEntry(msgspec.Struct, frozen=True, rename="pascal"):
    """One image of `manifest.json`, as `docker save` has written it since Docker 1.10."""

    config: str
    """Path of the image's config in the archive."""
    repo_tags: tuple[str, ...] | None = None
    """Names that loading gives the image; null if it was saved by its id."""
    layers: tuple[str, ...] | None = None
    """Paths of the layer tars, bottom first; a path may come twice."""


class DiffIds(msgspec.Struct, frozen=True):
    """`rootfs` of a config."""

    diff_ids: tuple[str, ...] | None = None
    """Digests of the uncompressed layers, bottom first."""


class HistoryEntry(msgspec.Struct, frozen=True):
    """One step of how the image was made."""

    created_by: str | None = None
    """The command."""
    empty_layer: bool | None = None
    """Whether it changed only the config, so that no layer belongs to it."""


class ContainerSettings(msgspec.Struct, frozen=True):
    """`config` of a config: the settings that containers of the image start with."""

    labels: dict[str, str] | None = msgspec.field(name="Labels", default=None)
    """Labels by name."""


class ImageConfig(msgspec.Struct, frozen=True):
    """The parts of an image's config that this package needs (OCI image-spec, config.md)."""

    rootfs: DiffIds
    """The layers."""
    architecture: str = ""
    """As Go names it."""
    os: str = ""
    """As Go names it."""
    created: str | None = None
    """RFC 3339."""
    history: tuple[HistoryEntry, ...] | None = None
    """Oldest first."""
    config: ContainerSettings | None = None
    """Settings of containers."""


def parse_manifest(document: bytes) -> ManifestEntry:
    """Return the one image of a `manifest.json`; its names together if it has several entries with different ones.

    Raises ArchiveError if it holds no image or more than one.
    """
    entries = _decode(document, tuple[ManifestEntry, ...], "its manifest.json is not an image manifest")
    images = {(entry.config, entry.layers) for entry in entries}
    if len(images) != 1:
        raise ArchiveError(f"holds {len(images) or 'no'} images instead of one. Save each image by itself.")
    names = dict.fromkeys(name for entry in entries for name in entry.repo_tags or ())
    return msgspec.structs.replace(entries[0], repo_tags=tuple(names))


def parse_config(document: bytes) -> ImageConfig:
    """Return the config in the JSON document. Raises ArchiveError if it is none."""
    return _decode(document, ImageConfig, "its image config cannot be read")


def manifest_document(*, config: str, name: str, layers: tuple[str, ...]) -> bytes:
    """Return the `manifest.json` of an archive with one image of one name: stable bytes."""
    entry = ManifestEntry(config=config, repo_tags=(name,), layers=layers)
    return msgspec.json.encode([entry]) + b"\n"


def image_id(config: bytes) -> str:
    """Return the id of the image with this config JSON: `sha256:` and 64 hex digits.

    Source: OCI image-spec, config.md, "ImageID".
    """
    return f"sha256:{hashlib.sha256(config).hexdigest()}"


def read_contents(entry: ManifestEntry, config_document: bytes, layers: tuple[tuple[str, int], ...]) -> ImageContents:
    """Return the contents of an image.

    layers: diff id and size in bytes of each layer that was read, in the manifest's order.
    Raises ArchiveError if the layers, or the name of the config, are not what the config says.
    """
    config, found_id = parse_config(config_document), image_id(config_document)
    # The name, where it is a digest: no other digest in the archive covers the config.
    named = _NAMED_BY_DIGEST.fullmatch(entry.config)
    if named and f"sha256:{named[1]}" != found_id:
        raise ArchiveError(f"is damaged: its config {entry.config} has the digest {found_id}. Save the image again.")
    expected = config.rootfs.diff_ids or ()
    if len(expected) != len(layers):
        raise ArchiveError(
            f"is damaged: its manifest has {len(layers)} layers, its config {len(expected)}. Save the image again."
        )
    for number, (wanted, (got, _)) in enumerate(zip(expected, layers, strict=True), 1):
        if wanted != got:
            raise ArchiveError(
                f"is damaged: layer {number} of {len(layers)} has the digest {got}, its config says {wanted}. "
                "Save the image again."
            )
    commands = [step.created_by or "" for step in config.history or () if not step.empty_layer]
    if len(commands) != len(layers):
        # Some builders write no history, or a wrong one: better no command than another layer's.
        commands = [""] * len(layers)
    labels = (config.config.labels if config.config else None) or {}
    return ImageContents(
        image_id=found_id,
        architecture=config.architecture,
        os=config.os,
        created=config.created,
        repo_tags=entry.repo_tags or (),
        labels=tuple(sorted(labels.items())),
        layers=tuple(Layer(*layer, command) for layer, command in zip(layers, commands, strict=True)),
    )


def _decode(document: bytes, kind: type[Document], problem: str) -> Document:
    try:
        return msgspec.json.decode(document, type=kind)
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"is not a docker archive: {problem} ({error}). Save the image again.") from error
