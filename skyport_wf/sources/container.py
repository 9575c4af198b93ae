"""Source `container`: an image of a container that someone prepared by hand."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from skyport_wf.digests import digest_of
from skyport_wf.errors import EngineError
from skyport_wf.image_list.spec import ImageSpec
from skyport_wf.records.encoding import encode_json
from skyport_wf.records.source import BaseImage, ContainerOrigin, Source
from skyport_wf.sources.platforms import check_platform
from skyport_wf.sources.remote_files import RemoteFiles
from skyport_wf.sources.source import Bases, Connect, MadeImage, Output

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.engine.containers import Container

_log = logging.getLogger(__name__)
_MOST_PATHS = 1000
"""Changed paths that a record lists: a container can have millions."""


class ContainerSource:
    """A container, committed as it is."""

    work: ClassVar[str] = "commit"
    cannot_be_rebuilt: ClassVar[str] = "a container that someone prepared by hand"
    known_without_engine: ClassVar[bool] = False
    archive: Path | None = None
    dockerfile = b""
    used_images: tuple[str, ...] = ()

    def __init__(self, spec: ImageSpec, folder: Path, remote: RemoteFiles) -> None:
        self._spec, self._container, self._commit = spec, spec.container or "", spec.commit

    def describe(self, needs: Mapping[str, str], connect: Connect) -> Source:
        """Return what is known of the container: it stands in the place of a Dockerfile.

        Raises EngineError if the engine has no such container, PlatformError if that is for another platform than is
        asked for.
        """
        from skyport_wf.engine.containers import changed_paths
        from skyport_wf.engine.images import find_image

        engine = connect()
        container = self._find(engine)
        if made_from := find_image(engine, container.image):
            check_platform(self._spec, made_from.platform)
        changes = changed_paths(engine, container.id)
        decides = {"container": container.id, "state": container.state, "changes": changes, "commit": self._commit}
        more = [f"and {len(changes) - _MOST_PATHS} more"] if len(changes) > _MOST_PATHS else []
        origin = ContainerOrigin(
            image=container.config.image,
            command=(*(container.config.entrypoint or ()), *(container.config.cmd or ())),
            changes=(*changes[:_MOST_PATHS], *more),
        )
        return Source(kind="container", digest=digest_of(encode_json(decides)), container=origin)

    def check_inputs(self) -> None:
        """Do nothing: it takes neither secrets nor SSH agents."""

    def make(self, engine: APIClient, spec: ImageSpec, bases: Bases, output: Output) -> MadeImage:
        """Commit the container; a program that runs in it is paused meanwhile, and the container stays."""
        from skyport_wf.engine.config_digests import config_digest
        from skyport_wf.engine.containers import commit_container
        from skyport_wf.engine.images import find_image

        container = self._find(engine)
        if container.mounts:
            elsewhere = ", ".join(sorted(mount.destination for mount in container.mounts))
            _log.warning("not in %s: what the container has in volumes or on its host, at %s", spec.name, elsewhere)
        image_id = commit_container(engine, container.id, spec.reference, self._commit, container.config)
        # By its id: the name may be another image's by now.
        made_from = find_image(engine, container.image)
        digest = config_digest(engine, made_from) if made_from else None
        return MadeImage(image_id, BaseImage(container.config.image, digest))

    def _find(self, engine: APIClient) -> Container:
        from skyport_wf.engine.containers import find_container

        container = find_container(engine, self._container)
        if container is None:
            raise EngineError(
                f"image {self._spec.name}: the engine has no container {self._container}. `docker ps --all` shows what "
                "it has."
            )
        return container
