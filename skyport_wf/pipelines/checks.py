"""Mistakes in a pipeline's files that can be found before anything runs."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.records.plan import PlannedImage

if TYPE_CHECKING:
    from skyport_wf.records.receipt import LockedImage

_PARTS_OF_FILE = 2
"""Of the path of a file that rules write, in the folder of all images: its image's folder, and its name."""


def check_settings_files(images: str | None, conda: str | None) -> None:
    """Raise UsageError for a file of the settings that is not there, which Snakemake would tell late or not at all.

    images: the image list, None if the rules need none.
    conda: the environment, None if there is none; a file if it is absolute, and otherwise a name.
    """
    if images and not Path(images).exists():
        raise UsageError(
            f"there is no {images}. `skyport-wf init` writes one, or name another in the setting `images`."
        )
    if conda and Path(conda).is_absolute() and not Path(conda).exists():
        raise UsageError(f"there is no {conda}, of the setting `conda`. Name the environment's file, or its name.")


def check_pathvars(pathvars: Mapping[str, str]) -> None:
    """Raise UsageError for an empty pathvar: what is below it would go to the root of the machine.

    pathvars: values by name.
    """
    for name, value in pathvars.items():
        if not value:
            raise UsageError(f"the pathvar `{name}` is empty. Write `.` for the working directory.")


def check_results(results: str, keys: Iterable[str]) -> None:
    """Raise UsageError for a folder of results that Snakemake misunderstands, or that has to be written and cannot be.

    keys: those of the images whose receipts are to be there.
    """
    if _has_braces(results):
        raise UsageError(f"the pathvar `results` is {results!r}: Snakemake takes braces for wildcards.")
    folder = Path(results) / "skyport"
    if not is_writable(folder) and not all((folder / key / "receipt.json").exists() for key in keys):
        raise UsageError(f"the folder {results} cannot be written to. Name another in the pathvar `results`.")


def check_archives(images: Iterable[PlannedImage]) -> None:
    """Raise UsageError for a file that Snakemake would look for under another name."""
    for image in images:
        if image.archive and _has_braces(image.archive):
            raise UsageError(
                f"image {image.name}: the archive is {image.archive!r}: Snakemake takes braces for wildcards."
            )


def check_lock(lock: str, needed: Iterable[str], lists: Iterable[str]) -> dict[str, LockedImage]:
    """Return the images that a lock file has, by name; none if it is not there.

    needed: images that it has to have, as it cannot be written.
    lists: the image lists of the workflow.
    Raises UsageError for a file that is none, which would be said when the images are built and sent already.
    """
    from skyport_wf.records.files import read_record
    from skyport_wf.records.receipt import LockFile

    if Path(lock).is_dir():
        raise UsageError(f"the lock file {lock} is a folder. Name a file in the setting `lock`.")
    if os.path.realpath(lock) in map(os.path.realpath, lists):
        raise UsageError(f"the lock file {lock} is an image list. Name another file in the setting `lock`.")
    try:
        locked = read_record(Path(lock), LockFile).images if Path(lock).exists() else {}
    except SkyportError as error:
        raise UsageError(str(error)) from error
    if missing := [name for name in needed if name not in locked]:
        raise UsageError(
            f"the lock file {lock} cannot be written, and lacks {', '.join(missing)}. Name another one in the setting "
            "`lock`."
        )
    return locked


def check_lock_place(lock: str, folders: Iterable[str], keys: Container[str]) -> None:
    """Raise UsageError for a lock file that would be in the way of what rules write, or be written over by them.

    folders: those that have a folder for each image.
    keys: those of the images.
    """
    path = Path(os.path.realpath(lock))
    for folder in map(os.path.realpath, folders):
        inside = path.relative_to(folder).parts if path.is_relative_to(folder) else ()
        if Path(folder).is_relative_to(path) or (0 < len(inside) <= _PARTS_OF_FILE and inside[0] in keys):
            raise UsageError(
                f"the lock file {lock} is where the rules write other files. Name another in the setting `lock`."
            )


def is_writable(folder: Path) -> bool:
    """Return whether files can be made in a folder, which may have to be made itself."""
    there = next((path for path in (folder.absolute(), *folder.absolute().parents) if path.exists()), Path("/"))
    return os.access(there, os.W_OK | os.X_OK)


def _has_braces(path: str) -> bool:
    return "{" in path or "}" in path
