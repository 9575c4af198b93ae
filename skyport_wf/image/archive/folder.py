"""An OCI layout in a folder, read as the tar that it would be.

Source: OCI image-spec, image-layout.md and descriptor.md.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from skyport_wf.byte_streams import pieces_of
from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive.layout import END, padding, tar_header
from skyport_wf.image.archive.limits import MAX_DOCUMENTS
from skyport_wf.image.archive.oci import find_images
from skyport_wf.input_file import is_file

INDEX: Final = "index.json"
_BLOB: Final = re.compile(r"blobs/[a-z0-9][a-z0-9+._-]*/[a-zA-Z0-9=_-]+")
"""Paths of blobs: those that other digests make may lead out of the folder."""


def read_folder(folder: Path) -> Iterator[bytes]:
    """Yield an uncompressed archive of the layout in a folder: its index, and the blobs that this leads to.

    A layout may have any number of other blobs, such as those of images that were removed from its index.
    Raises ArchiveError if the folder is none, or a file cannot be read.
    """
    if not (folder / INDEX).is_file():
        raise ArchiveError(f"{folder} is a folder, and no OCI layout: it has no {INDEX}. {_advice(folder)}")

    def member(name: str) -> Iterator[bytes]:
        with (folder / name).open("rb", buffering=0) as file:
            size = left = os.fstat(file.fileno()).st_size
            yield tar_header(name, size)
            for piece in pieces_of(file):
                yield piece[:left]
                left = max(0, left - len(piece))
        if left:
            raise ArchiveError(f"{folder / name} became shorter while it was read. Try again.")
        yield padding(size)

    with _readable(folder):
        yield from member(INDEX)
        for name in _find_blobs(folder):
            yield from member(name)
        yield END


def _advice(folder: Path) -> str:
    """Return what to do with a folder that may have an image in another form."""
    head = b""
    with suppress(OSError), (folder / "manifest.json").open("rb") as file:
        head = file.read(1)
    if head == b"[":
        return f"It is an archive that was unpacked: pack it (tar -C {folder} -cf FILE .), and name that."
    if head == b"{":
        return (
            f"Skopeo's `dir:` is written so: `skopeo copy dir:{folder} docker-archive:FILE:REPO:TAG` makes an archive."
        )
    return "Name an archive."


def layout_size(folder: Path) -> int:
    """Return how many bytes `read_folder` reads. Raises ArchiveError if a file cannot be read."""
    with _readable(folder):
        return sum((folder / name).stat().st_size for name in (INDEX, *_find_blobs(folder)))


def _find_blobs(folder: Path) -> list[str]:
    """Return the paths of the blobs that the index leads to, as far as they are there. Raises OSError."""
    named = set()

    def read(name: str) -> bytes | None:
        named.add(name)
        return _read_document(folder / name) if _is_blob(folder, name) else None

    # What is wrong is told by whoever reads the archive, and finds the same.
    with suppress(ArchiveError):
        index = _read_document(folder / INDEX) or b"{}"
        for image in find_images(index, read):
            named.update((image.config, *(image.layers or ())))
    return [name for name in sorted(named) if _is_blob(folder, name)]


def _is_blob(folder: Path, name: str) -> bool:
    # Tools of build systems put links to their blobs there. Whoever names the folder may read what they lead to.
    return bool(_BLOB.fullmatch(name)) and is_file(folder / name)


def _read_document(path: Path) -> bytes | None:
    """Return what is in a file, None if that is too much for a document."""
    with path.open("rb") as file:
        document = file.read(MAX_DOCUMENTS + 1)
    return document if len(document) <= MAX_DOCUMENTS else None


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArchiveError(f"{error.filename or folder} cannot be read: {error.strerror}. Check the folder.") from error
