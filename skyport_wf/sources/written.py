"""What publishing writes. It is no part of a build context: each run would make another image."""

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from skyport_wf.cache import cache_root
from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.image_list.place import LOCK_NAME
from skyport_wf.input_file import read_bounded
from skyport_wf.output_file import replace_file
from skyport_wf.user_folders import default_data

_USUAL = (LOCK_NAME, ".snakemake", "results/skyport", "logs/skyport", "benchmarks/skyport")
"""Files and folders, seen from the image list, where nobody has named others."""
_NOTES = Path(".snakemake/skyport")
"""The folder beside the image list that has notes of others: the rules and `serve` know where they write, and commands
do not."""
_SUFFIX = ".written"
_LARGEST = 1 << 20
"""Bytes of a note that are read."""


def find_written(folder: Path, root: Path) -> tuple[str, ...]:
    """Return what publishing writes into a build context, as paths below its root, with `/`.

    folder: that of the image list.
    """
    beside, inside = folder.resolve(), root.resolve()
    usual = [beside / name for name in _USUAL if beside.is_relative_to(inside)]
    others = [*_own_folders(), *(path for note in _list_notes(beside) for path in _read_note(note, beside))]
    found = dict.fromkeys([*usual, *(path for path in others if inside in path.parents)])
    return tuple(path.relative_to(inside).as_posix() for path in found)


def note_written(folder: Path, roots: Collection[Path], paths: Iterable[str]) -> None:
    """Note beside an image list which of these files and folders lie in build contexts of its images.

    Notes stay when the rules write elsewhere: what they have written is there still.
    folder: that of the image list.
    roots: the build contexts.
    Raises SkyportError, naming what should be noted, if that cannot be written.
    """
    # The last part may be a link, which is replaced, or is all that a context has of what it leads to.
    places = [Path(os.path.realpath(os.path.dirname(path)), os.path.basename(path)) for path in paths]  # noqa: PTH119, PTH120
    missing = {place for root in roots for place in _find_missing(places, folder, root)}
    if not missing:
        return
    beside = folder.resolve()
    # Whoever works in another folder has a note of his own: neither loses that of the other.
    here = hashlib.sha256(os.fsencode(os.path.relpath(Path.cwd(), beside))).hexdigest()[:12]
    note = beside / _NOTES / f"{here}{_SUFFIX}"
    try:
        known = _read_note(note, beside)
        note.parent.mkdir(parents=True, exist_ok=True)
        with replace_file(note) as file:
            file.write(b"\0".join(os.fsencode(os.path.relpath(path, beside)) for path in sorted({*known, *missing})))
    except (OSError, SkyportError) as error:
        names = ", ".join(map(str, sorted(missing)))
        raise SkyportError(
            f"{names} lies in the build context of an image, and that it is no part of it cannot be noted in "
            f"{note.parent}. Each run makes another image, unless .dockerignore names it."
        ) from error


def _find_missing(places: Collection[Path], folder: Path, root: Path) -> list[Path]:
    """Return those of the places that lie in a build context and that `find_written` does not know."""
    inside = root.resolve()
    there = [place for place in places if inside in place.parents]
    known = {inside / path for path in find_written(folder, root)} if there else set()
    return [place for place in there if known.isdisjoint((place, *place.parents))]


def _own_folders() -> Iterator[Path]:
    """Yield where the embedded Shock and copies of what was fetched are, of a user who has such folders."""
    for find in (default_data, cache_root):
        # What cannot be used is said by those who need it.
        with suppress(UsageError):
            yield Path(os.path.realpath(find()))


def _list_notes(beside: Path) -> list[Path]:
    return sorted((beside / _NOTES).glob(f"*{_SUFFIX}"))


def _read_note(note: Path, beside: Path) -> list[Path]:
    """Return the paths of a note; seen from the list, as that can be moved with all that is beside it."""
    with suppress(OSError):
        paths = os.fsdecode(read_bounded(note, _LARGEST)).split("\0")
        return [Path(os.path.normpath(beside / path)) for path in paths]
    return []
