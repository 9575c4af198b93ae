"""Running a script in a fresh container, which becomes an image."""

from __future__ import annotations

import codecs
import io
import secrets
import shlex
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import msgspec

from skyport_wf.byte_streams import ChunkReader
from skyport_wf.decoding import convert
from skyport_wf.engine.build_output import LastLines
from skyport_wf.engine.capabilities import default_network, podman_version
from skyport_wf.engine.connection import answers_closed, engine_errors
from skyport_wf.engine.containers import ContainerConfig, follow_links, remove_container
from skyport_wf.engine.images import name_in_engine
from skyport_wf.errors import BuildError

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.image_list.reference import ImageReference

_NAME = "skyport-wf-snapshot-"
"""How the names of the containers begin in which snapshots are made: a crash may leave one behind."""
_SCRIPT, _PROXIES = ".skyport-wf-script", ".skyport-wf-proxies"
_ROOT = frozenset({"", "0", "root"})
_NOT_FOUND = 127
"""The exit code of a shell that cannot find a program, or the program that a script's first line names."""
_MOST_USERS = 1 << 20
"""Bytes of /etc/passwd."""


@contextmanager
def run_script(
    client: APIClient, base: str, script: bytes, reference: ImageReference, output: Callable[[str], None]
) -> Iterator[tuple[str, ContainerConfig]]:
    """Run a script in a fresh container of `base`; the container is removed when the block ends.

    reference: the image that it is for.
    output: called with what the script prints.
    Yields the container's id, and the settings of the base: with the shell, if it has neither an entry point nor a
    command.
    Raises BuildError, with the last lines it printed, if the script fails.
    """
    with engine_errors(f"looking for containers of {reference}"):
        # Killed commands leave containers behind; one whose script still runs may be another command's.
        for left in client.containers(all=True, filters={"name": f"{_NAME}{reference.key}-", "status": "exited"}):
            client.remove_container(left["Id"], force=True, v=True)
    base = name_in_engine(client, base)
    with engine_errors(f"making a container of {base}"):
        original = convert(client.inspect_image(base)["Config"] or {}, ContainerConfig)
        user = original.user.partition(":")[0]
        # Whoever is not root can remove the script, when it is done, from nowhere else.
        folder = "/" if user in _ROOT else "/tmp"  # noqa: S108 - in the container
        path, proxies = (f"{folder.rstrip('/')}/{name}" for name in (_SCRIPT, _PROXIES))
        files = {_SCRIPT: script}
        # A commit can give an entry point back, but not take one away: where there is none, none is used here either.
        shell, command = ["/bin/sh", "-c"], f"{path} && rm -f {path}"
        if exports := _proxy_exports(client):
            # From a file: a commit would give the container's variables to the image, and its command to the history.
            files[_PROXIES] = exports
            command = f". {proxies} && rm -f {proxies} && {command}"
        config = client.create_container_config(
            base, entrypoint=shell if original.entrypoint else None,
            command=[command] if original.entrypoint else [*shell, command],
            host_config=client.create_host_config(network_mode=default_network(client)),
        )  # fmt: skip
        if podman_version(client):
            # Podman gives each container these variables, and a commit would give them to the image.
            config["UnsetEnv"] = ["TERM", "container"]
        container = client.create_container_from_config(config, f"{_NAME}{reference.key}-{secrets.token_hex(4)}")["Id"]
    try:
        with engine_errors(f"putting the script of {reference} into the container's {folder}"):
            _put_files(client, container, folder, files, reference, owner=user)
        # Podman ends no script whose output somebody could read and does not.
        with engine_errors(f"running the script of {reference}"), answers_closed(client):
            _run(client, container, script, reference, output)
        if not original.entrypoint and not original.cmd:
            # A commit would keep the container's own command, and cannot take one away.
            original = msgspec.structs.replace(original, cmd=("/bin/sh",))
        yield container, original
    finally:
        remove_container(client, container, of=str(reference))


