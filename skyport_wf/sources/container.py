"""An image of a container that someone prepared by hand."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from skyport_wf.errors import EngineError
from skyport_wf.records.records import ContainerOrigin, Source, encode_json
from skyport_wf.sources.base import find_base
from skyport_wf.sources.listed import ListedImage, MadeImage, digest_of

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.engine.containers import Container

_log = logging.getLogger(__name__)
_MOST_PATHS = 1000


def describe(engine: APIClient, image: ListedImage) -> Source:
    """Return what is known of the container: it stands in the place of a Dockerfile.

    Raises EngineError if the engine has no such container.
    """
    from skyport_wf.engine.containers import changed_paths

    container = _find(engine, image)
    changes = changed_paths(engine, container.id)
    decides = {"container": container.id, "state": container.state, "changes": changes, "commit": image.spec.commit}
    more = [f"and {len(changes) - _MOST_PATHS} more"] if len(changes) > _MOST_PATHS else []
    origin = ContainerOrigin(
        image=container.config.image,
        command=(*(container.config.entrypoint or ()), *(container.config.cmd or ())),
        changes=(*changes[:_MOST_PATHS], *more),
    )
    return Source(kind="container", digest=digest_of(encode_json(decides)), container=origin)


def make(engine: APIClient, image: ListedImage) -> MadeImage:
    """Commit the container; a program that runs in it is paused meanwhile, and the container stays."""
    from skyport_wf.engine.containers import commit_container

    container = _find(engine, image)
    if container.mounts:
        elsewhere = ", ".join(sorted(mount.destination for mount in container.mounts))
        _log.warning("not in %s: what the container has in volumes or on its host, at %s", image.spec.name, elsewhere)
    image_id = commit_container(engine, container.id, image.spec.reference, image.spec.commit, [])
    return MadeImage(image_id, find_base(engine, container.config.image))


def _find(engine: APIClient, image: ListedImage) -> Container:
    from skyport_wf.engine.containers import find_container

    name = image.spec.container or ""
    container = find_container(engine, name)
    if container is None:
        raise EngineError(
            f"image {image.spec.name}: the engine has no container {name}. `docker ps --all` shows what it has."
        )
    return container
