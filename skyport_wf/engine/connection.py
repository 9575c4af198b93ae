"""Reach the engine, and put its failures into words."""

from __future__ import annotations

import importlib.util
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from skyport_wf.child_environment import hidden_variables
from skyport_wf.engine.docker_config import usable_config
from skyport_wf.engine.endpoint import Endpoint, find_endpoint
from skyport_wf.errors import (
    OUT_OF_FILES,
    EngineError,
    SkyportError,
    TemporaryError,
    UsageError,
    innermost,
    out_of_files,
    root_cause,
)
from skyport_wf.formatting import printable
from skyport_wf.image.docker_command import HOST

if TYPE_CHECKING:
    from docker import APIClient
    from requests import Response

_log = logging.getLogger(__name__)
_SCHEMES = ("unix", "http+unix", "tcp", "http", "https")
_FORWARDED = "a socket that ssh forwards (ssh -L /tmp/docker.sock:/var/run/docker.sock HOST)"
_LONGEST = 2000
"""Characters of an engine's message that are shown."""


def engine_address() -> str:
    """Return the address at which the engine is expected, without a user and password."""
    # All up to the last @: in a password that someone wrote as it is, anything may stand.
    return re.sub("(?<=://).*@", "", find_endpoint().host)


def engine_place() -> str:
    """Return where the engine is expected, to be shown: its address, and the docker context that has it."""
    context = find_endpoint().context
    return f"{engine_address()} (docker context {printable(context)})" if context else engine_address()


def without_password(text: str) -> str:
    """Return the text without the user and password of the address, which libraries and the docker command quote."""
    return text.replace(find_endpoint().host, engine_address())


def command_variables() -> dict[str, str]:
    """Return the variables by which the docker command reaches the same engine, with the address in words of its own.

    The package takes further ones: `http+unix://`, `http://`, `https://`.
    """
    from docker.utils import parse_host

    variables = find_endpoint().variables
    scheme, _, place = cast(str, parse_host(variables[HOST])).partition("://")
    if scheme == "http+unix":
        # The package speaks no TLS on a socket; the command would look for certificates.
        return {HOST: f"unix:///{place.lstrip('/')}"}
    if scheme not in ("http", "https"):
        return variables
    # To the package, certificates alone mean TLS.
    tls = {"DOCKER_TLS": "1"} if variables.get("DOCKER_CERT_PATH") else {}
    return variables | tls | {HOST: f"tcp://{place}"}


def connect(*, attempts: int = 3) -> APIClient:
    """Return a connection to the engine that `find_endpoint` finds.

    attempts: how often it is tried, with short pauses.
    Requests have no time limit: a build step or an export may be silent for many minutes.
    Raises TemporaryError if no engine answers, UsageError for an address that is none, SkyportError if this process
    may open no connection.
    """
    import tenacity

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(TemporaryError),
        stop=tenacity.stop_after_attempt(attempts),
        wait=tenacity.wait_random_exponential(multiplier=0.2, max=2),
        before_sleep=lambda state: _log.info("no Docker engine answers at %s yet, asking again", engine_place()),
        reraise=True,
    )
    return retrying(_connect_once)


def one_connection() -> Callable[[], APIClient]:
    """Return what connects to the engine when it is first called, and then returns that connection, for a command.

    Each new connection asks the engine anew what it is. Calling it raises what `connect` raises.
    """
    return cache(connect)


def _connect_once() -> APIClient:
    import docker
    import requests
    import urllib3
    from docker.errors import DockerException

    from skyport_wf.http_session import PlainSession

    endpoint = find_endpoint()
    if endpoint.problem:
        raise UsageError(endpoint.problem)
    _check_scheme(engine_address(), endpoint.said_by)

    class Client(docker.APIClient, PlainSession):
        """The package's client, which is a session of requests."""

        # The package fills this while it is made, and takes the logins for registries from it.
        @property
        def _general_configs(self) -> dict[str, Any]:
            return cast(dict[str, Any], vars(self)["_general_configs"])

        @_general_configs.setter
        def _general_configs(self, document: Any) -> None:
            vars(self)["_general_configs"] = usable_config(document)

        # To tell its version Docker starts programs, which is as much work as 30 answers to this. The package has no
        # public way to be told the API's version later; if it calls this no more, it asks the engine as it used to.
        def _retrieve_server_version(self) -> Any:
            try:
                answer = self.get(f"{self.base_url}/_ping", timeout=self.timeout)
                answer.raise_for_status()
            except requests.RequestException as error:
                raise DockerException(f"the engine does not tell its version: {error}") from error
            return answer.headers.get("Api-Version") or super()._retrieve_server_version()  # type: ignore[misc]

        # The authority that REQUESTS_CA_BUNDLE names, of a Shock perhaps, takes the place of the usual ones alone.
        def merge_environment_settings(self, *arguments: Any, **options: Any) -> Any:
            settings = super().merge_environment_settings(*arguments, **options)
            return settings if self.verify is True else settings | {"verify": self.verify}

    # Who sets DOCKER_TLS and no DOCKER_TLS_VERIFY knows that the engine's certificate is not looked at.
    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    try:
        # To the programs that keep passwords for registries, it hands this process's variables.
        client = Client(
            version="auto", credstore_env=dict.fromkeys(hidden_variables(), ""), **_options(endpoint.variables)
        )
        client.timeout = None  # type: ignore[assignment]  # requests takes None for "no limit"
    except (DockerException, ValueError) as error:
        raise _connection_failure(error, endpoint) from error
    return client


