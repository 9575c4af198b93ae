"""Containers: looking at one and into one, committing it."""

from __future__ import annotations

import base64
import binascii
import json
import posixpath
import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from skyport_wf.decoding import convert, decode_json
from skyport_wf.engine.capabilities import podman_version
from skyport_wf.engine.connection import engine_errors
from skyport_wf.engine.images import name_in_engine, remove_image, tag_image
from skyport_wf.engine.podman import commits_by_builder, plain_name
from skyport_wf.errors import EngineError

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.image_list.reference import ImageReference
    from skyport_wf.image_list.spec import CommitSettings

_KINDS = {0: "changed", 1: "added", 2: "removed"}
_SIGNAL = re.compile(r"[A-Z0-9+-]+")
_USUAL_SIGNAL = "SIGTERM"
"""What stops the containers of an image that names no signal."""
_TAKEN_AWAY = ("",)
"""The entry point that podman shows of a container which was made without its image's."""
_NOT_FOUND, _FAILED = 404, 500
_IN_A_CIRCLE = (b"too many links", b"too many levels of symbolic links")
"""Words of Docker and podman for links that lead in a circle."""
_REMOVALS, _REMOVAL_PAUSE = 3, 0.5
"""How often a container is removed, and seconds in between."""
_LARGEST_REFUSAL = 1 << 16
_MOST_LINKS = 20
"""More than any system lets a path go through."""
_FOLDER = 1 << 31
"""In the engine's modes, which are those of Go."""


class ContainerConfig(msgspec.Struct, frozen=True, rename="pascal"):
    """The settings that a container, or the containers of an image, start with."""

    image: str = ""
    user: str = ""
    """`USER` or `USER:GROUP`, as names or numbers; empty for root."""
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    working_dir: str = ""


class ContainerState(msgspec.Struct, frozen=True, rename="pascal"):
    """Whether a container runs, and since when."""

    running: bool
    started_at: str
    finished_at: str


class Mount(msgspec.Struct, frozen=True, rename="pascal"):
    """A volume, or a folder of the host, that a container sees at a path of its own."""

    destination: str


class Container(msgspec.Struct, frozen=True, rename="pascal"):
    """A container as `docker inspect` describes it."""

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
            found = convert(client.inspect_container(name), Container)
        except NotFound:
            return None
    config = msgspec.structs.replace(found.config, image=plain_name(found.config.image))
    if config.entrypoint == _TAKEN_AWAY:
        config = msgspec.structs.replace(config, entrypoint=None)
    return msgspec.structs.replace(found, config=config)


def changed_paths(client: APIClient, container: str) -> list[str]:
    """Return the lines of `docker diff`, by path: `added`, `changed` or `removed` and the path."""
    with engine_errors(f"comparing the container {container} with its image"):
        changes = client.diff(container) or []
    return [f"{_KINDS[change['Kind']]} {change['Path']}" for change in sorted(changes, key=lambda it: it["Path"])]


def commit_container(
    client: APIClient, container: str, reference: ImageReference, settings: CommitSettings, own: ContainerConfig
) -> str:
    """Make an image of the container as it is now, and return its id. A program that runs in it is paused meanwhile.

    own: has the entry point, the command and the working directory that the image gets where `settings` has none.
    Raises EngineError, and leaves no image, if the engine makes something else of the settings.
    """
    wanted = ContainerConfig(
        entrypoint=settings.entrypoint if settings.entrypoint is not None else own.entrypoint,
        cmd=settings.cmd if settings.cmd is not None else own.cmd,
        working_dir=posixpath.join(own.working_dir or "/", settings.workdir or ""),
    )
    with engine_errors(f"looking at the container {container}"):
        found = client.inspect_container(container)
        kept, config = _lost_otherwise(client, found)
    present = convert(found["Config"], ContainerConfig)
    if present.entrypoint == _TAKEN_AWAY and not wanted.entrypoint:
        # Or the image would have the empty word, and Docker look for a program of that name.
        kept = [*kept, "ENTRYPOINT []"]
    if _command(wanted) == _command(present):
        wanted = msgspec.structs.replace(wanted, entrypoint=None, cmd=None)
    try:
        with engine_errors(f"committing the container {container}"):
            answer = client.commit(
                container, message=settings.message, author=settings.author, pause=True, conf=config,
                changes=[*kept, *_instructions(client, settings, wanted)],
            )  # fmt: skip
    except EngineError as error:
        if "pausing container" in str(error):
            # A rootless podman on a system with version 1 of control groups cannot pause.
            raise EngineError(f"{error}. Stop the container, and run this again.") from error
        raise
    # Podman gives the bare digits.
    image_id = f"sha256:{answer['Id'].removeprefix('sha256:')}"
    try:
        with engine_errors(f"looking at the image {image_id}"):
            made = client.inspect_image(image_id)["Config"]
        _check_settings(settings, wanted, made)
    except BaseException:
        remove_image(client, image_id)
        raise
    tag_image(client, image_id, reference)
    return image_id


