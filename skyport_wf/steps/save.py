"""The second step: the image as a canonical, gzipped archive in a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.byte_streams import ByteStream, CountedStream
from skyport_wf.engine.connection import connect
from skyport_wf.errors import ArchiveError, SkyportError, UsageError
from skyport_wf.image.contents import SavedArchive
from skyport_wf.output_file import cannot_write, keep_other_file, make_folders, replace_file
from skyport_wf.progress import UNSEEN, Progress
from skyport_wf.records.encoding import check_unicode
from skyport_wf.records.records import BuildRecord, SaveRecord
from skyport_wf.records.source import RegistryOrigin
from skyport_wf.sources.source import Connect

if TYPE_CHECKING:
    from skyport_wf.image.examination.surveyed_stream import SurveyedStream


def save(build: BuildRecord, archive: Path, *, record_folder: Path) -> SaveRecord:
    """Write the image to the file `archive`, whole or not at all.

    record_folder: where the record will lie; it names the archive as seen from there.
    Of a thin image, the layers of its base are left out. An image that is published already is not saved again: the
    file is empty then.
    Raises UsageError for a file of another kind, a pipe, or the one that the image comes from, EngineError if the
    engine no longer has the image, SkyportError for a full disk.
    """
    from skyport_wf.engine.config_digests import note_config_digest
    from skyport_wf.image.archive.beginning import begins_like_image
    from skyport_wf.image.archive.canonical import save_canonical
    from skyport_wf.image.archive.compression import recognise_format

    if archive.is_dir():
        raise UsageError(f"{archive} is a folder. Name the file to write the archive to.")
    if archive.exists() and not archive.is_file():
        # What went into it, nobody could send.
        raise UsageError(f"{archive} is a device or pipe, and the record has to name a file. Name one for the archive.")
    if build.archive and os.path.realpath(build.archive) == os.path.realpath(archive):
        # The archive may hold more than this image.
        raise UsageError(
            f"{archive} is the archive that {build.name} comes from: it stays as it is. Name another file."
        )

    def is_ours(there: bytes) -> bool:
        # Of an image that is published, the file stays as it is, and need not be of an image.
        return recognise_format(there) == "gzip" and (build.published is not None or begins_like_image(there))

    keep_other_file(archive, "gzipped archive of an image", is_ours)
    make_folder(archive.parent)
    # Before the work is done: a record could not name it.
    path = check_unicode(os.path.relpath(os.path.realpath(archive), os.path.realpath(record_folder)))
    if build.published:
        # Workflow engines want the file that a step promises. One that is there already is somebody's.
        try:
            archive.touch()
        except OSError as error:
            raise cannot_write(archive, error) from error
        return SaveRecord(build=build, archive=path, saved=None)
    if build.source.registry:
        return SaveRecord(build, path, _save_from_registry(build, build.source.registry, archive))
    with open_image(build, connect) as stream:
        saved = save_canonical(stream, build.reference, archive, base=build.left_out, image_id=build.archived_image)
        saved = msgspec.structs.replace(saved, packages=stream.packages())
    if build.image:
        note_config_digest(build.image, saved.contents.image_id)
    return SaveRecord(build=build, archive=path, saved=saved)


def _save_from_registry(build: BuildRecord, origin: RegistryOrigin, path: Path) -> SavedArchive:
    """Write the archive of an image in a registry, whose layers are not compressed again."""
    from skyport_wf.sources.remote.registry_archives import RegistryArchive

    with RegistryArchive(origin, build.reference) as image:
        while True:
            try:
                with replace_file(path) as file:
                    for piece in image.open():
                        file.write(piece)
                return image.saved
            except ArchiveError:
                if not image.make_otherwise():
                    raise


@contextmanager
def open_image(build: BuildRecord, connect: Connect, progress: Progress = UNSEEN) -> Iterator[SurveyedStream]:
    """Open the image as an uncompressed archive, which tells the packages in it once it is read.

    progress: called with the bytes of each piece that the engine or the file gives.
    """
    from skyport_wf.image.examination.surveyed_stream import SurveyedStream

    with (
        _open_archive(build, connect, progress) as archive,
        SurveyedStream(archive, wanted=build.name, image_id=build.archived_image) as surveyed,
    ):
        yield surveyed


@contextmanager
def _open_archive(build: BuildRecord, connect: Connect, progress: Progress) -> Iterator[ByteStream]:
    """Open the image, from the engine or from the file that it comes from."""
    if build.archive:
        from skyport_wf.image.archive.stream import open_archive

        with open_archive(Path(build.archive), progress) as stream:
            yield stream
        return
    if not build.image:
        raise SkyportError(f"{build.name}: the build record names no image. Run `skyport-wf build` again.")
    from skyport_wf.engine.config_digests import find_by_config_digest
    from skyport_wf.engine.images import export_image, find_image

    engine = connect()
    # The record may be of another engine, where the image has its config digest as its id.
    is_here = find_image(engine, build.image)
    found = None if is_here else find_by_config_digest(engine, build.image, named=build.name)
    with export_image(engine, found.id if found else build.image) as stream:
        yield CountedStream(stream, progress)


def make_folder(folder: Path) -> None:
    """Make the folder and those above it."""
    try:
        make_folders(folder)
    except OSError as error:
        raise SkyportError(f"cannot make the folder {folder}: {error.strerror}") from error