def _proxy_exports(client: APIClient) -> bytes:
    """Return shell commands that set the variables that docker's config.json has for proxies; builds get these, too."""
    # The package tells them in no public way.
    variables: dict[str, str] = cast(Any, client)._proxy_configs.get_environment()
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()).encode()


def _put_files(
    client: APIClient, container: str, folder: str, files: Mapping[str, bytes], reference: ImageReference, *, owner: str
) -> None:
    """Put the script, and what goes with it, into a folder of the container.

    files: the contents by name.
    owner: the user that they belong to, whom the container's own /etc/passwd may name.
    Raises BuildError if it does not, or there is no such folder.
    """
    number = owner if owner.isdigit() else "0"
    if owner not in _ROOT and not owner.isdigit():
        lines = _read_users(client, container).splitlines()
        known = {fields[0]: fields[2] for fields in (line.split(":") for line in lines) if len(fields) > 2}
        number = known.get(owner, "")
        if not number.isdigit():
            raise BuildError(f"the base image of {reference} runs as {owner!r}, whom its /etc/passwd does not name")
    # Podman would make one, from which nobody but root could remove the script.
    if folder != "/" and follow_links(client, container, folder) is None:
        raise BuildError(
            f"the base image of {reference} runs as {owner!r}, and has no folder {folder} for the script. Make one in "
            f"the base's Dockerfile, before its USER: RUN mkdir -m 1777 {folder}"
        )
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            # Of a proxy there may be a password.
            member.size, member.mode, member.uid = len(data), 0o755 if name == _SCRIPT else 0o400, int(number)
            tar.addfile(member, io.BytesIO(data))
        end = tar.offset + 2 * tarfile.BLOCKSIZE
    # Podman stops reading at a tar's end, and fails if there is padding behind it: "write |1: broken pipe".
    client.put_archive(container, folder, content.getvalue()[:end])


def _read_users(client: APIClient, container: str) -> str:
    """Return the container's /etc/passwd, empty if it has none."""
    users = follow_links(client, container, "/etc/passwd")
    if users is None:
        return ""
    with answers_closed(client):
        # The image may be anybody's: of the file no more is read than _MOST_USERS.
        pieces, _ = client.get_archive(container, users.path)
        try:
            with tarfile.open(fileobj=cast(BinaryIO, ChunkReader(pieces)), mode="r|") as tar:
                file = tar.extractfile(tar.next() or "passwd")
                return (file.read(_MOST_USERS) if file else b"").decode(errors="replace")
        except (tarfile.TarError, KeyError) as error:
            raise BuildError(f"cannot read {users.path} of the base image: {error}") from error


def _run(
    client: APIClient, container: str, script: bytes, reference: ImageReference, output: Callable[[str], None]
) -> None:
    """Run the container to its end. Raises BuildError if the script fails."""
    last = LastLines()
    # Attached before the start: of a script that ends at once, podman's log may not come to an end.
    printed = client.attach(container, stream=True)
    client.start(container)
    for piece in printed:
        text = piece.decode(errors="replace")
        output(text)
        last.add(text)
    code = client.wait(container)["StatusCode"]
    if not code:
        return
    advice, first = "", script.partition(b"\n")[0]
    if script.startswith(codecs.BOM_UTF8):
        advice = (
            "\nThe script begins with a byte order mark, as of an editor on Windows: /bin/sh runs it, whatever its "
            "first line names. Save it as UTF-8 without that mark."
        )
    elif code == _NOT_FOUND and first.startswith(b"#!"):
        # The shell only says `not found`.
        program = first[2:].decode(errors="replace").strip()
        advice = f"\nDoes the base image have {program}, which the script's first line names?"
        if first.endswith(b"\r"):
            advice = "\nThe lines of the script end as on Windows (CR LF). Save it with Unix line ends."
    raise BuildError(f"the script of {reference} ended with exit code {code}{last}{advice}")
