"""Running a script in a fresh container, which becomes an image."""

from __future__ import annotations

import io
import json
import secrets
import tarfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

import msgspec

from skyport_wf.engine.connection import answers_closed, engine_errors
from skyport_wf.engine.containers import ContainerConfig
from skyport_wf.engine.images import name_in_engine
from skyport_wf.engine.network import default_network
from skyport_wf.engine.podman import container_options
from skyport_wf.errors import BuildError
from skyport_wf.image.pieced_bytes import PiecedBytes

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.image_list.reference import ImageReference

_NAME = "skyport-wf-snapshot-"
"""How the containers are called that snapshots are made in: a crash may leave one behind."""
_SCRIPT = ".skyport-wf-script"
_ROOT = frozenset({"", "0", "root"})
_LAST_LINES = 20
_NOT_FOUND = 127
"""The exit code of a shell that cannot find a program, or the program that a script's first line names."""
_MOST_USERS = 1 << 20
"""Bytes of /etc/passwd."""


@contextmanager
def run_script(
    client: APIClient, base: str, script: bytes, reference: ImageReference, output: Callable[[str], None]
) -> Iterator[tuple[str, list[str]]]:
    """Run a script in a fresh container of `base`; the container is removed when the block ends.

    reference: the image that it is for.
    output: called with what the script prints.
    Yields the container's id, and the instructions that give its image the base's command back.
    Raises BuildError, with the last lines it printed, if the script fails.
    """
    _remove_left_behind(client, reference)
    base = name_in_engine(client, base)
    with engine_errors(f"making a container of {base}"):
        original = msgspec.convert(client.inspect_image(base)["Config"] or {}, ContainerConfig)
        user = original.user.partition(":")[0]
        # Whoever is not root can remove the script, when it is done, from nowhere else.
        folder = "/" if user in _ROOT else "/tmp"  # noqa: S108 - in the container
        path = f"{folder.rstrip('/')}/{_SCRIPT}"
        # A commit can give an entry point back, but not take one away: where there is none, none is used here either.
        shell, command = ["/bin/sh", "-c"], f"{path} && rm -f {path}"
        config = client.create_container_config(
            base, entrypoint=shell if original.entrypoint else None,
            command=[command] if original.entrypoint else [*shell, command],
            host_config=client.create_host_config(network_mode=default_network(client)),
        )  # fmt: skip
        config.update(container_options(client))
        container = client.create_container_from_config(config, f"{_NAME}{reference.key}-{secrets.token_hex(4)}")["Id"]
    try:
        with engine_errors(f"putting the script of {reference} into the container's {folder}"):
            client.put_archive(container, folder, _script_tar(script, owner=_user_number(client, container, user)))
        with engine_errors(f"running the script of {reference}"):
            _follow(client, container, script, reference, output)
        yield container, _command_of(original)
    finally:
        with engine_errors(f"removing the container of {reference}"):
            client.remove_container(container, force=True, v=True)


def _remove_left_behind(client: APIClient, reference: ImageReference) -> None:
    """Remove the containers that killed commands left, once their scripts have ended."""
    with engine_errors(f"looking for containers of {reference}"):
        for left in client.containers(all=True, filters={"name": f"{_NAME}{reference.key}-", "status": "exited"}):
            client.remove_container(left["Id"], force=True, v=True)


def _user_number(client: APIClient, container: str, user: str) -> int:
    """Return the number of the user, whom the container's own /etc/passwd may name."""
    if user in _ROOT or user.isdigit():
        return int(user) if user.isdigit() else 0
    with answers_closed(client):
        # The image may be anybody's: no more is read of the file than is looked at.
        pieces, _ = client.get_archive(container, "/etc/passwd")
        with tarfile.open(fileobj=cast(BinaryIO, PiecedBytes(pieces)), mode="r|") as tar:
            file = tar.extractfile(tar.next() or "passwd")
            lines = (file.read(_MOST_USERS) if file else b"").decode(errors="replace").splitlines()
    known = {fields[0]: fields[2] for fields in (line.split(":") for line in lines) if len(fields) > 2}
    if not known.get(user, "").isdigit():
        raise BuildError(f"the base image runs as {user!r}, whom its /etc/passwd does not name")
    return int(known[user])


def _follow(
    client: APIClient, container: str, script: bytes, reference: ImageReference, output: Callable[[str], None]
) -> None:
    last: deque[str] = deque(maxlen=_LAST_LINES)
    # Attached before the start: of a script that ends at once, podman's log may not come to an end.
    printed = client.attach(container, stream=True)
    client.start(container)
    for piece in printed:
        text = piece.decode(errors="replace")
        output(text)
        last.extend(text.splitlines())
    code = client.wait(container)["StatusCode"]
    if code:
        shown = "".join(f"\n  | {line}" for line in last if line.strip())
        raise BuildError(
            f"the script of {reference} ended with exit code {code}{shown and '. The last it printed:'}{shown}"
            f"{_advice(code, script)}"
        )


def _advice(code: int, script: bytes) -> str:
    """Return what is likely wrong if there is no program to run the script with: a shell only says `not found`."""
    first, _, _ = script.partition(b"\n")
    if code != _NOT_FOUND or not first.startswith(b"#!"):
        return ""
    if first.endswith(b"\r"):
        return "\nThe lines of the script end as on Windows (CR LF). Save it with Unix line ends."
    program = first[2:].decode(errors="replace").strip()
    return f"\nDoes the base image have {program}, which the script's first line names?"


def _script_tar(script: bytes, *, owner: int) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        member = tarfile.TarInfo(_SCRIPT)
        member.size, member.mode, member.uid = len(script), 0o755, owner
        tar.addfile(member, io.BytesIO(script))
        end = tar.offset + 2 * tarfile.BLOCKSIZE
    # Podman stops reading at a tar's end, and fails if there is padding behind it: "write |1: broken pipe".
    return content.getvalue()[:end]


def _command_of(config: ContainerConfig) -> list[str]:
    """Return the instructions for this entry point and command; a commit would keep the container's own.

    Of an image that has neither, the shell becomes the command: a commit cannot take a command away.
    """
    if config.entrypoint:
        return [f"ENTRYPOINT {json.dumps(config.entrypoint)}", f"CMD {json.dumps(config.cmd or [])}"]
    return [f"CMD {json.dumps(config.cmd or ['/bin/sh'])}"]