def _lost_otherwise(client: APIClient, container: Mapping[str, Any]) -> tuple[list[str], dict[str, Any] | None]:
    """Return what a commit has to be told for the image to have it from the container's: instructions, and a config."""
    from docker.errors import ImageNotFound

    try:
        base = client.inspect_image(container["Image"])["Config"] or {}
    except ImageNotFound:
        return [], None
    if podman_version(client):
        of_base, own = (config.get("StopSignal") or "" for config in (base, container["Config"]))
        if own and _signal_number(own) != _signal_number(of_base or _USUAL_SIGNAL):
            # Somebody gave it to the container; podman shows a number.
            return [f"STOPSIGNAL {own}"], None
        # Before its builder read the instructions, podman kept it, and made a number of the one that it was told.
        lost = commits_by_builder(client) and _SIGNAL.fullmatch(of_base)
        return [f"STOPSIGNAL {of_base}"] if lost else [], None
    # Docker takes no instruction for it.
    return [], {**container["Config"], "Shell": base["Shell"]} if base.get("Shell") else None


def _signal_number(text: str) -> int | None:
    """Return the number of a signal as engines take it, such as 2, INT, SIGINT or SIGRTMIN+3; None if it is none."""
    if text.isdecimal():
        return int(text)
    match = re.fullmatch(r"(?:SIG)?([A-Z0-9]+)([+-][0-9]+)?", text.upper())
    known = signal.Signals.__members__.get(f"SIG{match[1]}") if match else None
    return known + int(match[2] or 0) if match and known else None


def _command(config: ContainerConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return entry point and command; engines write an empty one in several ways."""
    return config.entrypoint or (), config.cmd or ()


def _instructions(client: APIClient, settings: CommitSettings, wanted: ContainerConfig) -> Iterator[str]:
    """Yield the instructions for what the image is to have; entry point and command stay where both are missing."""
    # An earlier podman takes off the outer quotes of a value and leaves all else as it is (pkg/util, GetImageConfig).
    escapes = commits_by_builder(client)
    for name, value in settings.env.items():
        # As engines read it: of what JSON would escape, a tab stays one.
        quoted = re.sub(r'["\\$]', r"\\\g<0>", value) if escapes else value
        yield f'ENV {name}="{quoted}"'
    if settings.workdir:
        folder = re.sub(r"""["'\\$ ]""", r"\\\g<0>", wanted.working_dir) if escapes else wanted.working_dir
        yield f"WORKDIR {folder}"
    # Of the two, an engine may take one away where it is told the other alone.
    if wanted.entrypoint:
        yield f"ENTRYPOINT {json.dumps(wanted.entrypoint)}"
    if wanted.entrypoint or wanted.cmd:
        yield f"CMD {json.dumps(wanted.cmd or [])}"


def _check_settings(settings: CommitSettings, wanted: ContainerConfig, made: Mapping[str, Any]) -> None:
    """Raise EngineError if a commit has set something else: engines differ in how they read instructions.

    made: the config of the image.
    """
    for name, value in settings.env.items():
        if f"{name}={value}" not in (made.get("Env") or []):
            raise EngineError(
                f"the engine did not set the variable {name} to {value!r} at the commit. Set it in another way."
            )
    found = convert(made, ContainerConfig)
    if settings.workdir and posixpath.normpath(found.working_dir or "/") != posixpath.normpath(wanted.working_dir):
        raise EngineError(
            f"the engine set the working directory to {found.working_dir!r} at the commit, and not to "
            f"{wanted.working_dir!r}. Name another folder."
        )
    if any(_command(wanted)) and _command(found) != _command(wanted):
        has, not_ = (" and ".join(str([*words]) for words in _command(config)) for config in (found, wanted))
        raise EngineError(
            f"the engine set entry point and command to {has} at the commit, and not to {not_}. Write other words."
        )


def remove_container(client: APIClient, container: str, *, of: str) -> None:
    """Remove a container, whatever it does, with the volumes that it has for itself.

    of: its image, or what else it is for, in messages.
    Raises EngineError if the engine does not.
    """
    import tenacity
    from docker.errors import APIError

    # Podman fails if the container ends by itself while it is to be stopped.
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(APIError),
        stop=tenacity.stop_after_attempt(_REMOVALS),
        wait=tenacity.wait_fixed(_REMOVAL_PAUSE),
        reraise=True,
    )
    with engine_errors(f"removing the container of {of}"):
        retrying(client.remove_container, container, force=True, v=True)


