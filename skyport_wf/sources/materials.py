"""The Dockerfile and the context that an image is built from, wherever the image list says that they are."""

from __future__ import annotations

from pathlib import Path

import msgspec

from skyport_wf.errors import SkyportError, TemporaryError, UsageError
from skyport_wf.image.context import BuildContext, list_context
from skyport_wf.image_list.addresses import FileAddress, GitAddress, parse_address, parse_inner_path
from skyport_wf.records.records import GitOrigin
from skyport_wf.sources.fetched import FetchedFolder, fetch_file, fetch_folder
from skyport_wf.sources.listed import ListedImage

_WRITTEN = ("images.lock.json", ".snakemake", "results/skyport", "logs/skyport", "benchmarks/skyport")
"""What publishing writes, seen from the image list, as commands and rules name it if they are not told otherwise."""


class Materials(msgspec.Struct, frozen=True):
    """What a build takes, on this machine, and where it was fetched."""

    context: BuildContext
    dockerfile_url: str | None = None
    git: GitOrigin | None = None


def find_materials(image: ListedImage) -> Materials:
    """Return what the image is built from, fetched if the image list names it by its address.

    Raises UsageError if a file or folder of this machine is not there, TemporaryError if an address cannot be reached,
    SkyportError if what is there cannot be used.
    """
    dockerfile = parse_address(image.spec.dockerfile or "")
    context = parse_address(image.spec.context or "")
    if dockerfile is None and context is None:
        return Materials(_find_here(image))
    try:
        match dockerfile, context:
            case GitAddress(), None:
                return _in_repository(dockerfile, "Dockerfile", image)
            case None, GitAddress():
                return _in_repository(context, image.spec.dockerfile or "Dockerfile", image)
            case FileAddress(), GitAddress() | None:
                return _with_fetched_dockerfile(dockerfile, context, image)
    except (SkyportError, OSError) as error:
        raise _named(image.spec.name, error) from error
    raise UsageError(f"image {image.spec.name}: `dockerfile` and `context` do not go together")


def _find_here(image: ListedImage) -> BuildContext:
    spec = image.spec
    dockerfile = image.folder / (spec.dockerfile or "Dockerfile")
    if not dockerfile.is_file():
        raise UsageError(
            f"image {spec.name}: there is no Dockerfile {dockerfile}. Mend `dockerfile` in the image list."
        )
    return _context_here(image, _folder_here(image) if spec.context else dockerfile.parent, dockerfile)


def _context_here(image: ListedImage, root: Path, dockerfile: Path) -> BuildContext:
    """Return a folder of this machine as a context, without what publishing writes beside the image list.

    A Dockerfile that lies there would make another image each time that it is published, and its build would read files
    that Snakemake is writing.
    """
    list_folder, inside = image.folder.resolve(), root.resolve()
    written = [list_folder / name for name in _WRITTEN if list_folder.is_relative_to(inside)]
    return BuildContext(root, dockerfile, tuple(path.relative_to(inside).as_posix() for path in written))


def _folder_here(image: ListedImage) -> Path:
    root = image.folder / (image.spec.context or "")
    if not root.is_dir():
        raise UsageError(f"image {image.spec.name}: there is no folder {root}. Mend `context` in the image list.")
    return root


def _in_repository(address: GitAddress, dockerfile: str, image: ListedImage) -> Materials:
    folder = fetch_folder(address, last_copy=image.last_copies)
    context = BuildContext(folder.path, folder.path / parse_inner_path(dockerfile))
    if not context.dockerfile.is_file():
        origin = folder.origin
        where = f"folder {origin.folder}" if origin.folder else "top folder"
        raise SkyportError(f"there is no {dockerfile} in the {where} of {origin.repository} at commit {origin.commit}.")
    # What these two hold is read here, and the first goes into records: they are the repository's own, or nothing.
    ignoring = context.dockerfile.with_name(context.dockerfile.name + ".dockerignore")
    _check_inside(folder, context.dockerfile, ignoring)
    _check_files(context, folder)
    return Materials(context, git=folder.origin)


def _with_fetched_dockerfile(address: FileAddress, context: GitAddress | None, image: ListedImage) -> Materials:
    path = fetch_file(address, last_copy=image.last_copies)
    if context is None:
        return Materials(_context_here(image, _local_root(image), path), address.url)
    folder = fetch_folder(context, last_copy=image.last_copies)
    _check_files(BuildContext(folder.path, path), folder)
    return Materials(BuildContext(folder.path, path), address.url, folder.origin)


def _local_root(image: ListedImage) -> Path:
    from skyport_wf.sources.remote.cache import empty_folder

    return _folder_here(image) if image.spec.context else empty_folder()


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


def _named(name: str, error: Exception) -> SkyportError:
    """Return the error as one that says which image it is about."""
    whose = f"image {name}: "
    message = whose + str(error).removeprefix(whose)
    return type(error)(message) if isinstance(error, UsageError | TemporaryError) else SkyportError(message)
