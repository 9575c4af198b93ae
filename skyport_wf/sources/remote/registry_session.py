"""Requests to a registry for one repository: with limits, and with a login only where the registry asks for one.

Source: OCI distribution spec 1.1, "Pull"; distribution's token authentication.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from functools import cached_property
from typing import Final
from urllib.parse import urlencode, urlsplit

import msgspec
import requests
import urllib3
from werkzeug.http import parse_dict_header, parse_list_header

from skyport_wf.decoding import decode_json
from skyport_wf.engine.registry_logins import RegistryLogin, find_login
from skyport_wf.errors import SkyportError, TemporaryError, root_cause
from skyport_wf.http_session import AS_IT_IS, is_loopback, origin_of, read_retry_after
from skyport_wf.image_list.registry_address import DOCKER_HUB, RegistryAddress
from skyport_wf.retries import TEMPORARY_STATUSES
from skyport_wf.sources.remote.http_answers import CarefulSession, NoTlsError, follow, within

_HUB_SERVER: Final = "https://registry-1.docker.io"
MOST_SECONDS: Final = 60.0
"""For an answer to begin, behind all redirects."""
SLOWEST: Final = 10_000
"""Bytes a second below which something does not arrive."""
_PIECE: Final = 1 << 18
"""Bytes of a piece: several wait in memory until they are sent."""
_LARGEST_TOKEN: Final = 1 << 20
_USABLE: Final = re.compile(r"[!-~]{1,65536}")
"""A header can carry it."""


class TokenAnswer(msgspec.Struct, frozen=True):
    """The answer of a token service; some write one field, some the other."""

    token: str = ""
    access_token: str = ""


class RegistrySession:
    """Asks one registry for one repository. Use it in a `with` statement, which closes the connections."""

    def __init__(self, address: RegistryAddress, *, seconds: float = MOST_SECONDS) -> None:
        """Ask for an image's repository; nobody is asked yet. seconds: for an answer to begin."""
        self._address = address
        self._seconds = seconds
        self._session = CarefulSession()
        self._authorization: dict[str, str] = {}

    def __enter__(self) -> RegistrySession:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def open(
        self, path: str, headers: Mapping[str, str], *, method: str = "GET", expected: tuple[int, ...] = (200,)
    ) -> requests.Response:
        """Return the answer for something of the repository.

        path: below the repository, such as `manifests/1.0`.
        expected: the statuses that are no failure.
        Raises TemporaryError for what asking again may mend, SkyportError if it is not there or not for this login.
        """
        url = f"{self._base}/v2/{self._address.repository}/{path}"
        response = self._ask(url, headers, method)
        if response.status_code == requests.codes.unauthorized and origin_of(response.url) == origin_of(url):
            # The first request, or a token that has expired.
            asked = _read_challenges(response.raw.headers.getlist("WWW-Authenticate"))
            response.close()
            self._authorization = within(
                self._seconds, lambda: self._log_in(asked), what=f"a token for {self._address}"
            )
            response = self._ask(url, headers, method)
        if response.status_code not in expected:
            response.close()
            raise self._refusal(response.status_code, read_retry_after(response.headers), path)
        return response

    def read(self, response: requests.Response, most: int) -> Iterator[bytes]:
        """Yield the bytes of an answer, at most so many: what a server says of a length need not be true.

        Raises TemporaryError if it breaks off, or comes too slowly.
        """
        began, received = time.monotonic(), 0
        with closing(response):
            while received < most:
                try:
                    # Whatever is there: a server that sends a byte now and then would keep who waits for a piece.
                    piece = response.raw.read1(min(_PIECE, most - received), decode_content=False)
                except (urllib3.exceptions.HTTPError, OSError) as error:
                    raise TemporaryError(f"{self._address} broke off: {root_cause(error)}.") from error
                if not piece:
                    return
                received += len(piece)
                if time.monotonic() - began > self._seconds + received / SLOWEST:
                    raise TemporaryError(f"{self._address} comes at less than {SLOWEST // 1000} kB/s.")
                yield piece

    @cached_property
    def _base(self) -> str:
        """The registry's server. On this machine, one without TLS will do, as for docker."""
        host = self._address.host
        if host == DOCKER_HUB:
            return _HUB_SERVER
        if is_loopback(urlsplit(f"//{host}").hostname):
            try:
                within(self._seconds, lambda: self._session.ask(host, f"https://{host}/v2/", {}), what=host).close()
            except (NoTlsError, TemporaryError):
                # It does not speak TLS, or not at all. One that cannot be trusted is not asked in the clear instead.
                return f"http://{host}"
        return f"https://{host}"

    def _ask(self, url: str, headers: Mapping[str, str], method: str) -> requests.Response:
        # Bytes are to come as the digests are of.
        headers = {**AS_IT_IS, **headers}

        def ask() -> requests.Response:
            return follow(self._session, url, headers, method=method, secret=self._authorization)

        try:
            return within(self._seconds, ask, what=str(self._address))
        except NoTlsError as error:
            raise SkyportError(
                f"{self._address.host} does not speak TLS. Registries without it are asked on this machine alone."
            ) from error

    def _log_in(self, challenges: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
        """Return the header that the registry asks for. Raises SkyportError if there is no login that it takes.

        challenges: as `_read_challenges` returns them.
        """
        asked = challenges.get("bearer", {})
        realm = asked.get("realm")
        login = find_login(self._address.host)
        if not realm:
            if login and "basic" in challenges:
                return _basic(login)
            raise self._refusal(requests.codes.unauthorized)
        self._check_realm(realm)
        # Not the scope that the registry writes, which may be more.
        wanted = {"scope": f"repository:{self._address.repository}:pull"}
        if service := asked.get("service"):
            wanted["service"] = service
        if login and login.identity_token:
            form = {"grant_type": "refresh_token", "refresh_token": login.identity_token, "client_id": "skyport-wf"}
            answer = follow(self._session, realm, {}, method="POST", form={**wanted, **form})
        else:
            separator = "&" if urlsplit(realm).query else "?"
            url = f"{realm}{separator}{urlencode(wanted)}"
            answer = follow(self._session, url, {}, secret=_basic(login) if login else {}, name=realm)
        with closing(answer):
            if answer.status_code != requests.codes.ok:
                raise self._refusal(answer.status_code, read_retry_after(answer.headers))
            content = b"".join(self.read(answer, _LARGEST_TOKEN))
        try:
            found = decode_json(content, TokenAnswer)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            found = TokenAnswer()
        token = found.token or found.access_token
        if not _USABLE.fullmatch(token):
            raise SkyportError(f"the token service of {self._address.host} answers with no token.")
        return {"Authorization": f"Bearer {token}"}

    def _check_realm(self, realm: str) -> None:
        """Raise SkyportError if a login would go where anyone could read it."""
        try:
            parts = urlsplit(realm)
        except ValueError:
            parts = urlsplit("")
        is_safe = parts.scheme == "https" and bool(parts.hostname)
        is_here = parts.scheme == "http" and self._base.startswith("http:") and is_loopback(parts.hostname)
        if "@" in parts.netloc or not (is_safe or is_here):
            raise SkyportError(f"{self._address.host} wants a login to be sent where anyone could read it.")

    def _refusal(self, status: int, retry_after: float = 0.0, path: str = "") -> SkyportError:
        """Return why there is no answer. path: as `open` takes it; empty for a login."""
        if status in TEMPORARY_STATUSES:
            return TemporaryError(f"{self._address} cannot be had: HTTP {status}.", retry_after=retry_after)
        kind, _, digest = path.partition("/")
        if kind == "blobs" and status in (404, 410):
            # Who may not read the image does not get its manifest either, which names this.
            return SkyportError(
                f"{self._address} is not whole: its registry has the manifest, but not the blob {digest} (HTTP "
                f"{status}). Push the image there again, or mend `registry` in the image list."
            )
        # Registries that hide what is private answer with 404, and others with 401 for what is not there.
        if status in (401, 403, 404, 410):
            return SkyportError(
                f"there is no {self._address}, or not for this login (HTTP {status}). Mend `registry` in the image "
                f"list, or log in: `docker login {self._address.host}`."
            )
        return SkyportError(f"{self._address} cannot be had: HTTP {status}. Mend `registry` in the image list.")


def _read_challenges(headers: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the parameters of each way to log in that a server offers, by the name of its scheme in lower case.

    headers: each may have several of them (RFC 9110, 11.6.1).
    """
    challenges: dict[str, dict[str, str]] = {}
    scheme = ""
    for item in parse_list_header(", ".join(headers)):
        word, _, rest = item.partition(" ")
        parameter = item
        if "=" not in word and not rest.lstrip().startswith("="):
            scheme, parameter = word.lower(), rest
        told = {name.lower(): value or "" for name, value in parse_dict_header(parameter).items()}
        challenges[scheme] = challenges.get(scheme, {}) | told
    return challenges


def _basic(login: RegistryLogin) -> dict[str, str]:
    both = base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
    return {"Authorization": f"Basic {both}"}
