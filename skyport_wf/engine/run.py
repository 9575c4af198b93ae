"""Running a command in a container, as a workflow's job does: in the working directory, as oneself, without network."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from skyport_wf.byte_streams import PIECE
from skyport_wf.engine.connection import answers_closed, engine_errors
from skyport_wf.engine.containers import remove_container
from skyport_wf.errors import EngineError, UsageError
from skyport_wf.formatting import printable

if TYPE_CHECKING:
    from docker import APIClient

_NAME = "skyport-wf-run-"
_NO_MORE = 1
"""Says to a socket that nothing more comes: SHUT_WR."""


_PROGRAM_ERRORS = (
    (
        re.compile('exec: ".*": (executable file not found|stat .*no such file)|executable file `.*` not found'),
        "{image} has no program {program}. `skyport-wf files {image}` lists what it has.",
        127,
    ),
    (
        re.compile('exec: ".*": .*(permission denied|is a directory)'),
        "{program} is not executable in {image}. Name a program that is.",
        126,
    ),
)
"""Words of runc and crun for what cannot be started; ours; the exit code that docker, podman and shells have for it.

Podman's own words behind them say the same of folders that are not there."""


class ProgramError(EngineError):
    """What is to run in an image is not there, or is no program; `exit_code` says which of the two."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class RunSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The machine as a command in a container sees it."""

    folder: Path
    """The working directory; it lies at the same path in the container."""
    mounts: tuple[Path, ...] = ()
    """Other folders, each at the same path in the container."""
    network: str = "none"
    """As `docker run` has it."""
    environment: tuple[str, ...] = ()
    """NAME=VALUE."""


def check_settings(settings: RunSettings) -> None:
    """Raise UsageError for a folder that no engine shows to a container, or a variable that it would change."""
    folders = {"run it in another folder": [settings.folder], "name another folder": settings.mounts}
    for advice, shown in folders.items():
        for path in map(_full_path, shown):
            if not path.strip("/"):
                raise UsageError(f"/ cannot be shown to a container: {advice}")
            if not _is_unicode(path):
                raise UsageError(f"{path!r} cannot be shown to a container, it is not UTF-8: {advice}")
    if not settings.network:
        # An engine takes its own network then.
        raise UsageError("--network '' names no network. Is a variable not set?")
    for name, _, value in (text.partition("=") for text in settings.environment):
        if not name:
            raise UsageError(f"--env {f'={value}' if value else ''!r} names no variable")
        if not _is_unicode(value):
            raise UsageError(f"--env {name}: the value of this variable is not UTF-8")


def _is_unicode(text: str) -> bool:
    with suppress(UnicodeEncodeError):
        text.encode()
        return True
    return False


def run_command(
    client: APIClient,
    image: str,
    command: Sequence[str],
    settings: RunSettings,
    *,
    called: str,
    output: Callable[[bytes | None, bytes | None], None],
    stdin: BinaryIO | None = None,
) -> int:
    """Run a command in a container of the image, which is removed afterwards whatever happens; return its exit code.

    settings: `check_settings` has nothing against them.
    called: the image in messages.
    output: called with pieces of what it prints, on stdout and on stderr.
    stdin: what it is to read; nothing if None.
    Raises ProgramError if the image has no such program, EngineError if the container cannot be made or started.
    """
    from docker.types import Mount

    folders = dict.fromkeys(map(_full_path, (settings.folder, *settings.mounts)))
    with engine_errors(f"making a container of {called}"):
        container = client.create_container(
            image, [*command] or None, name=f"{_NAME}{secrets.token_hex(4)}",
            working_dir=str(settings.folder.absolute()),
            # What it writes belongs to whoever runs it; that user has no home in the image.
            user=f"{os.getuid()}:{os.getgid()}", environment=["HOME=/tmp", *settings.environment],
            stdin_open=stdin is not None,
            # Not as `binds`, which are one text: there may be colons in a path.
            host_config=client.create_host_config(
                mounts=[Mount(folder, folder, type="bind") for folder in folders],
                network_mode=settings.network,
                init=False,
            ),
        )["Id"]  # fmt: skip
    try:
        # Podman ends no command whose output somebody could read and does not.
        with engine_errors(f"running {called}"), answers_closed(client):
            # Attached before it starts, so that nothing it prints is missed.
            printed = client.attach(container, stdout=True, stderr=True, stream=True, demux=True)
            if stdin is not None:
                writer = client.attach_socket(container, params={"stdin": 1, "stream": 1})
                Thread(target=_feed, args=[writer, stdin], daemon=True).start()
            client.start(container)
            for out, log in printed:
                output(out, log)
            return int(client.wait(container)["StatusCode"])
    except EngineError as error:
        for words, why, code in _PROGRAM_ERRORS:
            if words.search(str(error)):
                with engine_errors(f"looking at the container of {called}"):
                    program = printable(str(client.inspect_container(container)["Path"]))
                raise ProgramError(why.format(image=called, program=program or "''"), code) from error
        raise
    finally:
        remove_container(client, container, of=called)


def _full_path(folder: Path) -> str:
    """Return the absolute path, of which `..` would be no other place to an engine."""
    return str(folder.resolve() if ".." in folder.parts else folder.absolute())


def _feed(writer: Any, stdin: BinaryIO) -> None:
    """Hand stdin on until it ends, or the command has enough."""
    connection = getattr(writer, "_sock", writer)
    with suppress(OSError):
        while piece := stdin.read(PIECE):
            connection.sendall(piece)
        connection.shutdown(_NO_MORE)
