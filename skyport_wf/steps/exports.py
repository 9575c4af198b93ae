"""The image of a build record as an archive that is made anew for each attempt to send it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.engine.capabilities import uses_containerd_store
from skyport_wf.engine.images import EngineImage, require_image
from skyport_wf.image.archive.normalise import NormalisedStream
from skyport_wf.image.archive.stream import stored_size
from skyport_wf.image.contents import SavedArchive
from skyport_wf.image.examination.surveyed_stream import SurveyedStream
from skyport_wf.progress import UNSEEN, Progress
from skyport_wf.records.records import BuildRecord
from skyport_wf.sources.source import Connect
from skyport_wf.steps.save import open_image

if TYPE_CHECKING:
    from skyport_wf.sources.remote.registry_archives import RegistryArchive


def open_export(record: BuildRecord, connect: Connect, progress: Progress) -> ImageExport | RegistryArchive:
    """Return the archive that the record's image is published as.

    connect: connects to the engine, as `one_connection` does.
    progress: called with the bytes of each piece that is read to be sent.
    """
    if not record.source.registry:
        return ImageExport(record, connect, progress)
    from skyport_wf.sources.remote.registry_archives import RegistryArchive

    return RegistryArchive(record.source.registry, record.reference, progress)


class ImageExport:
    """The image of an engine, or of an archive, normalised as it streams by. Use it in a `with` statement."""

    def __init__(self, record: BuildRecord, connect: Connect, progress: Progress) -> None:
        self._record = record
        self._connect = connect
        self._progress = progress
        self._open = ExitStack()
        self._source: SurveyedStream
        self._stream: NormalisedStream
        self._saved: SavedArchive | None = None

    @cached_property
    def about_size(self) -> int:
        """About how many bytes the archive will have, and rather too many."""
        return self._engine_image.size if self._engine_image else stored_size(Path(self._record.archive or ""))

    @cached_property
    def image_id(self) -> str:
        """The image's config digest, empty if it is not known yet."""
        if self._engine_image is None:
            return self._record.source.digest
        # On containerd's store it takes an export to know it, which takes about as long as to send it.
        return "" if uses_containerd_store(self._connect()) else self._engine_image.id

    @property
    def manifest(self) -> msgspec.UnsetType:
        """Nothing: what an engine or an archive has, no registry knows by a manifest."""
        return msgspec.UNSET

    @cached_property
    def _engine_image(self) -> EngineImage | None:
        if self._record.archive:
            return None
        return require_image(self._connect(), self._record.image or "", wanted_by=self._record.name)

    def make_otherwise(self) -> bool:
        """Return False: there is one way to make it."""
        return False

    def open(self) -> Iterator[bytes]:
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
        self._open.close()
        self._saved = None
        self._source = self._open.enter_context(open_image(self._record, self._connect, progress))
        self._stream = NormalisedStream(self._source, self._record.reference, image_id=self._record.archived_image)
        self._open.callback(self._stream.close)
        return self._stream

    def __enter__(self) -> ImageExport:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
