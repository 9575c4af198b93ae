"""The engine's name and version, and what it can do."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Final

import msgspec

from skyport_wf.decoding import convert
from skyport_wf.engine.connection import engine_errors
from skyport_wf.records.source import EngineVersion

if TYPE_CHECKING:
    from docker import APIClient

_QUESTION_SECONDS: Final = 20
_BUILDKIT_API: Final = (1, 39)
"""The API version of Docker 18.09, the first with BuildKit."""
_versions: weakref.WeakKeyDictionary[APIClient, str | None] = weakref.WeakKeyDictionary()
_on_containerd: weakref.WeakKeyDictionary[APIClient, bool] = weakref.WeakKeyDictionary()


def podman_version(client: APIClient) -> str | None:
    """Return podman's version, such as `4.3.1`; None if the engine is another one."""
    if client not in _versions:
        with engine_errors("telling what it is"):
            headers = client.get(f"{client.base_url}/_ping", timeout=_QUESTION_SECONDS).headers
        _versions[client] = headers.get("Libpod-API-Version")
    return _versions[client]


def read_version(client: APIClient) -> EngineVersion:
    """Return the engine's version in the words of the attribute `docker_version`.

    The version of podman is `podman 4.3.1`: as `4.3.1` it would be taken for one of Docker.
    """
    with engine_errors("telling its version"):
        version = convert(client.version(), EngineVersion, strict=False)
    if podman_version(client):
        return msgspec.structs.replace(version, version=f"podman {version.version}")
    return version


class _Info(msgspec.Struct, rename="pascal"):
    """What an engine tells of itself."""

    driver_status: tuple[tuple[str, ...], ...] | None = None
    """Facts about where it keeps images, by name."""


class _Network(msgspec.Struct, rename="pascal"):
    """A network of an engine."""

    driver: str = ""


def has_buildkit(client: APIClient) -> bool:
    """Return whether the engine can build with BuildKit, if a docker command asks it to."""
    # The header Builder-Version tells only which builder the engine prefers, and 20.10 prefers the classic one. Podman
    # claims an API version that has BuildKit, and builds with another builder.
    api = tuple(map(int, client.api_version.split(".")))
    return api >= _BUILDKIT_API and not podman_version(client)


def uses_containerd_store(client: APIClient) -> bool:
    """Return whether Docker keeps images in containerd's image store, the default of fresh installations since 29."""
    if client not in _on_containerd:
        with engine_errors("telling its image store"):
            status = convert(client.info(), _Info).driver_status or ()
        _on_containerd[client] = ("driver-type", "io.containerd.snapshotter.v1") in status
    return _on_containerd[client]


def takes_thin_archives(client: APIClient) -> bool:
    """Return whether the engine loads an archive that lacks layers of images it has."""
    # Podman says "Some layer tarfiles are missing in the tarball", containerd's store that a blob is not found.
    return podman_version(client) is None and not uses_containerd_store(client)


def has_bridge(client: APIClient) -> bool:
    """Return whether the engine can give containers a network of their own."""
    with engine_errors("listing its networks"):
        return any(one.driver == "bridge" for one in convert(client.networks(), tuple[_Network, ...]))


def default_network(client: APIClient) -> str | None:
    """Return the network for builds and scripts, None for the engine's own choice."""
    # An engine without a bridge has only the host's network to give, and `apt-get install` needs one. Podman's builds
    # have the host's, so its scripts get it too: podman's own networks need programs that may not be installed.
    return None if has_bridge(client) and not podman_version(client) else "host"
