"""Where the engine is expected: at `DOCKER_HOST`, in docker's current context, or at the default socket.

Source: docker's command, cli/command/cli.go, cli/context/store and opts/hosts.go. The package `docker` reads
contexts, too, but those of the working directory where docker has no config.json.
"""

import functools
import hashlib
import os
import re
from pathlib import Path
from typing import Final

import msgspec

from skyport_wf.decoding import decode_json
from skyport_wf.image.docker_command import HOST, TLS_VARIABLES
from skyport_wf.input_file import is_folder, read_bounded

_DEFAULT_HOST: Final = "unix:///var/run/docker.sock"
_DEFAULT_TLS_HOST: Final = "tcp://localhost:2376"
_DEFAULT_NAME: Final = "localhost"
_DEFAULT_PORT: Final = 2375
"""Also by TLS, if there is an address that names no port: docker has it so."""
_SERVER: Final = re.compile(r"(?P<name>\[[^]]*\]|[^:[]*)(?::(?P<port>[^:]*))?")
_LACKS_SLASHES: Final = re.compile("(?P<scheme>(?:unix|tcp|https?|ssh):?)?(?P<path>/+[^/].*)")
"""An address of none of docker's forms: a path alone, or with one slash, or without a colon, behind the scheme."""
_NO_CONTEXT: Final = "default"
_LARGEST_FILE: Final = 1 << 20


class Endpoint(msgspec.Struct, frozen=True):
    """Where an engine is expected."""

    variables: dict[str, str]
    """What tells docker's programs of it: DOCKER_HOST, and for TLS, DOCKER_CERT_PATH and the like."""
    context: str = ""
    """The docker context that it is of; empty if it is of none."""
    problem: str = ""
    """Why the context or address cannot be used; empty if it may be."""

    @property
    def host(self) -> str:
        """The address; there may be a password in it."""
        return self.variables[HOST]

    @property
    def said_by(self) -> str:
        """What names the address, for messages."""
        return f"the host of the docker context {self.context!r}" if self.context else HOST


def find_endpoint() -> Endpoint:
    """Return where the docker command would look for the engine.

    A context is read once in a process, or part of its work might go to another engine.
    """
    if host := os.environ.get(HOST):
        return _of_variables(host)
    return _of_context(_config_folder(), os.environ.get("DOCKER_CONTEXT", "")) or _of_variables("")


def _config_folder() -> Path:
    """Return the folder of docker's config."""
    return Path(os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker"))  # noqa: PTH111 - may lead nowhere


def _of_variables(host: str) -> Endpoint:
    tls = {name: text for name in TLS_VARIABLES if (text := os.environ.get(name))}
    default = _DEFAULT_HOST
    if {"DOCKER_TLS", "DOCKER_TLS_VERIFY"} & tls.keys():
        default = _DEFAULT_TLS_HOST
        tls.setdefault("DOCKER_CERT_PATH", str(_config_folder()))
    # Where there is a user or password, nothing of it is shown.
    if (match := _LACKS_SLASHES.fullmatch(host.strip())) and not ("://" in host or "@" in host):
        # Docker would ask a machine called `unix`.
        scheme, path = (match["scheme"] or "unix").rstrip(":"), match["path"].lstrip("/")
        meant = f"{scheme}://{'/' if scheme == 'unix' else ''}{path}"
        return Endpoint({HOST: host}, problem=f"{HOST}={host!r} is not an engine's address. Write {meant!r}.")
    address = _whole_address(host.strip() or default)
    # The package speaks no TLS on a socket.
    return Endpoint({HOST: address} | ({} if address.startswith("unix://") else tls))


def _whole_address(host: str) -> str:
    """Return an address with all that docker takes for granted where it is not written: `localhost` is one.

    What is none is returned as it is, and so is a path alone, which docker takes for one on localhost.
    """
    scheme, found, place = host.partition("://")
    if not found:
        scheme, place = "tcp", host
    if scheme == "unix" and place and not place.startswith("/"):
        return f"unix://{Path.cwd() / place}"
    if scheme != "tcp" or (not found and place.startswith("/")):
        return host
    server, slash, path = place.partition("/")
    # Where there is a user or password, any of these characters may be in it.
    if "@" not in place:
        if match := _SERVER.fullmatch(server):
            server = f"{match['name'] or _DEFAULT_NAME}:{match['port'] or _DEFAULT_PORT}"
        elif "[" not in server:
            server = f"[{server}]:{_DEFAULT_PORT}"
    return f"tcp://{server}{slash}{path}"


class _Config(msgspec.Struct, rename="camel"):
    """Docker's config.json."""

    current_context: str = ""


class _Docker(msgspec.Struct, rename="pascal"):
    """The engine of a context."""

    host: str = ""
    skip_tls_verify: bool = msgspec.field(name="SkipTLSVerify", default=False)


class _Endpoints(msgspec.Struct):
    """What a context leads to: an engine, and perhaps other things."""

    docker: _Docker


class _Context(msgspec.Struct, rename="pascal"):
    """A context's meta.json."""

    endpoints: _Endpoints


@functools.cache
def _of_context(folder: Path, name: str) -> Endpoint | None:
    """Return the engine of a context, None if that is the default one.

    folder: of docker's config.
    name: the context; docker's current one if empty.
    """
    name = name or _current_context(folder)
    if name in ("", _NO_CONTEXT):
        return None
    digest = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()
    try:
        found = decode_json(read_bounded(folder / "contexts/meta" / digest / "meta.json", _LARGEST_FILE), _Context)
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        problem = (
            f"the docker context {name!r} cannot be used: {why}. `docker context ls` shows those that are there; "
            "choose one of them, or set DOCKER_HOST."
        )
        return Endpoint({HOST: _DEFAULT_HOST}, name, problem)
    docker = found.endpoints.docker
    variables = {HOST: docker.host or _DEFAULT_HOST}
    certificates = folder / "contexts/tls" / digest / "docker"
    if is_folder(certificates):
        variables["DOCKER_CERT_PATH"] = str(certificates)
        if not docker.skip_tls_verify:
            variables["DOCKER_TLS_VERIFY"] = "1"
    return Endpoint(variables, name)


def _current_context(folder: Path) -> str:
    """Return the context that docker's config names; empty if none."""
    try:
        return decode_json(read_bounded(folder / "config.json", _LARGEST_FILE), _Config).current_context
    except (OSError, UnicodeDecodeError, msgspec.DecodeError):
        # The docker command does without such a file, too.
        return ""
