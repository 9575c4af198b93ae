"""The second step: the image as a canonical, gzipped archive in a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skyport_wf.errors import SkyportError
from skyport_wf.image.archive.tar_reader import ByteStream
from skyport_wf.records import BuildRecord, SaveRecord


def save(build: BuildRecord, archive: Path, *, record_folder: Path) -> SaveRecord:
    """Write the image to the file `archive`, whole or not at all.

    record_folder: where the record will lie; it names the archive as seen from there.
    An image that is published already is not saved again: the file is empty then.
    Raises EngineError if the engine no longer has the image, SkyportError for a full disk.
    """
    from skyport_wf.image.archive.canonical import save_canonical

    path = os.path.relpath(archive.resolve(), record_folder.resolve())
    make_folder(archive.parent)
    if build.published:
        archive.write_bytes(b"")
        return SaveRecord(build=build, archive=path, saved=None)
    with open_image(build) as stream:
        saved = save_canonical(stream, build.reference, archive)
    return SaveRecord(build=build, archive=path, saved=saved)


@contextmanager
def open_image(build: BuildRecord) -> Iterator[ByteStream]:
    """Open the image as an uncompressed archive, from the engine or from the file that it comes from."""
    if build.archive:
        from skyport_wf.image.archive.archive_file import open_archive

        with open_archive(Path(build.archive)) as stream:
            yield stream
        return
    if not build.image:
        raise SkyportError(f"{build.name}: the build record names no image. Run `skyport-wf build` again.")
    from skyport_wf.engine.connection import connect
    from skyport_wf.engine.images import export_image

    with export_image(connect(), build.image) as stream:
        yield stream


def make_folder(folder: Path) -> None:
    """Make the folder and those above it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SkyportError(f"cannot make the folder {folder}: {error.strerror}") from error
