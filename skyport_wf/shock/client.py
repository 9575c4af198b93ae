"""The Shock API, as far as publishing images needs it. The only place that speaks to a Shock server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, TypeVar, cast

import msgspec
import requests
import urllib3

from skyport_wf.errors import ShockError, TemporaryError
from skyport_wf.shock.multipart import StreamingForm
from skyport_wf.shock.node import AccessControl, Node
from skyport_wf.shock.retries import TEMPORARY_STATUSES, retrying

_PAGE = 100
_CONNECT_SECONDS, _SILENCE_SECONDS = 10, 300
_REDIRECTS = range(300, 400)
_Shape = TypeVar("_Shape")


class ShockRefusalError(ShockError):
    """Shock understood the request and said no."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status."""


class TokenAuth(requests.auth.AuthBase):
    """Sends `Authorization: OAuth TOKEN`, as AWE and Shock's own clients do.

    Given to requests as an auth object, a `.netrc` does not put something else in its place.
    """

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the header on."""
        if self._token:
            request.headers["Authorization"] = f"OAuth {self._token}"
        return request

    def __repr__(self) -> str:
        return "TokenAuth(...)"


class ShockClient:
    """One Shock server, as one user."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        name: str | None = None,
        session: requests.Session | None = None,
    ) -> None:
        """Speak to the server at `url`.

        token: whom to act as; without one the client is anonymous.
        name: what messages call the server, if not by its URL.
        session: with other transports than the network; a new one if None.
        """
        self.url = url.rstrip("/")
        self.name = name or self.url
        self.anonymous = token is None
        self._session = session or requests.Session()
        self._session.auth = TokenAuth(token)

    def read_server(self) -> dict[str, Any]:
        """Return what the server says of itself at its root."""
        answer = self._ask("GET", "/", enveloped=False)
        if not isinstance(answer, dict) or answer.get("id") != "Shock":
            raise ShockError(f"{self.name} answers, but it is not a Shock server")
        return answer

    def query(self, attributes: Mapping[str, str], *, limit: int | None = None) -> list[Node]:
        """Return the nodes whose attributes match, newest first.

        attributes: value by name; a value may start or end with the wildcard `*`.
        limit: only the first page, of so many nodes; all pages if None.
        """
        nodes: list[Node] = []
        while True:
            page = {"limit": str(limit or _PAGE), "offset": str(len(nodes))}
            answer = self._ask("GET", "/node", params={"query": "", **attributes, **page}, whole=True)
            found = _convert(answer["data"] or [], list[Node], self.name)
            nodes += found
            if limit is not None or not found or len(nodes) >= answer.get("total_count", 0):
                return nodes

    def find(self, node_id: str) -> Node | None:
        """Return the node, None if there is none of this id."""
        try:
            return self._node(self._ask("GET", f"/node/{node_id}"))
        except ShockRefusalError as error:
            if error.status == requests.codes.not_found:
                return None
            raise

    def create(
        self,
        open_content: Callable[[], Iterable[bytes]],
        *,
        file_name: str,
        attributes: Mapping[str, Any],
        expiration: str,
        size: int | None = None,
    ) -> Node:
        """Make a node with a file, in one request, and return it.

        open_content: gives the file's pieces, once for each attempt.
        attributes: go up as a file part: Shock reads a long plain form field only in part.
        expiration: such as `2D`; the server deletes the node after it.
        size: bytes of the file, if known; without it the request is sent chunked.
        """
        encoded = msgspec.json.encode(attributes)

        def send() -> Node:
            form = StreamingForm(
                {"expiration": expiration},
                {"attributes": ("attributes.json", [encoded]), "upload": (file_name, open_content())},
                file_sizes=None if size is None else {"attributes": len(encoded), "upload": size},
            )
            return self._node(self._ask_once("POST", "/node", form=form))

        return retrying(send)

    def replace_attributes(self, node_id: str, attributes: Mapping[str, Any]) -> Node:
        """Put other attributes in the place of all that the node has, and return it."""
        content = msgspec.json.encode(attributes)
        return self._node(self._ask("PUT", f"/node/{node_id}", files={"attributes": ("attributes.json", content)}))

    def keep(self, node_id: str) -> Node:
        """Take the expiration off the node, and return it."""
        return self._node(self._ask("PUT", f"/node/{node_id}", files={"remove_expiration": (None, "1")}))

    def read_access(self, node_id: str) -> AccessControl:
        """Return who may do what with the node."""
        return _convert(self._ask("GET", f"/node/{node_id}/acl/"), AccessControl, self.name)

    def set_public(self, node_id: str, public: bool) -> AccessControl:
        """Let everyone read the node, or only those in its lists. Only its owner may ask for this."""
        method = "PUT" if public else "DELETE"
        return _convert(self._ask(method, f"/node/{node_id}/acl/public_read"), AccessControl, self.name)

    def delete(self, node_id: str) -> None:
        """Delete the node with its file."""
        self._ask("DELETE", f"/node/{node_id}")

    def download_url(self, node_id: str) -> str:
        """Return where the node's file can be had."""
        return f"{self.url}/node/{node_id}?download"

    @contextmanager
    def download(self, node_id: str) -> Iterator[BinaryIO]:
        """Open the node's file as a stream of its bytes as they are stored."""
        response = retrying(lambda: self._send("GET", f"/node/{node_id}", {"params": {"download": ""}, "stream": True}))
        try:
            if not response.ok:
                raise self._refusal(response, f"GET /node/{node_id}?download")
            yield cast(BinaryIO, response.raw)
        finally:
            response.close()

    def _node(self, data: Any) -> Node:
        return _convert(data, Node, self.name)

    def _ask(self, method: str, path: str, **arguments: Any) -> Any:
        return retrying(lambda: self._ask_once(method, path, **arguments))

    def _ask_once(
        self,
        method: str,
        path: str,
        *,
        form: StreamingForm | None = None,
        enveloped: bool = True,
        whole: bool = False,
        **arguments: Any,
    ) -> Any:
        """Return the `data` of the server's answer; all of the answer if `whole`, or not `enveloped`."""
        if form is not None:
            arguments |= {"data": form, "headers": {"Content-Type": form.content_type}}
        response = self._send(method, path, arguments)
        if not response.ok:
            raise self._refusal(response, f"{method} {path}")
        try:
            answer = response.json()
        except requests.JSONDecodeError as error:
            raise ShockError(f"{self.name} answers {method} {path} with something else than Shock does") from error
        if not enveloped:
            return answer
        if not isinstance(answer, dict) or "data" not in answer:
            raise ShockError(f"{self.name} answers {method} {path} with something else than Shock does")
        return answer if whole else answer["data"]

    def _send(self, method: str, path: str, arguments: dict[str, Any]) -> requests.Response:
        """Send one request. Raises TemporaryError for what asking again may mend."""
        try:
            response = self._session.request(
                method, self.url + path, timeout=(_CONNECT_SECONDS, _SILENCE_SECONDS),
                allow_redirects=method == "GET", **arguments,
            )  # fmt: skip
        except (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
        ) as error:
            raise TemporaryError(
                f"Shock at {self.name} cannot be reached: {_reason(error)}. `skyport-wf doctor` checks it."
            ) from error
        except requests.RequestException as error:
            raise ShockError(f"Shock at {self.name} cannot be asked: {error}") from error
        if response.status_code in TEMPORARY_STATUSES:
            response.close()
            raise TemporaryError(f"Shock at {self.name} answers {method} {path} with HTTP {response.status_code}.")
        return response

    def _refusal(self, response: requests.Response, request: str) -> ShockError:
        status = response.status_code
        if status in _REDIRECTS:
            return ShockError(f"{self.name} sends {request} elsewhere. Give the URL that it redirects to.")
        said = _said(response)
        if status == requests.codes.unauthorized or "authorization" in said.lower():
            who = "without a token" if self.anonymous else "with this token"
            said = f"{said}. It does not allow this {who}; `skyport-wf doctor` checks the token."
        return ShockRefusalError(f"Shock at {self.name} refuses {request}: {said}", status)


def _said(response: requests.Response) -> str:
    try:
        return "; ".join(map(str, response.json()["error"]))
    except (requests.RequestException, ValueError, KeyError, TypeError):
        return f"HTTP {response.status_code}"


def _convert(data: Any, shape: type[_Shape], server: str) -> _Shape:
    try:
        return msgspec.convert(data, shape)
    except msgspec.ValidationError as error:
        raise ShockError(f"{server} answers with something else than Shock does: {error}") from error


def _reason(error: BaseException) -> str:
    """Return the words at the bottom of a chain of network errors, such as `Connection refused`."""
    inner: BaseException = error
    while inner.__context__ is not None and not isinstance(inner, OSError | urllib3.exceptions.HTTPError):
        inner = inner.__context__
    while isinstance(inner.__context__, OSError):
        inner = inner.__context__
    return getattr(inner, "strerror", None) or str(inner)
