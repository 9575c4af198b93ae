"""The two JSON documents of a docker archive: its manifest and the image's config."""

import re
from collections.abc import Callable, Collection, Sequence
from typing import Final, TypeVar

import msgspec

from skyport_wf.digests import digest_of
from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive.go_json import decode_like_go
from skyport_wf.image.contents import ImageContents, Layer
from skyport_wf.image.platforms import AWE_PLATFORM, best_platform
from skyport_wf.image_list.reference import short_docker_name

Document = TypeVar("Document")
_MAX_SHOWN: Final = 10
_NAMED_BY_DIGEST = re.compile(r"(?:.*/)?(?:sha256:)?([0-9a-f]{64})(?:\.json)?")


class ManifestEntry(msgspec.Struct, frozen=True, rename="pascal"):
    """One image of `manifest.json`, as `docker save` has written it since Docker 1.10."""

    config: str
    """Path of the image's config in the archive."""
    repo_tags: tuple[str, ...] | None = None
    """Names that loading gives the image; null if it was saved by its id."""
    layers: tuple[str, ...] | None = None
    """Paths of the layer tars, bottom first; a path may come twice."""


class NamedImage(ManifestEntry, frozen=True):
    """An image that the `manifest.json` or the OCI index of an archive names. What no `manifest.json` says is here."""

    platform: str = ""
    """Such as `linux/amd64`, if it is told."""
    problem: str = ""
    """What to say if it is the one that is meant, but has no manifest that can be read; empty if it has one."""


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

    @property
    def platform(self) -> str:
        """The platform that it is for, such as `linux/amd64`; `/` where the config says nothing."""
        return f"{self.os}/{self.architecture}"


def parse_manifest(document: bytes) -> list[NamedImage]:
    """Return the images of a `manifest.json`. Raises ArchiveError if it is none."""
    entries = _decode(document, tuple[ManifestEntry, ...], "its manifest.json is not an image manifest")
    return [NamedImage(entry.config, entry.repo_tags, entry.layers) for entry in entries]


def choose_image(
    entries: Sequence[NamedImage],
    wanted: str,
    *,
    platform: str = "",
    image_id: str = "",
    beside: Sequence[NamedImage] = (),
) -> NamedImage:
    """Return the image that is meant, with all names that the archive gives it.

    wanted: its name, where the archive holds several images; REPO:TAG.
    platform: the one that it is for, where the archive tells those of several; of AWE's workers if empty.
    image_id: its id, which counts before all else, if it is known and there.
    beside: the images of an index, where `entries` are those of the `manifest.json` beside it. What they have for other
        platforms counts if a platform or an id is given.
    Those that have a problem count only where no other is left.
    Raises ArchiveError if the archive holds none, several of which none is the one, or one that has a problem.
    """
    entries = _add_platforms(entries, beside, platform, image_id)
    platform = platform or AWE_PLATFORM
    images: dict[tuple[object, ...], NamedImage] = {}
    for entry in entries:
        key = (entry.config, entry.layers)
        names = (*(images[key].repo_tags or () if key in images else ()), *(entry.repo_tags or ()))
        images[key] = msgspec.structs.replace(entry, repo_tags=tuple(dict.fromkeys(names)))
    known = [entry for entry in images.values() if image_id and _named_digest(entry.config) == image_id]
    named = _called(wanted, images.values(), short_docker_name) or _called(wanted, images.values(), _without_localhost)
    everything = [*images.values()]
    left = named or everything
    best = best_platform((entry.platform for entry in left if entry.platform), platform)
    fitting = [entry for entry in left if best and entry.platform == best]
    # Who gives another name than that of the only one there may mean one that is not.
    for chosen in (everything if wanted else _sound(everything), known, _sound(named), _sound(fitting)):
        if len(chosen) == 1:
            if chosen[0].problem:
                raise ArchiveError(chosen[0].problem)
            return chosen[0]
    if not images:
        raise ArchiveError("holds no image. Save the image again.")
    if all(entry.problem for entry in left):
        raise ArchiveError(left[0].problem)
    told = {name for entry in images.values() for name in entry.repo_tags or (entry.platform or entry.config,)}
    advice = "Save the image that is meant by itself."
    platforms = {entry.platform for entry in left if entry.platform}
    if not best and platforms and all(entry.platform for entry in left):
        told, which = platforms, f"none of them is for {platform}"
    elif named:
        which = f"{len(named)} of them are called {wanted}"
    elif wanted:
        which, advice = f"none of them is called {wanted}", "Use one of their names, or save the image by itself."
    else:
        which = "no name says which is meant"
        if any(entry.repo_tags for entry in images.values()):
            # Most commands take no name beside an archive.
            advice = f"{advice} Only `skyport-wf show NAME --archive FILE` finds one by its name."
    shown = ", ".join(sorted(told)[:_MAX_SHOWN]) + (", ..." if len(told) > _MAX_SHOWN else "")
    raise ArchiveError(f"holds {len(images)} images ({shown}), and {which}. {advice}")


