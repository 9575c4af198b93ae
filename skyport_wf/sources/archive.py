"""Source `archive`: an image that was saved to a file."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from skyport_wf.errors import UsageError
from skyport_wf.image_list.spec import ImageSpec
from skyport_wf.input_file import exists
from skyport_wf.records.source import Source
from skyport_wf.sources.platforms import check_platform, own_platform
from skyport_wf.sources.remote_files import RemoteFiles
from skyport_wf.sources.source import Bases, Connect, MadeImage, Output

if TYPE_CHECKING:
    from docker import APIClient

_log = logging.getLogger(__name__)


class ArchiveSource:
    """An image that is published as a file has it."""

    work: ClassVar[str] = ""
    cannot_be_rebuilt: ClassVar[str] = "an archive"
    known_without_engine: ClassVar[bool] = False
    dockerfile = b""
    used_images: tuple[str, ...] = ()

    def __init__(self, spec: ImageSpec, folder: Path, remote: RemoteFiles) -> None:
        self._name, self._spec = spec.name, spec
        # Not looked for yet: in a workflow, a rule may make it before it is published.
        self.archive: Path | None = (folder / (spec.archive or "")).absolute()

    def describe(self, needs: Mapping[str, str], connect: Connect) -> Source:
        """Return the image that the file holds; of several, the one that has this name there, or is for the platform.

        Raises UsageError if there is no such file, ArchiveError if the image is not there, whole, or if no Docker
        loads it, PlatformError if it is for another platform than is asked for.
        """
        from skyport_wf.image.archive.layers import check_archive
        from skyport_wf.image.archive.stream import open_archive

        if self.archive is None or not exists(self.archive):
            raise UsageError(
                f"image {self._name}: there is no archive {self.archive}. Mend `archive` in the image list."
            )
        with open_archive(self.archive) as stream:
            found = check_archive(stream, wanted=self._name, platform=self._spec.normalized_platform or own_platform())
        check_platform(self._spec, found.contents.platform)
        for warning in found.warnings:
            _log.warning("%s: %s", self._name, warning)
        return Source(kind="archive", digest=found.contents.image_id)

    def check_inputs(self) -> None:
        """Do nothing: it takes neither secrets nor SSH agents."""

    def make(self, engine: APIClient, spec: ImageSpec, bases: Bases, output: Output) -> MadeImage:
        """Raise UsageError: there is nothing to make."""
        raise UsageError(f"image {spec.name} comes from an archive, there is nothing to make")
