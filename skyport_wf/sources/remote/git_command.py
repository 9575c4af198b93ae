"""The git command, for repositories that nobody vouches for: without prompts and hooks, and over the web only."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from skyport_wf.byte_streams import PIECE
from skyport_wf.child_environment import child_environment
from skyport_wf.errors import SkyportError, TemporaryError
from skyport_wf.formatting import printable

_USERS_OWN = re.compile(r"GIT_(CONFIG|SSL|SSH|EXEC_PATH|HTTP)")
"""Variables with which users and CI services tell git about servers, certificates and credentials. Others, such as the
GIT_DIR that a hook sets, would lead git to another repository, or print what it sends."""
_EVERYWHERE = {
    "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "SSH_ASKPASS": "", "GCM_INTERACTIVE": "never",
    "GIT_ATTR_NOSYSTEM": "1", "LC_ALL": "C", "LANGUAGE": "",
}  # fmt: skip
_OFF = ("core.hooksPath=/dev/null", "core.attributesFile=/dev/null", "core.fsmonitor=false", "gc.auto=0")
_STALLED = ("http.lowSpeedLimit=1", "http.lowSpeedTime=30")
_TEMPORARY = re.compile(
    r"could not resolve|couldn't connect|failed to connect|connection (refused|reset|timed out)|timed out|timeout"
    r"|network is unreachable|no route to host|empty reply|early eof|hung up|unexpected disconnect|recv failure"
    r"|send failure|too slow|transfer closed|rpc failed|ssl_read|gnutls_handshake|error: (408|429|5\d\d)",
    re.IGNORECASE,
)
_LASTING = re.compile(r"error: 4(?!08|29)\d\d|certificate", re.IGNORECASE)
_PREFIX = re.compile(r"^(fatal|error): ")
_LONGEST = 300
_MOST_BYTES = 256 << 20
"""Of what git prints: the files of a commit, a million names of a hundred characters and more."""


class GitError(SkyportError):
    """Git refused what it was asked to do."""


def ask_server(url: str, arguments: Sequence[str], *, repository: Path | None = None, seconds: float) -> str:
    """Return what a git command prints that speaks to the server at `url`.

    The user's own settings hold for it: proxies, certificates, credential helpers.
    repository: the local one to work in, if the command needs one.
    Raises TemporaryError for what asking again may mend, GitError for what the server or git refuse.
    """
    # ssh is only reached by a user's own `url.<base>.insteadOf`; a redirect from https leads nowhere else.
    protocols = "https:ssh" if url.lower().startswith("https:") else "http:https:ssh"
    environment = {name: value for name, value in _environment().items() if not name.startswith("GIT_ALLOW")}
    environment |= {"GIT_ALLOW_PROTOCOL": protocols}
    environment.setdefault("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")
    try:
        return _run([*_settings(*_STALLED), *_place(repository), *arguments], environment, seconds)
    except GitError as error:
        said = str(error)
        if _TEMPORARY.search(said) and not _LASTING.search(said):
            raise TemporaryError(f"{url} cannot be reached: {said}.") from error
        raise
    except subprocess.TimeoutExpired as error:
        raise TemporaryError(f"{url} did not answer git within {seconds:g} s.") from error


def run_locally(repository: Path, arguments: Sequence[str], *, seconds: float) -> str:
    """Return what a git command prints that works in a repository here; no settings but git's own count.

    Raises GitError if it fails or takes too long.
    """
    environment = {name: value for name, value in _environment().items() if not name.startswith("GIT_CONFIG")}
    environment |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_ALLOW_PROTOCOL": ""}
    try:
        return _run([*_settings(), *_place(repository), *arguments], environment, seconds)
    except subprocess.TimeoutExpired as error:
        raise GitError(f"git takes longer than {seconds:g} s") from error


def _place(repository: Path | None) -> list[str]:
    return [f"--git-dir={repository}"] if repository else []


def _settings(*more: str) -> Iterator[str]:
    for setting in (*_OFF, *more):
        yield from ("-c", setting)


def _environment() -> dict[str, str]:
    inherited = child_environment()
    kept = {name: value for name, value in inherited.items() if not name.startswith("GIT_") or _USERS_OWN.match(name)}
    return {**kept, **_EVERYWHERE}


def _read(process: subprocess.Popen[bytes], seconds: float) -> tuple[str, str]:
    """Return what git prints and what it says, once it has ended.

    Raises GitError for more than is kept in memory, TimeoutExpired if it does not end in time.
    """
    end = time.monotonic() + seconds
    printed = {process.stdout: bytearray(), process.stderr: bytearray()}
    with selectors.DefaultSelector() as waiting:
        for pipe in filter(None, printed):
            waiting.register(pipe, selectors.EVENT_READ, printed[pipe])
        while waiting.get_map():
            if (left := end - time.monotonic()) <= 0:
                raise subprocess.TimeoutExpired(process.args, seconds)
            for key, _ in waiting.select(left):
                piece = os.read(key.fd, PIECE)
                key.data.extend(piece)
                # A server decides how many names and messages it sends.
                if len(key.data) > _MOST_BYTES:
                    raise GitError(f"git printed more than {_MOST_BYTES:,} bytes")
                if not piece:
                    waiting.unregister(key.fileobj)
    process.wait(max(end - time.monotonic(), 0))
    output, said = (bytes(text).decode(errors="surrogateescape") for text in printed.values())
    return output, said


def _run(arguments: Sequence[str], environment: dict[str, str], seconds: float) -> str:
    """Run git and all that it starts; none of it is left when this ends."""
    try:
        process = subprocess.Popen(
            ["git", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment, start_new_session=True, umask=0o022,
        )  # fmt: skip
    except OSError as error:
        raise SkyportError(
            f"the git command cannot be run ({error.strerror}), and the image list names a git repository. Install git."
        ) from error
    with process:
        try:
            output, said = _read(process, seconds)
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        # What a server says itself, and advice, is left out; of the rest, what a terminal would act upon.
        lines = [line for line in said.splitlines() if line.strip() and not line.startswith(("remote:", "hint:"))]
        fatal = [_PREFIX.sub("", line) for line in lines if _PREFIX.match(line)] or lines[-1:]
        words = printable("; ".join(fatal))[:_LONGEST]
        raise GitError(words or f"git ended with exit code {process.returncode}")
    return output
