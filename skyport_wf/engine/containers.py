"""Containers that become images: running a script in one, looking at one, committing it."""

from __future__ import annotations

import io
import json
import secrets
import tarfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.engine.connection import default_network, engine_errors
from skyport_wf.errors import BuildError

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.reference import ImageReference
    from skyport_wf.spec import CommitSettings

_NAME = "skyport-wf-snapshot-"
"""How the containers are called that snapshots are made in: a crash may leave one behind."""
_SCRIPT = ".skyport-wf-script"
_RUN_SCRIPT = f"/{_SCRIPT} && rm -f /{_SCRIPT}"
_LAST_LINES = 20
_KINDS = {0: "changed", 1: "added", 2: "removed"}


class ContainerConfig(msgspec.Struct, frozen=True, rename="pascal"):
    """What a container, or an image's containers, start with."""

    image: str = ""
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None


class ContainerState(msgspec.Struct, frozen=True, rename="pascal"):
    """Whether a container runs, and since when."""

    running: bool
    started_at: str
    finished_at: str


class Container(msgspec.Struct, frozen=True, rename="pascal"):
    """What `docker inspect` says of a container."""

    id: str
    image: str
    """The engine's id of the image that it was made from."""
    config: ContainerConfig
    state: ContainerState


def find_container(client: APIClient, name: str) -> Container | None:
    """Return the container of this name or id, None if there is none."""
    from docker.errors import NotFound

    with engine_errors(f"looking for the container {name}"):
        try:
            return msgspec.convert(client.inspect_container(name), Container)
        except NotFound:
            return None


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
    with engine_errors(f"committing the container {container}"):
        answer = client.commit(
            container, reference.repository, reference.tag, message=settings.message, author=settings.author,
            pause=True, changes=[*changes, *_instructions(settings)],
        )  # fmt: skip
        return str(answer["Id"])


@contextmanager
def run_script(
    client: APIClient, base: str, script: bytes, name: str, output: Callable[[str], None]
) -> Iterator[tuple[str, list[str]]]:
    """Run a script in a fresh container of `base`; the container is removed when the block ends.

    name: a file-safe name for the container and messages.
    output: called with what the script prints.
    Yields the container's id, and the instructions that give its image the base's command back.
    Raises BuildError, with the last lines it printed, if the script fails.
    """
    _remove_left_behind(client, name)
    with engine_errors(f"making a container of {base}"):
        original = msgspec.convert(client.inspect_image(base)["Config"] or {}, ContainerConfig)
        # A commit can give an entry point back, but not take one away: where there is none, none is used here either.
        shell = ["/bin/sh", "-c"]
        container = client.create_container(
            base, name=f"{_NAME}{name}-{secrets.token_hex(4)}", entrypoint=shell if original.entrypoint else None,
            command=[_RUN_SCRIPT] if original.entrypoint else [*shell, _RUN_SCRIPT],
            host_config=client.create_host_config(network_mode=default_network(client)),
        )["Id"]  # fmt: skip
    try:
        with engine_errors(f"running the script of {name}"):
            client.put_archive(container, "/", _script_tar(script))
            client.start(container)
            _follow(client, container, name, output)
        yield container, _command_of(original)
    finally:
        with engine_errors(f"removing the container of {name}"):
            client.remove_container(container, force=True, v=True)


def _remove_left_behind(client: APIClient, name: str) -> None:
    """Remove the containers that killed commands left, once their scripts have ended."""
    with engine_errors(f"looking for containers of {name}"):
        for left in client.containers(all=True, filters={"name": f"{_NAME}{name}-", "status": "exited"}):
            client.remove_container(left["Id"], force=True, v=True)


def _follow(client: APIClient, container: str, name: str, output: Callable[[str], None]) -> None:
    last: deque[str] = deque(maxlen=_LAST_LINES)
    for piece in client.logs(container, stream=True, follow=True):
        text = piece.decode(errors="replace")
        output(text)
        last.extend(text.splitlines())
    code = client.wait(container)["StatusCode"]
    if code:
        shown = "".join(f"\n  | {line}" for line in last if line.strip())
        raise BuildError(f"the script of {name} ended with exit code {code}{shown and '. The last it printed:'}{shown}")


def _script_tar(script: bytes) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        member = tarfile.TarInfo(_SCRIPT)
        member.size, member.mode = len(script), 0o755
        tar.addfile(member, io.BytesIO(script))
    return content.getvalue()


def _command_of(config: ContainerConfig) -> list[str]:
    """Return the instructions for this entry point and command; a commit would keep the container's own.

    Of an image that has neither, the shell becomes the command: a commit cannot take a command away.
    """
    if config.entrypoint:
        return [f"ENTRYPOINT {json.dumps(config.entrypoint)}", f"CMD {json.dumps(config.cmd or [])}"]
    return [f"CMD {json.dumps(config.cmd or ['/bin/sh'])}"]


def _instructions(settings: CommitSettings) -> Iterator[str]:
    for name, value in settings.env.items():
        yield f"ENV {name}={json.dumps(value).replace('$', chr(92) + '$')}"
    if settings.workdir:
        yield f"WORKDIR {settings.workdir}"
    if settings.entrypoint is not None:
        yield f"ENTRYPOINT {json.dumps(settings.entrypoint)}"
    if settings.cmd is not None:
        yield f"CMD {json.dumps(settings.cmd)}"
