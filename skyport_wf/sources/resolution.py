"""The images of a list, each resolved once: its files found and read, what it needs, and its digest.

Everything that follows takes these values: planning, building, status, lint, reproducing.
"""

from __future__ import annotations

import graphlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from skyport_wf.digests import digest_of
from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.image_list.reference import is_local_spelling, listed_names, short_docker_name
from skyport_wf.image_list.spec import ImageList, ImageSpec, SourceKind
from skyport_wf.records.source import Source
from skyport_wf.sources.archive import ArchiveSource
from skyport_wf.sources.container import ContainerSource
from skyport_wf.sources.dockerfile import DockerfileSource
from skyport_wf.sources.engine_image import EngineImageSource
from skyport_wf.sources.missing_files import check_files
from skyport_wf.sources.registry import RegistrySource
from skyport_wf.sources.remote_files import RemoteFiles
from skyport_wf.sources.snapshot import SnapshotSource
from skyport_wf.sources.source import Connect, ImageSource

_SOURCES: dict[SourceKind, Callable[[ImageSpec, Path, RemoteFiles], ImageSource]] = {
    "dockerfile": DockerfileSource,
    "snapshot": SnapshotSource,
    "container": ContainerSource,
    "image": EngineImageSource,
    "archive": ArchiveSource,
    "registry": RegistrySource,
}


class ResolvedImage(msgspec.Struct, frozen=True):
    """An image of the list with all that its files tell."""

    spec: ImageSpec
    source: ImageSource
    used: dict[str, str]
    """Names of images of the list, and of its base, by those that its source has for them, such as
    docker.io/REPO:TAG."""
    used_by_docker: dict[str, str]
    """The same without the names by which podman alone means these images, such as localhost/REPO:TAG."""
    needs: tuple[str, ...]
    """Names of the images of the list that it is built on, or whose layers its archive leaves out."""
    needed_digests: dict[str, str]
    """Their source digests, by name; empty where only an engine could tell."""
    facts: Source | None
    """Its inputs; None where only an engine or an archive tells (see `describe`)."""

    @property
    def used_others(self) -> tuple[str, ...]:
        """The images that its source names and that are neither of the list nor its base."""
        return tuple(name for name in self.source.used_images if name not in self.used)

    def describe(self, connect: Connect) -> Source:
        """Return what the image is made from, asking the engine or reading the archive only if that is needed.

        Raises EngineError or ArchiveError if that has no such image.
        """
        return self.facts or _describe(self.spec, self.source, self.needed_digests, connect)


def resolve_images(
    images: ImageList,
    folder: Path,
    names: Collection[str] | None = None,
    *,
    last_copies: bool = False,
    digests: bool = True,
    unknown: dict[str, SkyportError] | None = None,
    archives: bool = True,
) -> dict[str, ResolvedImage]:
    """Return images of the list by name, each after those that it is built on.

    folder: what the paths of the image list start from.
    names: only these, and those that they are built on, so that addresses of others are not asked; all if None.
    last_copies: whether those will do of what an address names that cannot be reached.
    digests: whether to digest build contexts; without, no `facts` are told.
    unknown: takes the images whose addresses cannot be reached or do not have them, and those built on them, instead of
    an error.
    archives: whether the archives that images come from have to be there.
    Raises UsageError for a missing Dockerfile, context, script or archive, or if images are built on each other in a
    circle; without `unknown`, what the sources raise.
    """
    for name in names or ():
        images.find(name)
    check_files(images, folder, names, archives=archives)
    opened = _open(images, folder, names, RemoteFiles(last_copies=last_copies), unknown)
    _add_triggered(opened)
    resolved: dict[str, ResolvedImage] = {}
    for name in _order(opened, images):
        if unknown:
            if name in unknown:
                continue
            if missing := next((need for need in opened[name].needs if need in unknown), None):
                unknown[name] = unknown[missing]
                continue
        with _set_apart(name, unknown):
            resolved[name] = _resolve(opened[name], resolved, digests=digests)
    return resolved


class _OpenedImage(msgspec.Struct):
    """An image whose files were found and read, with what it uses; see `ResolvedImage`."""

    spec: ImageSpec
    source: ImageSource
    used: dict[str, str]
    needs: tuple[str, ...]