def _options(variables: Mapping[str, str]) -> dict[str, Any]:
    """Return what tells the package of an engine.

    An engine need not ask who its users are: as for the docker command, a folder without a user's certificate will do.
    """
    from docker import TLSConfig
    from docker.utils import kwargs_from_env

    folder, verify = variables.get("DOCKER_CERT_PATH"), bool(variables.get("DOCKER_TLS_VERIFY"))
    if not folder or any(Path(folder, name).exists() for name in ("cert.pem", "key.pem")):
        return dict(kwargs_from_env(variables))
    return {"base_url": variables[HOST], "tls": TLSConfig(ca_cert=str(Path(folder, "ca.pem")), verify=verify)}


def _connection_failure(error: Exception, endpoint: Endpoint) -> SkyportError:
    """Return what it means that no connection could be made."""
    import requests
    from docker.errors import TLSParameterError

    from skyport_wf.http_session import NO_TLS, why_not_trusted

    if _is_out_of_files(error):
        return SkyportError(out_of_files("asking the engine what it is"))
    words, cause = str(error).lower(), error.__cause__
    untrusted = why_not_trusted(cause) if isinstance(cause, requests.exceptions.SSLError) else None
    if untrusted == NO_TLS:
        return UsageError(
            f"the engine at {engine_place()} does not speak TLS there. Unset DOCKER_TLS, DOCKER_TLS_VERIFY and "
            "DOCKER_CERT_PATH, or name the port where it does."
        )
    if untrusted or isinstance(error, TLSParameterError):
        why = untrusted or "a file lacks"
        folder = endpoint.variables.get("DOCKER_CERT_PATH", "the folder that DOCKER_CERT_PATH names")
        return UsageError(
            f"the engine at {engine_place()} cannot be reached by TLS: {why}. In {printable(folder)} are to be ca.pem, "
            "of the authority that the engine's certificate is of, and this user's cert.pem and key.pem if it asks for "
            "them."
        )
    no_answer = isinstance(cause, (requests.ConnectionError, requests.Timeout))
    if not no_answer and (
        isinstance(error, ValueError) or "invalid bind address" in words or ("protocol" in words and "host" in words)
    ):
        # Of an address with a password, these words may quote a part.
        secret = engine_address() != endpoint.host
        why = f"it has a user or password. Use TLS certificates, or {_FORWARDED}" if secret else engine_words(error)
        return UsageError(f"{endpoint.said_by}={engine_address()!r} is not an engine's address: {why}")
    return TemporaryError(
        f"no Docker engine answers at {engine_place()}: {without_password(root_cause(error))}. "
        "Start it, or set DOCKER_HOST; `skyport-wf doctor` checks it."
    )


def _is_out_of_files(error: BaseException) -> bool:
    return getattr(innermost(error), "errno", None) in OUT_OF_FILES


def _check_scheme(address: str, said_by: str) -> None:
    """Raise UsageError for a kind of address that nothing here speaks: the engine's state has nothing to do with it.

    said_by: what names the address.
    """
    scheme, found, _ = address.partition("://")
    speaks_ssh = importlib.util.find_spec("paramiko") is not None
    known = (*_SCHEMES, *(["ssh"] if speaks_ssh else []))
    if found and scheme not in known:
        advice = f"Install paramiko beside this program, or use {_FORWARDED}" if scheme == "ssh" else "Use one of those"
        spoken = ", ".join(f"{one}://" for one in known)
        raise UsageError(f"{said_by}={address!r}: an engine is reached by {spoken}. {advice}.")


@contextmanager
def engine_errors(doing: str) -> Iterator[None]:
    """Turn exceptions of the package `docker` into errors of ours.

    doing: what was asked of the engine, such as `saving debian:bookworm`.
    Raises EngineError if the engine refused, TemporaryError if it went away, SkyportError if this process may open no
    connection.
    """
    import requests
    import urllib3
    from docker.errors import APIError, DockerException

    try:
        yield
    except APIError as error:
        raise EngineError(f"the engine failed at {doing}: {engine_words(error.explanation or error)}") from error
    except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError) as error:
        if _is_out_of_files(error):
            raise SkyportError(out_of_files(doing)) from error
        raise TemporaryError(
            f"the engine at {engine_address()} went away at {doing}: {without_password(root_cause(error))}. "
            "Run the command again when it is back."
        ) from error
    except (msgspec.ValidationError, requests.JSONDecodeError) as error:
        raise EngineError(
            f"the engine at {engine_address()} answers {doing} with something that no engine says: "
            f"{engine_words(error)}. Is it Docker, or podman's service for Docker's clients?"
        ) from error
    except (DockerException, requests.RequestException) as error:
        raise EngineError(f"the engine failed at {doing}: {engine_words(error)}") from error


def engine_words(error: object) -> str:
    """Return an error's own words: an engine may quote much of an image, and the message goes to a terminal."""
    lines = [printable(line) for line in without_password(str(error))[:_LONGEST].splitlines()]
    return "\n".join(lines)


@contextmanager
def answers_closed(client: APIClient) -> Iterator[None]:
    """Close at the end of the block all answers that the engine gave in it, read to their end or not.

    The engine goes on with a build until nobody listens any more. The package `docker` hands out generators, and
    an interruption inside one leaves the connection open for as long as the traceback is there.
    """
    answers: list[Response] = []

    def keep(response: Response, **_: object) -> None:
        answers.append(response)

    client.hooks["response"].append(keep)
    try:
        yield
    finally:
        client.hooks["response"].remove(keep)
        for answer in answers:
            answer.close()
