"""Where podman's Docker-compatible API differs.

Source: podman 4.3, pkg/api/handlers/compat; tried with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from skyport_wf.engine.build_inputs import EPOCH
from skyport_wf.engine.capabilities import podman_version
from skyport_wf.errors import UsageError

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.image_list.spec import ImageSpec

LIMITS: Final = "no BuildKit, so no build secrets and SSH agents; builds have the host's network or none"
"""In short, what podman cannot do that Docker can."""
_LOCAL = "localhost/"
"""Podman puts this before the names of images that come from no registry."""
_HUB, _HUB_LIBRARY = "docker.io/", "docker.io/library/"
_NETWORKS = {None: None, "host": None, "none": "NetworkDisabled"}
"""The values of `network` that podman's builds understand. By default they have the host's network, and they ignore
values that they do not understand."""
_ID = re.compile(r"(sha256:)?[0-9a-f]{64}")
_DOLLAR = "${_:-$}"
"""A dollar sign where variables are expanded, and every backslash is taken for one that is meant."""


def own_name(client: APIClient, name: str) -> str:
    """Return the name that an image gets in the engine.

    Podman has whole names only. Of one that lacks the registry its API makes `docker.io/...`, or the name of any image
    that it has already; its own commands, and loading an archive, make `localhost/...`.
    """
    return _LOCAL + name if podman_version(client) and not _has_registry(name) else name


def names_to_find(client: APIClient, name: str) -> tuple[str, ...]:
    """Return the names that an image called `name` may have in the engine, in the order in which a `FROM` tries them.

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
    for name, value in image.labels.items():
        if "$" in name:
            raise UsageError(
                f"image {image.name}: podman expands variables in the names of labels, and {name!r} has a `$`. Write "
                "one without."
            )
        if _has_label_lines(client) and not value.isprintable():
            raise UsageError(
                f"image {image.name}: the label {name!r} has a line break, or another character that podman writes as "
                "an escape into the image. Leave that out."
            )


def build_labels(client: APIClient, labels: Mapping[str, str]) -> dict[str, str]:
    """Return labels as a build has to spell them for the image to have these."""
    escaped = _has_label_lines(client)
    return {name: value.replace("$", _DOLLAR) if escaped else value for name, value in labels.items()}


def _has_label_lines(client: APIClient) -> bool:
    """Return whether a build makes lines of a Dockerfile of its labels: LABEL "NAME"="VALUE", quoted as in Go."""
    version = podman_version(client)
    # Up to then, its builder also set them as they are (buildah, pull request 4673).
    return version is not None and _number(version) >= (4, 5)


def build_network(client: APIClient, network: str | None) -> str | None:
    """Return the network of a build in the engine's own words."""
    return _NETWORKS[network] if podman_version(client) else network


@contextmanager
def build_options(client: APIClient, arguments: Mapping[str, str]) -> Iterator[None]:
    """Send parameters that only podman's builds take, and the package `docker` does not know.

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


def commits_by_builder(client: APIClient) -> bool:
    """Return whether a commit reads its instructions as a build does: Docker, and podman from 4.8 on."""
    version = podman_version(client)
    return version is None or _number(version) >= (4, 8)


def _number(version: str) -> tuple[int, ...]:
    """Return the first two numbers of podman's version."""
    return tuple(map(int, re.findall(r"\d+", version)[:2]))


def _spellings(name: str) -> tuple[str, str]:
    return (_HUB if "/" in name else _HUB_LIBRARY) + name, _LOCAL + name


def _has_registry(name: str) -> bool:
    """Return whether a name begins with a registry. Source: distribution/reference, `splitDockerDomain`."""
    first, slash, _ = name.partition("/")
    return bool(slash) and (first == "localhost" or bool({".", ":"} & set(first)))
