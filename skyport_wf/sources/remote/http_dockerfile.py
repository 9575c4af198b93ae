"""A Dockerfile on a web server: fetched with limits, as anybody, and only if it is one."""

from __future__ import annotations

import re
import time

import msgspec
import requests

from skyport_wf.byte_streams import PIECE
from skyport_wf.errors import SkyportError, TemporaryError, root_cause
from skyport_wf.http_session import read_retry_after
from skyport_wf.retries import TEMPORARY_STATUSES
from skyport_wf.sources.remote.http_answers import CarefulSession, follow, too_slow, within

MOST_BYTES = 1 << 20
MOST_SECONDS = 30.0
"""For all of it: redirects, headers and content, however slowly they come."""
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
    dockerfile = within(seconds, lambda: _fetch(url, known, seconds), what=url)
    # Servers answer with pages for people, and with HTTP 200, where they have no such file or want a password.
    start = dockerfile.content.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"<"):
        raise SkyportError(
            f"{url} is a web page, not a Dockerfile. Give the address of the file itself, which many sites call `raw`."
        )
    if b"\x00" in start or not _FROM.search(start):
        raise SkyportError(f"{url} is not a Dockerfile: there is no FROM in it. Mend `dockerfile` in the image list.")
    return dockerfile


def _fetch(url: str, known: RemoteDockerfile | None, seconds: float) -> RemoteDockerfile:
    deadline = time.monotonic() + seconds
    headers = {"If-None-Match": known.etag} if known and known.etag else {}
    content = bytearray()
    with CarefulSession() as session, follow(session, url, headers) as response:
        if response.status_code == requests.codes.not_modified and known:
            return known
        _check_status(url, response.status_code, read_retry_after(response.headers))
        try:
            # Counted as it comes: what a server says of a length need not be true.
            for piece in response.iter_content(PIECE):
                content += piece
                if len(content) > MOST_BYTES:
                    raise SkyportError(f"{url} is larger than {MOST_BYTES >> 20} MiB, which no Dockerfile is.")
                if time.monotonic() > deadline:
                    raise too_slow(url, seconds)
        except requests.RequestException as error:
            raise TemporaryError(f"{url} broke off: {root_cause(error)}.") from error
    return RemoteDockerfile(bytes(content), response.headers.get("ETag"))


def _check_status(url: str, status: int, retry_after: float) -> None:
    if status == requests.codes.ok:
        return
    if status in (requests.codes.not_found, requests.codes.gone):
        raise SkyportError(f"there is no {url} (HTTP {status}). Mend `dockerfile` in the image list.")
    if status in (requests.codes.unauthorized, requests.codes.forbidden):
        raise SkyportError(f"{url} is not for everyone to read (HTTP {status}). Keep a copy beside the image list.")
    if status in TEMPORARY_STATUSES:
        raise TemporaryError(f"{url} answers with HTTP {status}.", retry_after=retry_after)
    raise SkyportError(f"{url} answers with HTTP {status}. Mend `dockerfile` in the image list.")
