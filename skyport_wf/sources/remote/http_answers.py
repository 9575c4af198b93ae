"""Answers of web servers that anybody may have named: asked with limits, as anybody, and no password goes astray."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import requests

from skyport_wf.errors import SkyportError, TemporaryError, root_cause
from skyport_wf.http_session import NO_TLS, PlainSession, is_address, origin_of, why_not_trusted

_CONNECT_SECONDS, _SILENCE_SECONDS = 10, 15
_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_Answer = TypeVar("_Answer")


class NoTlsError(SkyportError):
    """A server that is asked by TLS does not speak it."""


def within(seconds: float, ask: Callable[[], _Answer], *, what: str) -> _Answer:
    """Return what `ask` returns, or raise what it raises.

    what: what messages call it.
    Raises TemporaryError if it takes longer.
    """
    outcome: Future[_Answer] = Future()

    def work() -> None:
        try:
            outcome.set_result(ask())
        except BaseException as error:  # raised again in the thread that waits
            outcome.set_exception(error)

    # The limits of sockets are for each piece: a server that sends a byte now and then would keep us for ever.
    threading.Thread(target=work, daemon=True).start()
    try:
        return outcome.result(timeout=seconds)
    except TimeoutError as error:
        raise too_slow(what, seconds) from error


def too_slow(what: str, seconds: float) -> TemporaryError:
    """Return the error for an answer that takes longer than it may."""
    return TemporaryError(f"{what} did not arrive whole within {seconds:g} s.")


class CarefulSession(PlainSession):
    """A session that sends no passwords, leaves redirects alone, and fails with our errors."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None: for a redirect, requests would read its content to the end, however much that is."""

    def ask(
        self,
        url: str,
        at: str,
        headers: Mapping[str, str],
        *,
        method: str = "GET",
        data: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Return the answer of one server.

        url: what messages call it.
        at: where it is now, behind redirects.
        data: the fields of a form.
        """
        waits = (_CONNECT_SECONDS, _SILENCE_SECONDS)
        try:
            return self.request(
                method, at, headers=headers, data=data, stream=True, allow_redirects=False, timeout=waits
            )
        except requests.exceptions.SSLError as error:
            reason = why_not_trusted(error)
            if reason is None:
                raise TemporaryError(f"{url} cannot be reached: {root_cause(error)}.") from error
            if reason == NO_TLS:
                raise NoTlsError(f"the server of {url} cannot be trusted: {reason}.") from error
            raise SkyportError(
                f"the server of {url} cannot be trusted: {reason}. If it has a certificate of a private authority, "
                "name the authority's file in REQUESTS_CA_BUNDLE."
            ) from error
        except (requests.ConnectionError, requests.Timeout) as error:
            raise TemporaryError(f"{url} cannot be reached: {root_cause(error)}.") from error
        except requests.exceptions.InvalidProxyURL as error:
            raise SkyportError(f"{url} cannot be asked for: {error}.") from error
        except requests.RequestException as error:
            raise SkyportError(f"{url} cannot be asked for: {type(error).__name__}. Mend the address.") from error


def follow(
    session: CarefulSession,
    url: str,
    headers: Mapping[str, str],
    *,
    method: str = "GET",
    secret: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    name: str = "",
) -> requests.Response:
    """Return the answer at the end of all redirects.

    secret: headers for this server alone.
    form: fields to send, which are for this server alone, too.
    name: what messages call it, if that is not the address.
    Raises SkyportError if a redirect leads where it must not.
    """
    at, called = url, name or url
    for _ in range(_MOST_REDIRECTS + 1):
        is_here = origin_of(at) == origin_of(url)
        if form and not is_here:
            raise SkyportError(f"{called} redirects what is sent to it to another server. This is not followed.")
        own = secret if secret and is_here else {}
        response = session.ask(called, at, {**headers, **own}, method=method, data=form)
        target = response.headers.get("Location")
        if response.status_code not in _REDIRECTS or target is None:
            return response
        response.close()
        try:
            # Servers send UTF-8, which http.client takes for Latin-1.
            there = urljoin(at, target.encode("latin-1").decode("utf-8", errors="replace"))
        except ValueError:
            there = ""
        if not (there and is_address(there)):
            raise SkyportError(f"{called} redirects to something that is no address.")
        scheme = urlsplit(there).scheme
        if scheme not in ("http", "https"):
            raise SkyportError(f"{called} redirects to a {scheme}: address. Only http and https are followed.")
        if scheme == "http" and urlsplit(at).scheme == "https":
            raise SkyportError(
                f"{called} redirects from https to http, where anyone could change it. This is not followed."
            )
        at = there
    raise SkyportError(f"{called} redirects more than {_MOST_REDIRECTS} times. Give the address where it ends.")