def _add_platforms(
    entries: Sequence[NamedImage], beside: Sequence[NamedImage], platform: str, image_id: str
) -> Sequence[NamedImage]:
    """Return the images of a `manifest.json` with those for other platforms that the index beside it names.

    containerd puts only those for its own machine into a `manifest.json`, and those for all platforms into the index.
    """
    told = {_identity(entry): entry.platform for entry in beside if not entry.problem}
    own = {told.get(_identity(entry), "") for entry in entries}
    more = [entry for entry in beside if not entry.problem and entry.platform not in {*own, ""}]
    # Where nothing is asked for, engines load what manifest.json says.
    if not all(own) or not (platform or image_id in map(_identity, more)):
        return entries
    return [*(msgspec.structs.replace(entry, platform=told[_identity(entry)]) for entry in entries), *more]


def _identity(image: NamedImage) -> str:
    """Return the id of the image if the name of its config tells it, or else that name."""
    return _named_digest(image.config) or image.config


def _sound(images: list[NamedImage]) -> list[NamedImage]:
    """Return the images without a problem; all of them if each has one."""
    return [entry for entry in images if not entry.problem] or images


def _named_digest(config: str) -> str:
    """Return the digest that the path of a config names, empty if it names none."""
    named = _NAMED_BY_DIGEST.fullmatch(config)
    return f"sha256:{named[1]}" if named else ""


def has_name(names: Collection[str], wanted: str) -> bool:
    """Return whether an image that an archive gives these names has the wanted one, of whatever spelling."""
    return any(_is_among(names, wanted, short_name) for short_name in (short_docker_name, _without_localhost))


def _called(wanted: str, images: Collection[NamedImage], short_name: Callable[[str], str]) -> list[NamedImage]:
    """Return the images that have the wanted name, of whatever spelling."""
    return [entry for entry in images if _is_among(entry.repo_tags or (), wanted, short_name)]


def _is_among(names: Collection[str], wanted: str, short_name: Callable[[str], str]) -> bool:
    """Return whether one of the names is the wanted one: names of one short name are one."""
    short, tag = short_name(wanted), wanted.rpartition(":")[2]
    # skopeo names the images of an OCI layout by their tags alone.
    return any(short_name(name) == short if ":" in name or "/" in name else name == tag for name in names)


def _without_localhost(name: str) -> str:
    """Return the short name that an image has without the registry that podman puts before names that have none."""
    return short_docker_name(name.removeprefix("localhost/"))


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
    return digest_of(config)


def read_contents(entry: ManifestEntry, config_document: bytes, layers: tuple[tuple[str, int], ...]) -> ImageContents:
    """Return the contents of an image.

    layers: diff id and size in bytes of each layer that was read, in the manifest's order.
    Raises ArchiveError if the layers, or the name of the config, are not what the config says.
    """
    config, found_id = parse_config(config_document), image_id(config_document)
    # The name, where it is a digest: no other digest in the archive covers the config.
    if _named_digest(entry.config) not in ("", found_id):
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
        config_size=len(config_document),
    )


def _decode(document: bytes, kind: type[Document], problem: str) -> Document:
    try:
        return decode_like_go(document, kind)
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"is not a docker archive: {problem} ({error}). Save the image again.") from error
