"""What podman's Docker-compatible API has otherwise than Docker's.

Source: podman 4.3, pkg/api/handlers/compat; tried with it.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from skyport_wf.engine.build_arguments import EPOCH
from skyport_wf.engine.connection import engine_errors
from skyport_wf.errors import UsageError

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.image_list.spec import ImageSpec

LIMITS: Final = "no BuildKit, so no build secrets and SSH agents; builds have the host's network or none"
"""What podman cannot do that Docker can, in short."""
_QUESTION_SECONDS = 20
_LOCAL = "localhost/"
"""What podman puts before the names of images that come from no registry."""
_HUB, _HUB_LIBRARY = "docker.io/", "docker.io/library/"
_NETWORKS = {None: None, "host": None, "none": "NetworkDisabled"}
"""What podman's builds understand for `network`. They have the host's if they are not told otherwise, and take no heed
of what they do not understand."""
_SET_BY_PODMAN = ["TERM", "container"]
"""Variables that podman gives to each container, and a commit to the image."""
_READS_QUOTES = (4, 8)
"""The first version whose commit reads instructions as a Dockerfile's."""
_ID = re.compile(r"(sha256:)?[0-9a-f]{64}")
_versions: weakref.WeakKeyDictionary[APIClient, str | None] = weakref.WeakKeyDictionary()


def podman_version(client: APIClient) -> str | None:
    """Return podman's version, such as `4.3.1`; None if the engine is none."""
    if client not in _versions:
        with engine_errors("telling what it is"):
            headers = client.get(f"{client.base_url}/_ping", timeout=_QUESTION_SECONDS).headers
        _versions[client] = headers.get("Libpod-API-Version")
    return _versions[client]


def own_name(client: APIClient, name: str) -> str:
    """Return the name that an image gets in the engine.

    Podman has whole names only. Of one that lacks the registry its API makes `docker.io/...`, or the name of any image
    that it has already; its own commands, and loading an archive, make `localhost/...`.
    """
    return _LOCAL + name if podman_version(client) and not _has_registry(name) else name


def names_to_find(client: APIClient, name: str) -> tuple[str, ...]:
    """Return what an image that is asked for by `name` may be called in the engine, in a `FROM`'s order.

    Podman's builds take a name without a registry for one of Docker Hub first, while its API's other requests prefer
    `localhost/...`: of two images, the one that is looked at would not be the one that is built on.
    """
    if not podman_version(client) or _has_registry(name) or _ID.fullmatch(name):
        return (name,)
    return (*_spellings(name), name)


def hub_name(client: APIClient, name: str) -> str | None:
    """Return the name that podman's builds look for before the one of `own_name`; None if they look for no other."""
    return _spellings(name)[0] if own_name(client, name) != name else None


def plain_name(name: str) -> str:
    """Return the name as Docker has it: without the registry that podman puts before it."""
    for prefix in (_HUB_LIBRARY, _HUB, _LOCAL):
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def check_build(client: APIClient, image: ImageSpec) -> None:
    """Raise UsageError if podman cannot build the image as it is asked for; nothing is done then."""
    if not podman_version(client):
        return
    for field, value in {"builder": image.builder == "buildkit", "secrets": image.secrets, "ssh": image.ssh}.items():
        if value:
            raise UsageError(
                f"image {image.name}: `{field}` needs BuildKit, and the engine is podman, which has none. "
                "Build the image with Docker, or do without it."
            )
    if image.network not in _NETWORKS:
        raise UsageError(
            f"image {image.name}: podman's API gives a build the host's network or none, and no {image.network!r}. "
            "Set `network` to `host` or `none`, or leave it out."
        )


def build_network(client: APIClient, network: str | None) -> str | None:
    """Return what the engine understands for the network of a build."""
    return _NETWORKS[network] if podman_version(client) else network


@contextmanager
def build_options(client: APIClient, arguments: Mapping[str, str]) -> Iterator[None]:
    """Send what only podman's builds take, which the package `docker` has no words for.

    arguments: the build arguments.
    Without `identitylabel`, the image would get the label `io.buildah.version`. `timestamp` is SOURCE_DATE_EPOCH: the
    time of files and of the image.
    """
    if not podman_version(client):
        yield
        return
    before = client.params
    client.params = {"identitylabel": "0", **({"timestamp": arguments[EPOCH]} if EPOCH in arguments else {})}
    try:
        yield
    finally:
        client.params = before


def container_options(client: APIClient) -> dict[str, object]:
    """Return what the description of a container needs besides, for an image of it to be like Docker's."""
    return {"UnsetEnv": _SET_BY_PODMAN} if podman_version(client) else {}


def env_value(client: APIClient, value: str, quoted: str) -> str:
    """Return what the instruction `ENV NAME=...` of a commit has for a value.

    quoted: the value as a Dockerfile has it. An older podman takes off the outer quotes, and leaves the rest as it is.
    Source: podman 4.3, pkg/util, GetImageConfig; podman 6, where the builder reads the instructions.
    """
    version = podman_version(client)
    return quoted if version is None or _numbers(version) >= _READS_QUOTES else f'"{value}"'


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:2]))


def _spellings(name: str) -> tuple[str, str]:
    return (_HUB if "/" in name else _HUB_LIBRARY) + name, _LOCAL + name


def _has_registry(name: str) -> bool:
    """Return whether a name begins with a registry. Source: distribution/reference, `splitDockerDomain`."""
    first, slash, _ = name.partition("/")
    return bool(slash) and (first == "localhost" or bool({".", ":"} & set(first)))
