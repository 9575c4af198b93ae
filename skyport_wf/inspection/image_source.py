"""An image to look into by a word: a published one by its name, or one in an archive on this disk by its path."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from skyport_wf.errors import ArchiveError, SkyportError
from skyport_wf.formatting import printable
from skyport_wf.input_file import exists, is_absent, is_folder
from skyport_wf.near_words import near_words
from skyport_wf.progress import Progress
from skyport_wf.publication.awe_lookup import NoImageError
from skyport_wf.publication.resolve import find_for_worker
from skyport_wf.publication.thin import name_of
from skyport_wf.transfer.thin_chain import open_image, read_chain

if TYPE_CHECKING:
    from skyport_wf.byte_streams import ByteStream
    from skyport_wf.image.examination.examine import ImageExamination
    from skyport_wf.image.layers.file_index import FileIndex
    from skyport_wf.publication.connection import Shock

_OCI_INDEX = "index.json"
_ENDINGS = (".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.zst")
_MOST_LOOKED_AT = 1000
"""Entries of a folder of which one may be meant."""


class ImageSource:
    """An image whose archive can be read, whole, as often as it takes."""

    def __init__(self, name: str, open_stream: Callable[[], Iterator[ByteStream]]) -> None:
        """Hold the image's name for messages, and a function that opens its uncompressed archive."""
        self.name = name
        self.open = contextmanager(open_stream)

    def examine(self, index: FileIndex) -> ImageExamination:
        """Read the image and fill the index with its files.

        Raises SkyportError if it has too many to be told, besides what reading it raises.
        """
        from skyport_wf.image.examination.examine import examine_archive

        with self.open() as stream:
            found = examine_archive(stream, index=index)
        if found.waste is None:
            raise SkyportError(f"the files of {self.name} are not known: {'; '.join(found.notes)}.")
        return found


def is_archive(word: str) -> bool:
    """Return whether a word is the path of an archive or OCI layout that is there, and so no image's name."""
    path = Path(word)
    try:
        return path.is_file() or (path / _OCI_INDEX).is_file()
    except OSError:
        return False


def find_image(word: str, shock: Callable[[], Shock], progress: Progress) -> ImageSource:
    """Return the image that a word means: of the archive of this path if there is one, or else of this name.

    shock: opens the Shock, if it is needed.
    progress: called with the bytes of each piece that is read.
    Raises AweLookupError if an AWE worker would get no image of the name, with what there is of an archive if the word
    looks like one; ArchiveError if it can only be one, and is none; ShockError if a thin image's base is gone.
    """
    if is_archive(word):
        return ImageSource(word, lambda: _open_file(Path(word), progress))
    if "/" in word and word.startswith(("/", "./", "../")):
        raise ArchiveError(f"{_why_no_archive(word)} Name an archive, an OCI layout, or a published image.")
    client = shock().user
    try:
        node = find_for_worker(shock(), word)
    except NoImageError as error:
        if not _looks_like_archive(word):
            raise
        why = _why_no_archive(word)
        raise NoImageError(f"{error} {why[:1].upper()}{why[1:]}", error.asked) from error
    chain = read_chain(client, node)

    def open_published() -> Iterator[ByteStream]:
        with open_image(client, chain, progress) as archive:
            yield archive
        progress.rest()

    return ImageSource(name_of(node), open_published)


def _looks_like_archive(word: str) -> bool:
    path = Path(word)
    return word.lower().endswith(_ENDINGS) or exists(path) or ("/" in word and is_folder(path.parent))


def _why_no_archive(word: str) -> str:
    """Return why a path is not that of an archive, and which one may be meant; a sentence."""
    path = Path(word)
    if is_folder(path):
        return f"the folder {word} is no OCI layout: it has no {_OCI_INDEX}."
    if not (exists(path) or is_absent(path)):
        return f"{word} cannot be read: a folder on the way there is closed to you."
    if exists(path):
        return (
            f"there is no archive {word}, but a device or pipe: an archive has to be a file, as it may be read twice."
        )
    near = ""
    with suppress(OSError), os.scandir(path.parent) as entries:
        there = [entry.name for entry in islice(entries, _MOST_LOOKED_AT) if is_archive(entry.path)]
        near = next(iter(near_words(path.name, there)), "")
    return f"there is no archive {word}{f'; did you mean {printable(str(path.with_name(near)))}?' if near else '.'}"


def _open_file(path: Path, progress: Progress) -> Iterator[ByteStream]:
    from skyport_wf.image.archive.stream import open_archive as open_file
    from skyport_wf.image.archive.stream import stored_size

    with open_file(path, progress) as stream:
        progress.expect(stored_size(path))
        yield stream
    progress.rest()
