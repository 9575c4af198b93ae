"""All four steps as one stream: from the engine to Shock without a file in between, where that can be."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from skyport_wf.errors import ArchiveError
from skyport_wf.image_list.spec import ShockSettings
from skyport_wf.progress import UNSEEN, Progress
from skyport_wf.records.receipt import Receipt
from skyport_wf.records.records import BuildRecord, UploadRecord
from skyport_wf.records.source import RegistryOrigin
from skyport_wf.sources.resolution import ResolvedImage
from skyport_wf.sources.source import Output
from skyport_wf.steps.build import build, connect
from skyport_wf.steps.register import register
from skyport_wf.steps.save import open_image
from skyport_wf.transfer.parts import range_of_scratch
from skyport_wf.transfer.unfinished import ProgressFile
from skyport_wf.transfer.upload import upload_file, upload_stream

if TYPE_CHECKING:
    from skyport_wf.image.archive.joined import JoinedArchive
    from skyport_wf.image.archive.normalise import NormalisedStream
    from skyport_wf.image.contents import SavedArchive
    from skyport_wf.image.examination.surveyed_stream import SurveyedStream
    from skyport_wf.publication.connection import Shock
    from skyport_wf.sources.remote.registry_archives import RegistryArchive

_log = logging.getLogger(__name__)


class PublishedImage(NamedTuple):
    """An image that is published now."""

    receipt: Receipt
    there_already: bool
    """Whether it was published before, so that nothing was made or sent."""


def publish(
    image: ResolvedImage,
    settings: ShockSettings,
    shock: Shock,
    *,
    output: Output,
    progress: Progress = UNSEEN,
) -> PublishedImage:
    """Build the image, stream it to Shock and register it.

    settings: the image list's.
    output: called with what the build prints.
    progress: told about how many bytes the image has, and called with those that have been read to be sent.
    Raises what the four steps raise.
    """
    # Here the list is worked off in its order: a base that is to be published is published.
    record = build(image, settings, shock, output=output, base_comes=False)
    uploaded = None
    if record.published:
        uploaded = UploadRecord(build=record, saved=None, node=record.published, url=shock.url)
    elif record.source.registry:
        uploaded = _upload_from_registry(record, record.source.registry, shock, progress)
    elif not record.thin_on:
        uploaded = _upload_stream(record, shock, progress)
    # Only at the end it may be known which layers belong in the archive, as of a thin image.
    uploaded = uploaded or _upload_file(record, shock, progress)
    receipt = register(uploaded, shock)
    if record.image and uploaded.saved:
        from skyport_wf.engine.config_digests import note_config_digest

        note_config_digest(record.image, uploaded.saved.contents.image_id)
    return PublishedImage(receipt, there_already=record.published is not None)


def _upload_from_registry(
    record: BuildRecord, origin: RegistryOrigin, shock: Shock, progress: Progress
) -> UploadRecord:
    """Send the archive as its layers come."""
    from skyport_wf.sources.remote.registry_archives import RegistryArchive

    with RegistryArchive(origin, record.reference) as image:
        progress.expect(image.size)
        export = _RegistryExport(image, progress)
        while True:
            try:
                return upload_stream(shock, record, export, about_size=image.size, image_id=record.source.digest)
            except ArchiveError:
                if not image.stop_foreseeing():
                    raise


class _RegistryExport:
    """The image of a registry as a stream that can be opened anew for each attempt to send it."""

    def __init__(self, image: RegistryArchive, progress: Progress) -> None:
        self._image = image
        self._progress = progress
        self._archive: JoinedArchive

    def open(self) -> Generator[bytes]:
        """Yield the archive, to be sent."""
        self._archive = self._image.read()
        for piece in self._archive:
            yield piece
            self._progress(len(piece))

    def read_through(self) -> SavedArchive:
        """Read the archive, and return what it has turned out to be."""
        self._archive = self._image.read()
        for _ in self._archive:
            pass
        return self.saved

    @property
    def saved(self) -> SavedArchive:
        """Contents and digests of the archive, known once it has been read."""
        return self._archive.result


def _upload_stream(record: BuildRecord, shock: Shock, progress: Progress) -> UploadRecord | None:
    """Send the archive as it is made; return None if it turns out to hold other images, too."""
    from skyport_wf.image.archive.normalise import OtherLayersError

    try:
        with _Export(record, progress) as export:
            size, image_id = _foresee(record)
            progress.expect(size)
            return upload_stream(shock, record, export, about_size=size, image_id=image_id)
    except OtherLayersError:
        # Known only at the end, where the manifest is.
        _log.info("%s holds more than %s: writing an archive of that alone", record.archive, record.name)
        return None


def _foresee(record: BuildRecord) -> tuple[int, str]:
    """Return about how many bytes the archive will have, and the image's config digest if it is known."""
    if record.archive:
        from skyport_wf.image.archive.stream import stored_size

        return stored_size(Path(record.archive)), record.source.digest
    from skyport_wf.engine.capabilities import uses_containerd_store
    from skyport_wf.engine.images import require_image

    engine = connect()
    image = require_image(engine, record.image or "", wanted_by=record.name)
    # On containerd's store it takes an export to know the config digest, which takes about as long as to send it.
    return image.size, "" if uses_containerd_store(engine) else image.id


def _upload_file(record: BuildRecord, shock: Shock, progress: Progress) -> UploadRecord:
    """Send the archive by way of a file, where only at the end is known which layers belong in it.

    The file has no name, so nothing of it is left, whatever happens.
    """
    from skyport_wf.image.archive.canonical import canonical_file

    with ExitStack() as opened:
        with open_image(record) as stream:
            folder = Path(tempfile.gettempdir())
            written = canonical_file(stream, record.reference, folder, base=record.left_out)
            file, saved = opened.enter_context(written)
            saved = msgspec.structs.replace(saved, packages=stream.packages())
        nothing = ProgressFile(None)
        progress.expect(saved.digests.size)
        return upload_file(shock, record, range_of_scratch(file), saved, remembered=nothing, progress=progress)


class _Export:
    """The image as a stream that can be opened anew for each attempt to send it."""

    def __init__(self, record: BuildRecord, progress: Progress) -> None:
        self._record = record
        self._progress = progress
        self._open = ExitStack()
        self._source: SurveyedStream
        self._stream: NormalisedStream
        self._saved: SavedArchive | None = None

    def open(self) -> Generator[bytes]:
        """Yield the archive, to be sent."""
        yield from self._begin(self._progress)

    def read_through(self) -> SavedArchive:
        """Read the archive, and return what it has turned out to be."""
        for _ in self._begin(UNSEEN):
            pass
        return self.saved

    @property
    def saved(self) -> SavedArchive:
        """Contents and digests of the archive, and the packages in its image, known once it has been read."""
        if self._saved is None:
            self._saved = msgspec.structs.replace(self._stream.result, packages=self._source.packages())
        return self._saved

    def _begin(self, progress: Progress) -> NormalisedStream:
        from skyport_wf.image.archive.normalise import NormalisedStream

        self._open.close()
        self._saved = None
        self._source = self._open.enter_context(open_image(self._record, progress))
        self._stream = NormalisedStream(self._source, self._record.reference)
        self._open.callback(self._stream.close)
        return self._stream

    def __enter__(self) -> _Export:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
