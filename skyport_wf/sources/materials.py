"""The Dockerfile and the context that an image is built from, wherever the image list says that they are."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import msgspec

from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.image.context import BuildContext, list_context
from skyport_wf.image_list.addresses import FileAddress, GitAddress, parse_address, parse_inner_path
from skyport_wf.image_list.spec import ImageList, ImageSpec
from skyport_wf.records.source import GitOrigin
from skyport_wf.sources.remote_files import FetchedFolder, RemoteFiles
from skyport_wf.sources.source import named_error
from skyport_wf.sources.written import find_written


class Materials(msgspec.Struct, frozen=True):
    """The inputs of a build, on this machine, and where they were fetched."""

    context: BuildContext
    dockerfile_url: str | None = None
    git: GitOrigin | None = None


def find_materials(spec: ImageSpec, folder: Path, remote: RemoteFiles) -> Materials:
    """Return what the image is built from, fetched if the image list names it by its address.

    folder: what the paths of the image list start from.
    Raises UsageError if a file or folder of this machine is not there, TemporaryError if an address cannot be reached,
    SkyportError if what is there cannot be used.
    """
    dockerfile = parse_address(spec.dockerfile or "")
    context = parse_address(spec.context or "")
    if dockerfile is None and context is None:
        return Materials(_find_here(spec, folder))
    try:
        match dockerfile, context:
            case GitAddress(), None:
                return _in_repository(remote.fetch_folder(dockerfile), "Dockerfile")
            case None, GitAddress():
                return _in_repository(remote.fetch_folder(context), spec.dockerfile or "Dockerfile")
            case FileAddress(), GitAddress():
                path, fetched = remote.fetch_file(dockerfile), remote.fetch_folder(context)
                in_repository = BuildContext(fetched.path, path)
                _check_files(in_repository, fetched)
                return Materials(in_repository, dockerfile.url, fetched.origin)
            case FileAddress(), None:
                from skyport_wf.cache import empty_folder

                path = remote.fetch_file(dockerfile)
                root = _folder_here(spec, folder) if spec.context else empty_folder()
                return Materials(_context_here(folder, root, path), dockerfile.url)
    except (SkyportError, OSError) as error:
        raise named_error(spec.name, error) from error
    raise UsageError(f"image {spec.name}: `dockerfile` and `context` do not go together")


def find_roots(images: ImageList, folder: Path) -> set[Path]:
    """Return the folders of this machine that images of the list are built with, as far as they are there."""
    roots = set()
    for spec in images.images:
        with suppress(UsageError):
            if spec.source != "dockerfile" or parse_address(spec.context or ""):
                continue
            if spec.context:
                roots.add(folder / spec.context)
            elif not parse_address(spec.dockerfile or ""):
                roots.add((folder / (spec.dockerfile or "Dockerfile")).parent)
    return {root for root in roots if os.path.isdir(root)}  # noqa: PTH112 - as below


def _find_here(spec: ImageSpec, folder: Path) -> BuildContext:
    dockerfile = folder / (spec.dockerfile or "Dockerfile")
    if not os.path.isfile(dockerfile):  # noqa: PTH113 - Path.is_file raises for a name that is too long
        raise UsageError(
            f"image {spec.name}: there is no Dockerfile {dockerfile}. Mend `dockerfile` in the image list."
        )
    return _context_here(folder, _folder_here(spec, folder) if spec.context else dockerfile.parent, dockerfile)


def _context_here(folder: Path, root: Path, dockerfile: Path) -> BuildContext:
    """Return a folder of this machine as a context, without what publishing writes.

    A Dockerfile beside the image list would make another image each time that it is published, and its build would read
    files that Snakemake is writing.
    """
    return BuildContext(root, dockerfile, find_written(folder, root))


def _folder_here(spec: ImageSpec, folder: Path) -> Path:
    root = folder / (spec.context or "")
    if not os.path.isdir(root):  # noqa: PTH112 - as above
        raise UsageError(f"image {spec.name}: there is no folder {root}. Mend `context` in the image list.")
    return root


def _in_repository(folder: FetchedFolder, dockerfile: str) -> Materials:
    context = BuildContext(folder.path, folder.path / parse_inner_path(dockerfile))
    if not os.path.isfile(context.dockerfile):  # noqa: PTH113 - as above
        origin = folder.origin
        where = f"folder {origin.folder}" if origin.folder else "top folder"
        raise SkyportError(f"there is no {dockerfile} in the {where} of {origin.repository} at commit {origin.commit}.")
    # Both are read here, and the first goes into records: they are the repository's own, or nothing.
    ignoring = context.dockerfile.with_name(context.dockerfile.name + ".dockerignore")
    _check_inside(folder, context.dockerfile, ignoring)
    _check_files(context, folder)
    return Materials(context, git=folder.origin)


def _check_files(context: BuildContext, folder: FetchedFolder) -> None:
    """Raise SkyportError if a repository names files to leave out by a link to one of this machine, or lacks files."""
    _check_inside(folder, context.root / ".dockerignore")
    if folder.submodules and (missing := sorted({*folder.submodules} & {*list_context(context)})):
        raise SkyportError(
            f"{', '.join(missing)} in {folder.origin.repository} belongs to another repository (a submodule), which is "
            "not fetched. Name it in .dockerignore if the build does not need it."
        )


def _check_inside(folder: FetchedFolder, *paths: Path) -> None:
    """Raise SkyportError if a repository leads to files of this machine."""
    inside = folder.path.resolve()
    for path in paths:
        if not path.resolve().is_relative_to(inside):
            name = path.relative_to(folder.path)
            raise SkyportError(f"{name} in {folder.origin.repository} is a link that leads out of the context.")
