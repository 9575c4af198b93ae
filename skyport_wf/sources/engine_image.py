"""Source `image`: an image that the engine already has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from skyport_wf.errors import PlatformError
from skyport_wf.image_list.spec import ImageSpec
from skyport_wf.records.source import Source
from skyport_wf.sources.platforms import check_platform
from skyport_wf.sources.remote_files import RemoteFiles
from skyport_wf.sources.source import Bases, Connect, MadeImage, Output

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.engine.images import EngineImage


class EngineImageSource:
    """An image that is published as the engine has it."""

    work: ClassVar[str] = "save"
    cannot_be_rebuilt: ClassVar[str] = "an image that the engine had"
    known_without_engine: ClassVar[bool] = False
    archive: Path | None = None
    dockerfile = b""
    used_images: tuple[str, ...] = ()

    def __init__(self, spec: ImageSpec, folder: Path, remote: RemoteFiles) -> None:
        self._spec, self._image = spec, spec.image or ""

    def describe(self, needs: Mapping[str, str], connect: Connect) -> Source:
        """Return which image it is.

        Raises EngineError if the engine does not have it, PlatformError if it is for another platform than is asked
        for.
        """
        from skyport_wf.engine.config_digests import config_digest

        engine = connect()
        return Source(kind="image", digest=config_digest(engine, self._find(engine)))

    def check_inputs(self) -> None:
        """Do nothing: it takes neither secrets nor SSH agents."""

    def make(self, engine: APIClient, spec: ImageSpec, bases: Bases, output: Output) -> MadeImage:
        """Give the image its name: others of the list may be built on it."""
        from skyport_wf.engine.images import tag_image

        found = self._find(engine)
        tag_image(engine, found.id, spec.reference)
        return MadeImage(found.id)

    def _find(self, engine: APIClient) -> EngineImage:
        from skyport_wf.engine.capabilities import uses_containerd_store
        from skyport_wf.engine.images import require_image

        found = require_image(engine, self._image, wanted_by=self._spec.name)
        try:
            check_platform(self._spec, found.platform)
        except PlatformError as error:
            if not (self._spec.platform and uses_containerd_store(engine)):
                raise
            # There, a name may mean images for several platforms, of which the engine shows its own.
            raise PlatformError(
                f"{error} If the engine has it for that, too: `docker save {self._image} -o FILE` writes all of them, "
                "and of a file that is listed as `archive`, the one for `platform` is taken."
            ) from error
        return found
