"""The Shock behind a registry, and how the bytes of its files get to the registry's clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec
from werkzeug.wrappers import Request, Response

from skyport_wf.registry.refusals import BlobUnknownError

if TYPE_CHECKING:
    from collections.abc import Callable

    from skyport_wf.shock.client import ShockClient
    from skyport_wf.store.wsgi.app import ShockApp


class FilePart(msgspec.Struct, frozen=True):
    """Bytes of a node's file."""

    node: str
    """The node's id."""
    offset: int
    size: int


class Backend(Protocol):
    """A Shock that has the images of a registry."""

    def client(self, token: str | None) -> ShockClient:
        """Return the Shock as the owner of the token asks it; as nobody in particular, if None."""

    def send(self, request: Request, part: FilePart, token: str | None) -> Response:
        """Return an answer to the request whose body is the part of a file: with status 200, or 307 for elsewhere.

        token: of someone who may read the node; None if everyone may.
        Raises BlobUnknownError if the node is gone.
        """


class EmbeddedBackend:
    """The embedded Shock in this process: it sends the files itself, so that the kernel copies them to the client."""

    def __init__(self, app: ShockApp) -> None:
        self._app = app

    def client(self, token: str | None) -> ShockClient:
        """Return a client that calls the store's application."""
        from skyport_wf.shock.client import ShockClient
        from skyport_wf.store.wsgi.transport import EMBEDDED_URL, embedded_session

        session = embedded_session(self._app)
        return ShockClient(EMBEDDED_URL, token=token, name="the embedded Shock", session=session)

    def send(self, request: Request, part: FilePart, token: str | None) -> Response:
        """Return the application's own answer to a download of the part."""
        environ = {
            **request.environ,
            "REQUEST_METHOD": "GET",
            "PATH_INFO": f"/node/{part.node}",
            "QUERY_STRING": f"download&seek={part.offset}&length={part.size}",
        }
        environ.pop("HTTP_AUTHORIZATION", None)
        if token is not None:
            environ["HTTP_AUTHORIZATION"] = f"OAuth {token}"
        statuses: list[str] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: object = None, /) -> Callable[[bytes], object]:
            statuses.append(status)
            return lambda data: None

        body = self._app(environ, start)
        # As it is: a server recognises a file that it can send by itself.
        answer = Response(body, statuses[-1], direct_passthrough=True)
        if answer.status_code != 200:
            answer.close()
            raise BlobUnknownError("the blob was deleted at this moment")
        return answer
