"""Mistakes in a pipeline's files that can be found before anything runs."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Container, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.input_file import is_absent, is_folder
from skyport_wf.output_file import LONGEST_NAME
from skyport_wf.records.plan import PlannedImage

if TYPE_CHECKING:
    from skyport_wf.records.receipt import LockedImage

_PARTS_OF_FILE = 2
"""Of the path of a file that rules write, in the folder of all images: its image's folder, and its name."""
_MISREAD = {"[{}]": "braces, Snakemake's wildcards", "<[a-z][a-z0-9_]*>": "`<name>`, Snakemake's pathvars"}
"""What Snakemake takes for something else in the path of a file, and what for."""
_ADDRESS = "://"
FILES_OF_IMAGE = frozenset({
    "build.json", "save.json", "upload.json", "image.tar.gz", "receipt.json", "packages.cdx.json", "fetched.tar",
    "image.sif", "lint.json", "findings.json", "show.json", "layers.svg",
})  # fmt: skip
"""The files that rules write into the folder of an image's results."""


def check_settings_files(images: str | None, conda: str | None) -> None:
    """Raise UsageError for a file of the settings that is not there, which Snakemake would tell late or not at all.

    images: the image list, None if the rules need none.
    conda: the environment, None if there is none; a file if it is absolute, and otherwise a name.
    """
    if images and is_absent(Path(images)):
        raise UsageError(
            f"there is no {images}. `skyport-wf init` writes one, or name another in the setting `images`."
        )
    if conda and Path(conda).is_absolute() and is_absent(Path(conda)):
        raise UsageError(f"there is no {conda}, of the setting `conda`. Name the environment's file, or its name.")


def check_pathvars(pathvars: Mapping[str, str]) -> None:
    """Raise UsageError for a pathvar that Snakemake misunderstands, or that is empty.

    What is below an empty one would go to the root of the machine.
    pathvars: values by name.
    """
    for name, value in pathvars.items():
        if not value:
            raise UsageError(f"the pathvar `{name}` is empty. Write `.` for the working directory.")
        if "{" in value or "}" in value:
            raise UsageError(f"the pathvar `{name}` is {value!r}: Snakemake takes braces for wildcards.")
        if value.startswith("-"):
            raise UsageError(f"the pathvar `{name}` is {value!r}: commands take that for an option. Name another.")
        if _ADDRESS in value:
            raise UsageError(
                f"the pathvar `{name}` is {value!r}, an address. Name a folder; with `--default-storage-provider`, "
                "Snakemake brings what is in there to a storage."
            )
        if misread := find_misread(value, is_argument=True):
            raise UsageError(f"the pathvar `{name}` is {value!r}. Name a folder without {misread}.")


def check_prefix(folders: Iterable[str]) -> None:
    """Raise UsageError for a `prefix` or `replace_prefix` of a module that Snakemake or the commands misunderstand.

    folders: those that have a folder for each image, as the module moves them. Their pathvars are right.
    """
    for folder in folders:
        if misread := find_misread(folder, is_argument=True):
            raise UsageError(
                f"the module puts files of the rules into {folder!r}. Name a `prefix`, or `replace_prefix`, without "
                f"{misread}."
            )


def check_folders(folders: Mapping[str, str], keys: Collection[str]) -> None:
    """Raise UsageError for what is in the way of the rules' files, and for a folder that has to be written and cannot.

    folders: those that have a folder for each image, by pathvar.
    keys: those of the images whose receipts are to be there.
    """
    receipts = [f"{folders['results']}/{key}/receipt.json" for key in keys]
    for pathvar, folder in folders.items():
        if found := _find_in_the_way(folder, keys, FILES_OF_IMAGE if pathvar == "results" else ()):
            raise UsageError(
                f"{found} is where the rules write other files. Move it away, or name another folder in the pathvar "
                f"`{pathvar}`."
            )
        if not is_writable(Path(folder)) and not all(map(os.path.exists, receipts)):
            raise UsageError(
                f"the folder {Path(folder).parent} cannot be written to. Name another in the pathvar `{pathvar}`."
            )


def check_keys(images: Iterable[PlannedImage]) -> None:
    """Raise UsageError for an image whose folders would have a longer name than there can be."""
    for image in images:
        if len(image.key) > LONGEST_NAME:
            raise UsageError(
                f"image {image.name}: its name makes the name of a folder, which has at most {LONGEST_NAME} bytes. "
                "Give it a shorter one."
            )


def check_archives(images: Iterable[PlannedImage]) -> None:
    """Raise UsageError for a file that Snakemake would look for under another name."""
    for image in images:
        if image.archive and (misread := find_misread(image.archive)):
            raise UsageError(f"image {image.name}: the archive is {image.archive!r}. Name it without {misread}.")


def check_lock(lock: str, needed: Iterable[str], lists: Iterable[str]) -> dict[str, LockedImage]:
    """Return the images that a lock file has, by name; none if it is not there.

    needed: images that it has to have, as it cannot be written.
    lists: the image lists of the workflow.
    Raises UsageError for a file that is none, which would be said when the images are built and sent already.
    """
    from skyport_wf.records.files import read_record
    from skyport_wf.records.receipt import LockFile

    if is_folder(Path(lock)):
        raise UsageError(f"the lock file {lock} is a folder. Name a file in the setting `lock`.")
    if os.path.realpath(lock) in map(os.path.realpath, lists):
        raise UsageError(f"the lock file {lock} is an image list. Name another file in the setting `lock`.")
    try:
        locked = {} if is_absent(Path(lock)) else read_record(Path(lock), LockFile).images
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
    paths = (folder.absolute(), *folder.absolute().parents)
    # A link to nothing is there, and no folder can be made in its place.
    there = next((path for path in paths if os.path.lexists(path)), Path("/"))
    return os.path.isdir(there) and os.access(there, os.W_OK | os.X_OK)  # noqa: PTH112 - Path.is_dir may raise


def _find_in_the_way(folder: str, keys: Container[str], files: Collection[str]) -> str | None:
    """Return a file that is where the folder of an image goes, or a folder that is where a file of it goes, if any.

    Folders are listed: to ask for each path would take long for a thousand images.
    files: the names of an image's files.
    """
    for image in _list(folder):
        if image.name in keys:
            # Of a link, the disk is asked; DirEntry.is_dir raises if that leads to itself.
            if not image.is_dir(follow_symlinks=False) and not os.path.isdir(image.path):  # noqa: PTH112
                return image.path
            for file in _list(image.path) if files else ():
                if file.name in files and file.is_dir(follow_symlinks=False):
                    return file.path
    return None


def _list(folder: str) -> list[os.DirEntry[str]]:
    """Return what is in a folder; nothing if it is none, or nobody may look."""
    with suppress(OSError), os.scandir(folder) as entries:
        return [*entries]
    return []


def find_misread(path: str, *, is_argument: bool = False) -> str:
    """Return what is not taken as it is written in the path of a file; empty if there is nothing.

    is_argument: whether commands get the path, and not only Snakemake.
    """
    if is_argument and path.startswith("-"):
        return "`-` at its start, which commands take for an option"
    if is_argument and _ADDRESS in path:
        return f"`{_ADDRESS}`, as it has to be on this disk"
    if "\0" in path or any(len(os.fsencode(name)) > LONGEST_NAME for name in path.split("/")):
        return f"NUL, and names of more than {LONGEST_NAME} bytes, which no file can have"
    return next((words for pattern, words in _MISREAD.items() if re.search(pattern, path)), "")
