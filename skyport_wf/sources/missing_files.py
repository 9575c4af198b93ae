"""Files that an image list names and that are not there, or folders in their place: all told at once, with lines.

An address is no such file where the list takes none.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from skyport_wf.image_list.mistakes import Mistake, MistakesError
from skyport_wf.image_list.spec import ImageList, ImageSpec
from skyport_wf.input_file import exists, is_absent, is_folder
from skyport_wf.near_words import near_words

_MOST_LOOKED_AT = 5000
"""Files and folders beside the list among which a name is looked for."""
_WHAT = {
    "dockerfile": "Dockerfile",
    "context": "folder",
    "snapshot.script": "script",
    "archive": "archive",
}
_INSTEAD_OF_ADDRESS = {
    "snapshot.script": "Fetch the file first.",
    "archive": "Fetch the file first, or name the image of a registry with `registry`.",
}
"""What to do where an address stands in a field that takes none."""


def check_files(images: ImageList, folder: Path, names: Collection[str] | None, *, archives: bool) -> None:
    """Raise MistakesError if files are not there that the list names.

    folder: what the paths of the list start from.
    names: only what these images name; all if None.
    archives: whether archives have to be there, too. Whoever only plans need not have them yet, but an address never
        becomes one.
    """
    written = images.written
    if written is None:
        return
    mistakes = []
    for index, image in enumerate(images.images):
        if names is not None and image.name not in names:
            continue
        for field, path in _paths(image):
            may_come = field == "archive" and not archives and "://" not in path
            if not may_come and (words := _why_not(folder, field, path)):
                place = written.place_of(f"$.images[{index}].{field}")
                mistakes.append(Mistake(place, f", field {field}: image {image.name}: {words}"))
    if mistakes:
        raise MistakesError(mistakes, written.name, written.source)


def _why_not(folder: Path, field: str, path: str) -> str:
    """Return what is wrong with what a field names, and what to do; empty if it is there."""
    there, takes_folder = folder / path, field == "context"
    is_there = exists(there)
    if is_there and (field == "archive" or is_folder(there) == takes_folder):
        return ""
    if "://" in path:
        return f"an address is not taken here. {_INSTEAD_OF_ADDRESS[field]}"
    if is_there:
        wrong = f"{there} is {'no' if takes_folder else 'a'} folder"
    elif is_absent(there):
        wrong = f"there is no {_WHAT[field]} {there}"
    else:
        return f"{there} cannot be read: a folder on the way there is closed to you."
    inside = os.path.join(path, "Dockerfile")  # noqa: PTH118 - as the list would have it
    is_inside = field == "dockerfile" and exists(folder / inside)
    near = inside if is_inside else _near(folder, path, folders=takes_folder)
    return f"{wrong}; did you mean {near}?" if near else f"{wrong}. Mend `{field}` in the image list."


def _paths(image: ImageSpec) -> Iterator[tuple[str, str]]:
    """Yield the fields that are to name files of this machine, and what they name."""
    fields = {
        "dockerfile": image.dockerfile,
        "context": image.context,
        "snapshot.script": image.snapshot.script if image.snapshot else None,
        "archive": image.archive,
    }
    elsewhere = "://" in (image.context or "")
    for field, path in fields.items():
        is_fetched = "://" in (path or "") and field not in _INSTEAD_OF_ADDRESS
        # In the context of a repository, the Dockerfile is there, too.
        if path and not is_fetched and not (field == "dockerfile" and elsewhere):
            yield field, path


def _near(folder: Path, wanted: str, *, folders: bool) -> str:
    """Return the path that is most like the wanted one, of those with its name if there are any; empty if none is."""
    there = list(_entries(folder, folders=folders))
    same_name = [path for path in there if Path(path).name.casefold() == Path(wanted).name.casefold()]
    # Paths may be long, and comparing takes the product of their lengths.
    close = near_words(wanted[-200:], same_name, least=0.3)
    close = close or near_words(wanted[-200:], there, least=0.7)
    return close[0] if close else ""


def _entries(folder: Path, *, folders: bool) -> Iterator[str]:
    """Yield the files beside the list and below, or the folders, as the list would name them."""
    seen = 0
    for at, below, files in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in below if folders else sorted(files):
            seen += 1
            if seen > _MOST_LOOKED_AT:
                return
            yield os.path.relpath(Path(at, name), folder)
