"""Where the image list and its lock file are: the rule is the same for the command line and for Snakemake's rules."""

import os
import stat
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

from skyport_wf.input_file import exists, is_folder

DEFAULT_LIST = Path("images.yaml")
LIST_NAMES = (DEFAULT_LIST.name, DEFAULT_LIST.with_suffix(".yml").name)
"""The names that an image list is found by: both that YAML files have."""
LOCK_NAME = "images.lock.json"
"""The name of a lock file, unless another is given."""


def find_image_list(path: Path) -> Path:
    """Return the image list that `path` names: CWL can name the folder of a project, but not a file inside it.

    If it is the usual name and not here, the list of the project is taken in whose folders the user works.
    """
    if is_folder(path):
        return list_in(path) or path / DEFAULT_LIST
    if path != DEFAULT_LIST or exists(path):
        return path
    found = find_list_above(Path.cwd())
    return Path(os.path.relpath(found)) if found else path


def find_list_above(folder: Path) -> Path | None:
    """Return the image list of the project that a folder is in, None if it is in none.

    folder: an absolute path, without links.
    """
    # A list that somebody else could have put there might send the token to a Shock of theirs.
    ours = takewhile(_is_ours, folder.parents)
    return next(filter(None, map(list_in, (folder, *ours))), None)


def list_in(folder: Path) -> Path | None:
    """Return the image list in a folder, None if it has none."""
    return next((folder / name for name in LIST_NAMES if os.path.lexists(folder / name)), None)


def lock_beside(image_list: Path) -> Path:
    """Return the lock file of an image list for which no other is named."""
    return image_list.parent / LOCK_NAME


def _is_ours(folder: Path) -> bool:
    """Return whether a folder belongs to the user, and not everyone may write into it."""
    with suppress(OSError):
        status = folder.stat()
        return status.st_uid == os.geteuid() and not status.st_mode & stat.S_IWOTH
    return False