def _open(
    images: ImageList,
    folder: Path,
    names: Collection[str] | None,
    remote: RemoteFiles,
    unknown: dict[str, SkyportError] | None,
) -> dict[str, _OpenedImage]:
    """Return images of the list, and those that they are built on, by name; see `resolve_images`."""
    listed = listed_names(image.name for image in images.images)
    # Taken from the end: of several mistakes, the first of the list is the one to tell.
    todo = [image.name for image in images.images if names is None or image.name in names][::-1]
    opened: dict[str, _OpenedImage] = {}
    while todo:
        name = todo.pop()
        if name in opened or name in (unknown or ()):
            continue
        spec = images.find(name)
        with _set_apart(name, unknown):
            opened[name] = _open_image(spec, _SOURCES[spec.source](spec, folder, remote), listed)
            todo += opened[name].needs
    return opened


@contextmanager
def _set_apart(name: str, unknown: dict[str, SkyportError] | None) -> Iterator[None]:
    """Note an image whose source fails in the block, instead of an error, if there is where to."""
    try:
        yield
    except UsageError:  # a mistake in the list
        raise
    except SkyportError as error:  # of this source alone
        if unknown is None:
            raise
        unknown[name] = error


def _open_image(spec: ImageSpec, source: ImageSource, listed: dict[str, str]) -> _OpenedImage:
    """Return an image with what it uses. listed: the images of the list, as `listed_names` returns them."""
    # For docker, one image has many names; a thin base has its own name alone, and may be of another list.
    base = listed_names([spec.base]) if spec.base else {}
    names = base | listed if base else listed
    known = {one: names.get(short_docker_name(one)) for one in source.used_images}
    # An image may be built on what a registry on this machine has under its name.
    used = {
        spelled: one
        for spelled, one in known.items()
        if one and not (one == spec.name and is_local_spelling(spelled, one))
    }
    built_on = dict.fromkeys((*used.values(), *base.values()))
    return _OpenedImage(spec, source, used, tuple(one for one in built_on if one in listed.values()))


def _add_triggered(opened: Mapping[str, _OpenedImage]) -> None:
    """Add to what images use and need what the `ONBUILD` of their bases makes them use."""
    for image in opened.values():
        if not isinstance(image.source, DockerfileSource):
            continue
        for name in dict.fromkeys(image.used.values()):
            base = opened.get(name)
            if base and isinstance(base.source, DockerfileSource):
                found = {one: base.used[one] for one in base.source.triggered_images if one in base.used}
                image.used = found | image.used
                image.needs = tuple(dict.fromkeys((*image.needs, *found.values())))


def _resolve(image: _OpenedImage, below: Mapping[str, ResolvedImage], *, digests: bool) -> ResolvedImage:
    """Return an image with its inputs. below: those that it is built on, at least; digests: see `resolve_images`."""
    spec, source = image.spec, image.source
    needed = {need: _digest(below[need]) for need in image.needs}
    facts = _describe(spec, source, needed, _no_engine) if digests and source.known_without_engine else None
    used_by_docker = {spelled: one for spelled, one in image.used.items() if not is_local_spelling(spelled, one)}
    return ResolvedImage(spec, source, image.used, used_by_docker, image.needs, needed, facts)


def _order(opened: Mapping[str, _OpenedImage], images: ImageList) -> list[str]:
    """Return the names, each after those that it needs, and otherwise in the order of the list."""
    in_list = {image.name: opened[image.name].needs for image in images.images if image.name in opened}
    try:
        return list(graphlib.TopologicalSorter(in_list).static_order())
    except graphlib.CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        raise UsageError(f"images are built on each other in a circle: {circle}") from error


def _digest(image: ResolvedImage) -> str:
    return image.facts.digest if image.facts else ""


def _no_engine() -> Any:
    raise AssertionError("a source that needs no engine asked for one")


def _describe(spec: ImageSpec, source: ImageSource, needed_digests: dict[str, str], connect: Connect) -> Source:
    found = source.describe(needed_digests, connect)
    # Flattened or thin, the same files are published as another image.
    if spec.flatten:
        return msgspec.structs.replace(found, digest=digest_of(f"flattened {found.digest}".encode()))
    if spec.base:
        return msgspec.structs.replace(found, digest=digest_of(f"thin {spec.base} {found.digest}".encode()))
    return found
