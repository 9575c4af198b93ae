"""A Dockerfile on a web server: fetched with limits, as anybody, and only if it is one."""

from __future__ import annotations

import re
import ssl
import threading
import time
from concurrent.futures import Future
from urllib.parse import urljoin, urlsplit

import msgspec
import requests

from skyport_wf.byte_streams import PIECE
from skyport_wf.errors import SkyportError, TemporaryError, root_cause
from skyport_wf.http_session import PlainSession

MOST_BYTES = 1 << 20
MOST_SECONDS = 30.0
"""For all of it: redirects, headers and content, however slowly they come."""
_CONNECT_SECONDS, _SILENCE_SECONDS = 10, 15
_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_FROM = re.compile(rb"^[ \t]*FROM[ \t\\]", re.IGNORECASE | re.MULTILINE)


class RemoteDockerfile(msgspec.Struct, frozen=True):
    """A Dockerfile as a server had it."""

    content: bytes
    etag: str | None = None
    """The server's name for this version of it. Its Last-Modified is not used: that has whole seconds, and servers
    answer "not modified" for a file that was replaced by an older one."""


def fetch_dockerfile(
    url: str, *, known: RemoteDockerfile | None = None, seconds: float = MOST_SECONDS
) -> RemoteDockerfile:
    """Return the Dockerfile that the server has now.

    known: what it had before, which is not sent again if it still has that.
    seconds: how long it may take in all.
    Raises TemporaryError for what asking again may mend, SkyportError for what is not there or no Dockerfile.
    """
    outcome: Future[RemoteDockerfile] = Future()
    deadline = time.monotonic() + seconds

    def work() -> None:
        try:
            outcome.set_result(_fetch(url, known, deadline))
        except BaseException as error:  # raised again in the thread that waits
            outcome.set_exception(error)

    # The limits of sockets are for each piece: a server that sends a byte now and then would keep us for ever.
    threading.Thread(target=work, daemon=True).start()
    try:
        dockerfile = outcome.result(timeout=seconds)
    except TimeoutError as error:
        raise TemporaryError(f"{url} did not arrive whole within {seconds:g} s.") from error
    # Servers answer with pages for people, and with HTTP 200, where they have no such file or want a password.
    start = dockerfile.content.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"<"):
        raise SkyportError(
            f"{url} is a web page, not a Dockerfile. Give the address of the file itself, which many sites call `raw`."
        )
    if b"\x00" in start or not _FROM.search(start):
        raise SkyportError(f"{url} is not a Dockerfile: there is no FROM in it. Mend `dockerfile` in the image list.")
    return dockerfile


class _Session(PlainSession):
    """A session that sends no passwords, leaves redirects alone, and fails with our errors."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None: for a redirect, requests would read its content to the end, however much that is."""

    def ask(self, url: str, at: str, headers: dict[str, str]) -> requests.Response:
        """Return the answer of one server.

        url: what messages call it.
        at: where it is now, behind redirects.
        """
        waits = (_CONNECT_SECONDS, _SILENCE_SECONDS)
        try:
            return self.get(at, headers=headers, stream=True, allow_redirects=False, timeout=waits)
        except requests.exceptions.SSLError as error:
            cause: BaseException = error
            while cause.__context__ is not None:
                cause = cause.__context__
            if not isinstance(cause, ssl.SSLCertVerificationError):
                raise TemporaryError(f"{url} cannot be reached: {cause}.") from error
            raise SkyportError(
                f"the server of {url} cannot be trusted: {cause.verify_message}. If it has a certificate of a private "
                "authority, name the authority's file in REQUESTS_CA_BUNDLE."
            ) from error
        except (requests.ConnectionError, requests.Timeout) as error:
            raise TemporaryError(f"{url} cannot be reached: {root_cause(error)}.") from error
        except requests.RequestException as error:
            raise SkyportError(f"{url} cannot be asked for: {type(error).__name__}. Mend the address.") from error


def _fetch(url: str, known: RemoteDockerfile | None, deadline: float) -> RemoteDockerfile:
    headers = {"If-None-Match": known.etag} if known and known.etag else {}
    content = bytearray()
    with _Session() as session, _follow(session, url, headers) as response:
        if response.status_code == requests.codes.not_modified and known:
            return known
        _check_status(url, response.status_code)
        try:
            # Counted as it comes: what a server says of a length need not be true.
            for piece in response.iter_content(PIECE):
                content += piece
                if len(content) > MOST_BYTES:
                    raise SkyportError(f"{url} is larger than {MOST_BYTES >> 20} MiB, which no Dockerfile is.")
                if time.monotonic() > deadline:
                    raise TemporaryError(f"{url} takes too long.")
        except requests.RequestException as error:
            raise TemporaryError(f"{url} broke off: {root_cause(error)}.") from error
    return RemoteDockerfile(bytes(content), response.headers.get("ETag"))


def _follow(session: _Session, url: str, headers: dict[str, str]) -> requests.Response:
    """Return the answer at the end of all redirects. Raises SkyportError if one leads where it must not."""
    at = url
    for _ in range(_MOST_REDIRECTS + 1):
        response = session.ask(url, at, headers)
        target = response.headers.get("Location")
        if response.status_code not in _REDIRECTS or target is None:
            return response
        response.close()
        try:
            # Servers send UTF-8, which http.client takes for Latin-1.
            there = urljoin(at, target.encode("latin-1").decode("utf-8", errors="replace"))
            scheme = urlsplit(there).scheme
        except ValueError as error:
            raise SkyportError(f"{url} redirects to something that is no address.") from error
        if scheme not in ("http", "https"):
            raise SkyportError(f"{url} redirects to a {scheme}: address. Only http and https are followed.")
        if scheme == "http" and urlsplit(at).scheme == "https":
            raise SkyportError(
                f"{url} redirects from https to http, where anyone could change it. This is not followed."
            )
        at = there
    raise SkyportError(f"{url} redirects more than {_MOST_REDIRECTS} times. Give the address where it ends.")


def _check_status(url: str, status: int) -> None:
    if status == requests.codes.ok:
        return
    if status in (requests.codes.not_found, requests.codes.gone):
        raise SkyportError(f"there is no {url} (HTTP {status}). Mend `dockerfile` in the image list.")
    if status in (requests.codes.unauthorized, requests.codes.forbidden):
        raise SkyportError(f"{url} is not for everyone to read (HTTP {status}). Keep a copy beside the image list.")
    if status in (requests.codes.request_timeout, requests.codes.too_many_requests) or status >= 500:
        raise TemporaryError(f"{url} answers with HTTP {status}.")
    raise SkyportError(f"{url} answers with HTTP {status}. Mend `dockerfile` in the image list.")