class _PathStat(msgspec.Struct, frozen=True, rename="camel"):
    """A path in a container, as the engine describes it."""

    mode: int
    size: int
    """In bytes."""
    link_target: str = ""
    """Where a symbolic link leads, seen from the container's root."""


def has_program(client: APIClient, image: str, path: str) -> bool:
    """Return whether the image has a file at `path`, or a link there to one, that can be run. An empty one cannot.

    image: a name or an id that the engine has.
    path: absolute.
    """
    name = name_in_engine(client, image)
    with engine_errors(f"looking into {image}"):
        container = client.create_container(name, command=[path])["Id"]
        try:
            found = follow_links(client, container, path)
            return found is not None and found.size > 0 and bool(found.mode & 0o111) and not found.mode & _FOLDER
        finally:
            remove_container(client, container, of=image)


class FoundPath(msgspec.Struct, frozen=True):
    """What is at a path in a container."""

    path: str
    """Where it lies, if the last name of the path is that of a symbolic link."""
    mode: int
    """As the engine writes it: that of Go."""
    size: int
    """In bytes."""


def follow_links(client: APIClient, container: str, path: str) -> FoundPath | None:
    """Return where a path in a container leads, None if there is nothing. To an engine, a link is no file.

    path: absolute.
    """
    for _ in range(_MOST_LINKS):
        found = _stat(client, container, path)
        if found is None:
            return None
        if not found.link_target or found.link_target == path:
            return FoundPath(path, found.mode, found.size)
        path = found.link_target
    return None


def _stat(client: APIClient, container: str, path: str) -> _PathStat | None:
    """Return the state of a path, None if there is none."""
    from skyport_wf.http_session import read_answer

    # `get_archive` of the package `docker` would fetch the file, too.
    url = f"{client.base_url}/v{client.api_version}/containers/{container}/archive"
    response = client.head(url, params={"path": path}, timeout=60)
    if response.status_code == _NOT_FOUND:
        return None
    if response.status_code == _FAILED:
        # For links that lead in a circle, too. An answer to HEAD has no words.
        failed = client.get(url, params={"path": path}, timeout=60, stream=True)
        with suppress(ValueError):
            said = read_answer(failed, _LARGEST_REFUSAL)
            if any(words in said for words in _IN_A_CIRCLE):
                return None
    try:
        told = base64.b64decode(response.headers["X-Docker-Container-Path-Stat"])
        return decode_json(told, _PathStat)
    except (KeyError, binascii.Error, msgspec.DecodeError) as error:
        raise EngineError(f"the engine did not say whether there is a {path}: HTTP {response.status_code}") from error
