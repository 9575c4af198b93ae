"""Requests to one Shock server: sent, tried again where that may help, and their answers made sense of."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
import requests
import urllib3

from skyport_wf.decoding import convert
from skyport_wf.errors import ShockError, TemporaryError, root_cause
from skyport_wf.formatting import shortened
from skyport_wf.http_session import NO_TLS, origin_of, read_answer, read_retry_after, why_not_trusted
from skyport_wf.retries import TEMPORARY_STATUSES, retrying
from skyport_wf.shock.authorization import Authorization
from skyport_wf.shock.multipart import StreamingForm

_log = logging.getLogger(__name__)
_CONNECT_SECONDS, _STALL_SECONDS, _SILENCE_SECONDS = 10, 60, 300
"""How long a server may take to accept a connection, to take the next piece of a body, and to answer."""
_REDIRECTS = range(300, 400)
_NOT_ALLOWED = (requests.codes.bad_request, requests.codes.unauthorized, requests.codes.forbidden)
_BLOBSTORE = "blobstore"
_BROKEN = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
_LARGEST_ANSWER = 256 << 20
"""Bytes of an answer that are read: that with a page of a thousand large images has a tenth of it."""
_LARGEST_REFUSAL = 1 << 20
_LONGEST_REASON = 500
"""Characters of a refusal that are shown: a server may put a page, or all that it was sent, into it."""
_Shape = TypeVar("_Shape")
_Result = TypeVar("_Result")


class ShockRefusalError(ShockError):
    """Shock understood the request and said no."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status."""

    @property
    def is_about_rights(self) -> bool:
        """Whether the user may not do this, or has to say who they are. Installations differ in how they say so."""
        return self.status in _NOT_ALLOWED


class ServerTroubleError(TemporaryError):
    """Shock, or what stands in front of it, could not answer."""

    def __init__(self, message: str, status: int, *, retry_after: float) -> None:
        super().__init__(message, retry_after=retry_after)
        self.status = status
        """The HTTP status."""
        self.words = message
        """What happened, without what the server asks for."""


