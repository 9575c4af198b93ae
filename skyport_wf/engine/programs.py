"""Whether an image has a program: asked of a container that is never started, so nothing in the image is run."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.engine.connection import engine_errors
from skyport_wf.engine.images import name_in_engine
from skyport_wf.errors import EngineError

if TYPE_CHECKING:
    from docker import APIClient

_NOT_FOUND = 404
_MOST_LINKS = 20
"""More than any system lets a path go through."""
_FOLDER = 1 << 31
"""In the engine's modes, which are those of Go."""


class _PathStat(msgspec.Struct, frozen=True, rename="camel"):
    """What the engine says of a path in a container."""

    mode: int
    link_target: str = ""
    """Where a symbolic link leads, seen from the container's root."""


def has_program(client: APIClient, image: str, path: str) -> bool:
    """Return whether the image has a file at `path`, or a link there to one, that can be run.

    image: a name or an id that the engine has.
    path: absolute.
    """
    name = name_in_engine(client, image)
    with engine_errors(f"looking into {image}"):
        container = client.create_container(name, command=[path])["Id"]
        try:
            return _is_program(client, container, path)
        finally:
            client.remove_container(container, force=True, v=True)


def _is_program(client: APIClient, container: str, path: str) -> bool:
    for _ in range(_MOST_LINKS):
        found = _stat(client, container, path)
        if found is None:
            return False
        if not found.link_target or found.link_target == path:
            return bool(found.mode & 0o111) and not found.mode & _FOLDER
        path = found.link_target
    return False


def _stat(client: APIClient, container: str, path: str) -> _PathStat | None:
    """Return what the engine knows of a path, None if there is none. The package `docker` would fetch the file, too."""
    url = f"{client.base_url}/v{client.api_version}/containers/{container}/archive"
    response = client.head(url, params={"path": path}, timeout=60)
    if response.status_code == _NOT_FOUND:
        return None
    try:
        told = base64.b64decode(response.headers["X-Docker-Container-Path-Stat"])
        return msgspec.json.decode(told, type=_PathStat)
    except (KeyError, binascii.Error, msgspec.DecodeError) as error:
        raise EngineError(f"the engine did not say whether there is a {path}: HTTP {response.status_code}") from error
