"""Containers that become images: looking at one, committing it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.engine.connection import engine_errors
from skyport_wf.engine.images import remove_image, tag_image
from skyport_wf.engine.podman import env_value, plain_name
from skyport_wf.errors import EngineError, UsageError

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.image_list.reference import ImageReference
    from skyport_wf.image_list.spec import CommitSettings

_KINDS = {0: "changed", 1: "added", 2: "removed"}


class ContainerConfig(msgspec.Struct, frozen=True, rename="pascal"):
    """What a container, or an image's containers, start with."""

    image: str = ""
    user: str = ""
    """`USER` or `USER:GROUP`, as names or numbers; empty for root."""
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None


class ContainerState(msgspec.Struct, frozen=True, rename="pascal"):
    """Whether a container runs, and since when."""

    running: bool
    started_at: str
    finished_at: str


class Mount(msgspec.Struct, frozen=True, rename="pascal"):
    """What a container sees at a path although it lies elsewhere: a volume, or a folder of the host."""

    destination: str


class Container(msgspec.Struct, frozen=True, rename="pascal"):
    """What `docker inspect` says of a container."""

    id: str
    image: str
    """The engine's id of the image that it was made from."""
    config: ContainerConfig
    state: ContainerState
    mounts: tuple[Mount, ...] = ()


def find_container(client: APIClient, name: str) -> Container | None:
    """Return the container of this name or id, None if there is none."""
    from docker.errors import NotFound

    with engine_errors(f"looking for the container {name}"):
        try:
            found = msgspec.convert(client.inspect_container(name), Container)
        except NotFound:
            return None
    config = msgspec.structs.replace(found.config, image=plain_name(found.config.image))
    return msgspec.structs.replace(found, config=config)


def changed_paths(client: APIClient, container: str) -> list[str]:
    """Return what `docker diff` says: `added`, `changed` or `removed` and the path, by path."""
    with engine_errors(f"comparing the container {container} with its image"):
        changes = client.diff(container) or []
    return [f"{_KINDS[change['Kind']]} {change['Path']}" for change in sorted(changes, key=lambda it: it["Path"])]


def commit_container(
    client: APIClient, container: str, reference: ImageReference, settings: CommitSettings, changes: list[str]
) -> str:
    """Make an image of the container as it is now, and return its id. A program that runs in it is paused meanwhile.

    changes: Dockerfile instructions for the image's config, before those that the settings ask for.
    """
    image_id = _commit(client, container, settings, [*changes, *_instructions(client, settings)])
    try:
        _check_environment(client, image_id, settings.env)
    except BaseException:
        remove_image(client, image_id)
        raise
    tag_image(client, image_id, reference)
    return image_id


def _commit(client: APIClient, container: str, settings: CommitSettings, changes: list[str]) -> str:
    try:
        with engine_errors(f"committing the container {container}"):
            answer = client.commit(
                container, message=settings.message, author=settings.author, pause=True, changes=changes
            )
    except EngineError as error:
        if "pausing container" in str(error):
            # A rootless podman on a system with version 1 of control groups cannot pause.
            raise EngineError(f"{error}. Stop the container, and run this again.") from error
        raise
    # Podman gives the bare digits.
    return f"sha256:{answer['Id'].removeprefix('sha256:')}"


def _check_environment(client: APIClient, image_id: str, expected: Mapping[str, str]) -> None:
    """Raise EngineError unless the image has the variables: engines differ in how they read what is quoted."""
    with engine_errors(f"looking at the image {image_id}"):
        found = client.inspect_image(image_id)["Config"].get("Env") or []
    for name, value in expected.items():
        if f"{name}={value}" not in found:
            raise EngineError(
                f"the engine did not set the variable {name} to {value!r} at the commit. Set it in another way."
            )


def _instructions(client: APIClient, settings: CommitSettings) -> Iterator[str]:
    for name, value in settings.env.items():
        if "\n" in value:
            raise UsageError(
                f"the variable {name} has a line break, which no engine can set at a commit. Leave it out."
            )
        quoted = json.dumps(value, ensure_ascii=False).replace("$", "\\$")
        yield f"ENV {name}={env_value(client, value, quoted)}"
    if settings.workdir:
        yield f"WORKDIR {settings.workdir}"
    if settings.entrypoint is not None:
        yield f"ENTRYPOINT {json.dumps(settings.entrypoint)}"
    if settings.cmd is not None:
        yield f"CMD {json.dumps(settings.cmd)}"
