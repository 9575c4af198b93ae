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


class RootFilesystem(msgspec.Struct, frozen=True):
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
    """`config` of a config: what containers of the image start with."""

    labels: dict[str, str] | None = msgspec.field(name="Labels", default=None)
    """Labels by name."""


class ImageConfig(msgspec.Struct, frozen=True):
    """What this package needs of the image's config (OCI image-spec, config.md)."""

    rootfs: RootFilesystem
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
    """Return the config that the JSON document spells. Raises ArchiveError if it is none."""
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
    """Return what the image holds.

    layers: diff id and size in bytes of each layer that was read, in the manifest's order.
    Raises ArchiveError if the layers, or the name of the config, are not what the config says.
    """
    config = parse_config(config_document)
    _compare_name(entry.config, image_id(config_document))
    _compare_layers(config.rootfs.diff_ids or (), tuple(diff_id for diff_id, _ in layers))
    commands = _layer_commands(config, len(layers))
    labels = config.config.labels if config.config and config.config.labels else {}
    return ImageContents(
        image_id=image_id(config_document),
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


def _compare_name(path: str, found: str) -> None:
    """Compare the config's digest with its name, where that is one: no other digest in the archive covers it."""
    named = _NAMED_BY_DIGEST.fullmatch(path)
    if named and f"sha256:{named[1]}" != found:
        raise ArchiveError(f"is damaged: its config {path} has the digest {found}. Save the image again.")


def _compare_layers(expected: tuple[str, ...], found: tuple[str, ...]) -> None:
    if len(expected) != len(found):
        raise ArchiveError(
            f"is damaged: its manifest has {len(found)} layers, its config {len(expected)}. Save the image again."
        )
    for number, (wanted, got) in enumerate(zip(expected, found, strict=True), 1):
        if wanted != got:
            raise ArchiveError(
                f"is damaged: layer {number} of {len(found)} has the digest {got}, its config says {wanted}. "
                "Save the image again."
            )


def _layer_commands(config: ImageConfig, layers: int) -> tuple[str, ...]:
    """Return the command of each layer; empty ones if the history tells of another number of layers."""
    commands = tuple(step.created_by or "" for step in config.history or () if not step.empty_layer)
    return commands if len(commands) == layers else ("",) * layers