class ShockConnection:
    """One Shock server, as one user; threads may share it."""

    def __init__(
        self, url: str, *, name: str, session: requests.Session, authorization: Authorization,
        token_advice: str, ca_bundle: str | None,
    ) -> None:  # fmt: skip
        """Speak to the server at `url`.

        name: what messages call the server.
        token_advice: what messages say if the server wants another token, or one at all.
        ca_bundle: the certificate authorities to trust, as requests takes them; the usual ones if None.
        """
        self.url = url
        self.name = name
        self._called = f"Shock at {name}" if name == url else name
        self.elsewhere: ShockError | None = None
        """What to say to who wants to change something, once an answer came from another server."""
        self._given_up = False
        self._session = session
        self._authorization = self._session.auth = authorization
        self._token_advice = token_advice
        # Given with each request, as otherwise REQUESTS_CA_BUNDLE would win over it.
        self._verify: dict[str, Any] = {"verify": ca_bundle} if ca_bundle else {}

    def ask(self, method: str, path: str, **arguments: Any) -> Any:
        """Return the `data` of the server's answer (see ask_once), trying again what is temporary."""
        return self.retrying(lambda: self.ask_once(method, path, **arguments))

    def retrying(
        self, call: Callable[[], _Result], *, at_least: int = 2, stopping: threading.Event | None = None
    ) -> _Result:
        """Return what `call` returns, called as `retries.retrying` does.

        Where that was in vain to the end, it is called once from then on, until the server answers: of many images each
        would wait as long again.
        """
        calls = 0

        def counted() -> _Result:
            nonlocal calls
            calls += 1
            return call()

        if self._given_up:
            return call()
        try:
            return retrying(counted, at_least=at_least, stopping=stopping)
        except TemporaryError:
            self._given_up = calls > 1
            raise

    def ask_once(
        self, method: str, path: str, *, form: StreamingForm | None = None, enveloped: bool = True,
        whole: bool = False, **arguments: Any,
    ) -> Any:  # fmt: skip
        """Return the `data` of the server's answer; all of the answer if `whole`, or not `enveloped`.

        Raises ShockRefusalError for what the server refuses, TemporaryError for what asking again may mend; ShockError
        for an answer that another server gave, which gets no token, to who has one.
        """
        if form is not None:
            arguments |= {"data": form, "headers": {"Content-Type": form.content_type}}
        response = self.send(method, path, stream=True, **arguments)
        if response.history and origin_of(response.url) != origin_of(self.url):
            self.elsewhere = self._sent_elsewhere(response.url, f"{method} {path}")
            if self._authorization.has_token:
                response.close()
                raise self.elsewhere
        if response.status_code >= _REDIRECTS.start:
            raise self.refusal(response, f"{method} {path}")
        content = self._read(response, f"{method} {path}")
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise self._no_json(response, content, f"{method} {path}") from error
        if not enveloped:
            return answer
        if not isinstance(answer, dict) or "data" not in answer:
            raise ShockError(f"{self.name} answers {method} {path} with something else than Shock does")
        if answer.get("error"):
            raise self._refused(_told(answer["error"]), response.status_code, f"{method} {path}")
        return answer if whole else answer["data"]

    def send(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """Send one request. Raises TemporaryError for what asking again may mend."""
        # urllib3 has one limit for connecting and for each piece that is sent.
        accept = _STALL_SECONDS if "data" in arguments else _CONNECT_SECONDS
        try:
            response = self._session.request(
                method, self.url + path, timeout=(accept, _SILENCE_SECONDS),
                allow_redirects=method == "GET", **self._verify, **arguments,
            )  # fmt: skip
        except requests.exceptions.SSLError as error:
            raise self._tls_failure(error) from error
        except _BROKEN as error:
            raise self._unreachable(error) from error
        except requests.RequestException as error:
            raise ShockError(f"{self._called} cannot be asked: {error}") from error
        _log.debug(
            "%s %s at %s: HTTP %s after %.2f s",
            method, path, self.name, response.status_code, response.elapsed.total_seconds(),
        )  # fmt: skip
        if response.status_code in TEMPORARY_STATUSES:
            said = shortened(self._authorization.hide(_said(response)).rstrip("."), _LONGEST_REASON)
            raise ServerTroubleError(
                f"{self._called} answers {method} {path} with HTTP {response.status_code}{said and f': {said}'}.",
                response.status_code,
                retry_after=read_retry_after(response.headers),
            )
        self._given_up = False
        return response

    def refusal(self, response: requests.Response, request: str) -> ShockError:
        """Return the error that says what the server said instead of doing what was asked."""
        status = response.status_code
        if status in _REDIRECTS:
            return self._sent_elsewhere(response.next.url if response.next else None, request)
        return self._refused(_said(response) or f"HTTP {status}", status, request)

    def _refused(self, words: str, status: int, request: str) -> ShockRefusalError:
        # Cut only then, as half a token would not be found.
        said = shortened(self._authorization.hide(words), _LONGEST_REASON)
        if status == requests.codes.unauthorized or "authorization" in said.lower():
            said = f"{said}. {self._token_advice}"
        return ShockRefusalError(f"{self._called} refuses {request}: {said}", status)

    def _sent_elsewhere(self, target: str | None, request: str) -> ShockError:
        """Return the error for a request that is sent to `target`, None if the server does not say where that is."""
        parts = urlsplit(target or "")
        # Without what the request adds to the server's URL, and without a password.
        base = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".removesuffix(request.split()[1])
        where = f": {self._authorization.hide(base)}" if target else ""
        return ShockError(f"{self.name} sends {request} elsewhere. Give the URL that it redirects to{where}.")

    def read_root(self) -> dict[str, Any]:
        """Return what the server says of itself. Raises ShockError if it is no Shock that images can go to."""
        answer = self.ask("GET", "/", enveloped=False)
        if not isinstance(answer, dict) or answer.get("id") != "Shock":
            raise ShockError(f"{self.name} answers, but it is not a Shock server")
        # KBase's Blobstore says that it is Shock, for the sake of Shock's clients, but also its own name.
        if str(answer.get("servername", "")).lower() == _BLOBSTORE:
            raise ShockError(
                f"{self.name} is a KBase Blobstore: it has no attributes and no queries, so an image cannot have a "
                "name there, and AWE cannot find it. Give the URL of a Shock server."
            )
        return answer

    def convert(self, data: Any, shape: type[_Shape]) -> _Shape:
        """Return what the server answered as a value. Raises ShockError if Shock does not answer so."""
        try:
            return convert(data, shape)
        except (msgspec.ValidationError, UnicodeEncodeError) as error:
            # The other is for halves of characters, which JSON can have and UTF-8 cannot.
            raise ShockError(f"{self.name} answers with something else than Shock does: {error}") from error

    def close(self) -> None:
        """Close the connections that are kept for further requests."""
        self._session.close()

    def _read(self, response: requests.Response, request: str) -> bytes:
        try:
            return read_answer(response, _LARGEST_ANSWER)
        except requests.exceptions.SSLError as error:
            raise self._tls_failure(error) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise self._unreachable(error) from error
        except ValueError as error:
            raise ShockError(f"{self.name} answers {request} with {error}, which no Shock does") from error

    def _no_json(self, response: requests.Response, content: bytes, request: str) -> ShockError | TemporaryError:
        # Where a connection ends within the headers, Python takes the answer for one that has no more of them.
        cut_off = not {"Content-Length", "Transfer-Encoding"} & set(map(str.title, response.headers))
        if cut_off and content[:1] in (b"", b"{"):
            return TemporaryError(f"The answer of {self._called} to {request} broke off.")
        return ShockError(f"{self.name} answers {request} with something else than Shock does")

    def _unreachable(self, error: Exception) -> TemporaryError:
        return TemporaryError(f"{self._called} cannot be reached: {root_cause(error)}. `skyport-wf doctor` checks it.")

    def _tls_failure(self, error: requests.exceptions.SSLError) -> ShockError | TemporaryError:
        reason = why_not_trusted(error)
        if reason is None:
            return self._unreachable(error)
        advice = (
            ""
            if reason == NO_TLS
            else " If it has a certificate of a private authority, name the authority's file in `shock.ca_bundle` of "
            "the image list, or in REQUESTS_CA_BUNDLE."
        )
        return ShockError(f"{self._called} cannot be trusted: {reason}.{advice}")


def _said(response: requests.Response) -> str:
    """Return what the server says of a failure in its own way, empty if nothing."""
    try:
        answer = json.loads(read_answer(response, _LARGEST_REFUSAL))
        # A registry says it in another way, such as a gateway that was taken for its Shock.
        errors = answer["error"] if "error" in answer else [error["message"] for error in answer["errors"]]
        return _told(errors)
    except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError, KeyError, TypeError, RecursionError):
        return ""


def _told(errors: Any) -> str:
    return "; ".join(map(str, errors)) if isinstance(errors, list) else str(errors or "")
