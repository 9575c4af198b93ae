"""Where requests go by themselves: past no proxy to this machine, and with nobody's password from ~/.netrc."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.utils import get_auth_from_url, select_proxy

from skyport_wf.errors import innermost

_BROKEN_TLS = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""A connection that broke, as against one that cannot be trusted."""
NO_TLS: Final = "it does not speak TLS; perhaps its URL begins with http://"
_TLS_REASONS = {
    "WRONG_VERSION_NUMBER": NO_TLS,
    "RECORD_LAYER_FAILURE": NO_TLS,
    "NO_CERTIFICATE_OR_CRL_FOUND": "the file of certificate authorities has none in it",
}
"""OpenSSL's names for what is wrong with a certificate, in words."""
AS_IT_IS: Final = {"Accept-Encoding": "identity"}
"""The header for bytes that are read raw: requests asks for compressed ones, and a proxy may do what it is asked."""


class PlainSession(requests.Session):
    """A session that sends only the passwords that it was given, and asks this machine itself."""

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """Prepare a request. Without an answer to who asks, requests would look for one in ~/.netrc."""
        if not (request.auth or self.auth):
            request.auth = _as_it_is
        return super().prepare_request(request)

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request.

        Raises InvalidURL or InvalidProxyURL for an address, or a proxy's, on which urllib3 fails in its own ways.
        """
        if not is_address(request.url or ""):
            raise requests.exceptions.InvalidURL("it is no address", request=request)
        # requests takes the name in `NAME:PORT` for a scheme.
        options["proxies"] = {key: _with_scheme(value) for key, value in (options.get("proxies") or {}).items()}
        proxy = select_proxy(request.url or "", options["proxies"])
        if proxy and not _is_proxy(proxy):
            raise requests.exceptions.InvalidProxyURL(
                "the proxy that http_proxy, https_proxy or all_proxy names cannot be used (it is not shown here, as "
                "there may be a password in it)",
                request=request,
            )
        return super().send(request, **options)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return where a redirect leads, None for what is none. Raises InvalidURL if that is no address."""
        with suppress(ValueError):
            target = super().get_redirect_target(resp)
            if target is None or is_address(urljoin(resp.url, target)):
                return target
        resp.close()
        raise requests.exceptions.InvalidURL("it redirects to something that is no address", response=resp)

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Let who asks decide anew after a redirect; requests would take the password for that host in ~/.netrc."""
        del response
        prepared_request.headers.pop("Authorization", None)
        if callable(self.auth):
            self.auth(prepared_request)

    def rebuild_proxies(
        self, prepared_request: requests.PreparedRequest, proxies: MutableMapping[str, str] | None
    ) -> dict[str, str]:
        """Return the proxies for where a redirect leads."""
        found = super().rebuild_proxies(prepared_request, proxies)  # type: ignore[no-untyped-call]
        return {} if is_loopback(_host(prepared_request.url)) else dict(found)

    def __init__(self) -> None:
        super().__init__()
        self._settings: dict[tuple[str, str, str], Any] = {}

    def merge_environment_settings(self, url: str | bytes | None, *arguments: Any, **options: Any) -> Any:
        """Return what holds for a request, but no proxy for this machine: the name means another one there.

        Reading the environment for proxies takes as long as some answers, so what was found for a server is remembered.
        """
        parts = urlsplit(url.decode() if isinstance(url, bytes) else url or "")
        key = parts.scheme, parts.netloc, repr((arguments, options))
        if key not in self._settings:
            settings = super().merge_environment_settings(url, *arguments, **options)
            self._settings[key] = {**settings, "proxies": {}} if is_loopback(parts.hostname) else settings
        return dict(self._settings[key])


def read_answer(response: requests.Response, most: int) -> bytes:
    """Return the content of a streamed answer, of which little more than `most` bytes are ever read.

    Raises ValueError if there is more.
    """
    with response:
        return b"".join(_bounded(response, most))


def is_encoded(response: requests.Response) -> bool:
    """Return whether the content of an answer has to be decoded before it is what was asked for."""
    return response.headers.get("Content-Encoding", "").strip().lower() not in ("", "identity")


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Return what makes a server another one: scheme, host and port."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def is_address(url: str) -> bool:
    """Return whether host and port of an address, if it has any, are such that a server can be looked for."""
    try:
        # What requests does with an address, urllib3, and the lookup of its host.
        _ = urlsplit(url).port
        (urllib3.util.parse_url(url).host or "").encode("idna")
    except ValueError:
        return False
    return True


def is_loopback(host: str | None) -> bool:
    """Return whether a name or address is that of this machine, for programs on it."""
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _bounded(response: requests.Response, most: int) -> Iterator[bytes]:
    read = 0
    for piece in response.iter_content(1 << 16):
        read += len(piece)
        if read > most:
            raise ValueError(f"more than {most >> 20} MiB")
        yield piece


def _with_scheme(proxy: str) -> str:
    """Return a proxy's address as curl reads it, also without a scheme."""
    return proxy if not proxy or "://" in proxy else f"http://{proxy.lstrip('/')}"


def _is_proxy(url: str) -> bool:
    if not (is_address(url) and urlsplit(url).hostname):
        return False
    # In a header, requests sends nothing else.
    return all(ord(character) < 256 for secret in get_auth_from_url(url) for character in secret)


def _host(url: str | bytes | None) -> str | None:
    return urlsplit(url.decode() if isinstance(url, bytes) else url or "").hostname


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def why_not_trusted(error: requests.exceptions.SSLError) -> str | None:
    """Return why a server cannot be trusted, in words; None if the connection broke, which asking again may mend."""
    cause = innermost(error)
    if isinstance(cause, _BROKEN_TLS) or not isinstance(cause, ssl.SSLError):
        return None
    return _TLS_REASONS.get(cause.reason) or getattr(cause, "verify_message", "").rstrip(".") or str(cause)


def read_retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds for which a server asks to be left alone, 0 if its answer does not say (RFC 9110, 10.2.3)."""
    try:
        return urllib3.Retry().parse_retry_after(headers.get("Retry-After", "0"))
    except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
        return 0.0
