"""An archive that is examined on the side, while somebody reads it for another purpose: no image is read twice."""

from __future__ import annotations

import logging
import sqlite3
from types import TracebackType
from typing import Self

from skyport_wf.byte_streams import ByteStream, pieces_of, stream_name
from skyport_wf.errors import SkyportError
from skyport_wf.image.examination.examine import ImageExamination, examine_archive
from skyport_wf.image.examination.package_list import pack
from skyport_wf.side_reader import SideReader

_log = logging.getLogger(__name__)


class SurveyedStream:
    """Passes on an uncompressed archive; afterwards it can tell the packages in its image. Use it in a `with`."""

    def __init__(self, source: ByteStream, *, wanted: str, image_id: str = "") -> None:
        """Begin with nothing read. wanted, image_id: name and id of the image that is meant, if there are several."""
        self._source = source
        self._wanted = wanted
        self._image_id = image_id
        self.name = stream_name(source)
        self._side: SideReader[ImageExamination] | None = SideReader(self._examine)
        self._opened = self._side

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, and none only at the end."""
        piece = self._source.read(size)
        if piece and self._side:
            try:
                self._side.write(piece)
            except (SkyportError, sqlite3.Error) as error:
                self._give_up(error)
        return piece

    def packages(self) -> str:
        """Return the packed list of packages, empty if the archive does not tell. Reads what is left of the archive."""
        for _ in pieces_of(self):
            pass
        try:
            return pack(self._side.finish().listed) if self._side else ""
        except (SkyportError, sqlite3.Error) as error:
            self._give_up(error)
            return ""

    def _examine(self, archive: ByteStream) -> ImageExamination:
        return examine_archive(archive, wanted=self._wanted, image_id=self._image_id)

    def _give_up(self, error: Exception) -> None:
        # Whoever reads the archive for its own sake will say what is wrong with it; a thin one lacks layers only here.
        _log.info("the packages in %s are not listed: %s", self.name or self._wanted, error)
        self._side = None

    def __enter__(self) -> Self:
        self._opened.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.__exit__(kind, error, trace)
