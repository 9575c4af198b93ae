"""The Shock behind a registry, and how the bytes of its files get to the registry's clients."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
from werkzeug.wrappers import Request, Response
from werkzeug.wsgi import ClosingIterator

from skyport_wf.registry.bounded_cache import BoundedCache
from skyport_wf.registry.refusals import BlobUnknownError, RegistryError
from skyport_wf.shock.authorization import BASIC
from skyport_wf.shock.client import ShockClient
from skyport_wf.shock.connection import ShockRefusalError
from skyport_wf.shock.file_part import read_exactly

if TYPE_CHECKING:
    from skyport_wf.store.wsgi.app import ShockApp


PASSWORD: Final = "the password of your login"  # noqa: S105 - where, not what
"""The place where a token belongs, as messages call it."""
_CLIENTS: Final = 64
"""Users whose connections to a remote Shock are kept."""


class FilePart(msgspec.Struct, frozen=True):
    """Bytes of a node's file."""

    node: str
    """The node's id."""
    offset: int
    size: int


class Backend(Protocol):
    """A Shock that has the images of a registry."""

    is_remote: bool
    """Whether it is reached over a network."""
    has_passwords: bool
    """Whether its token is a user's name and password, instead of a word."""

    def client(self, token: str | None) -> ShockClient:
        """Return the Shock as the owner of the token asks it; as nobody in particular, if None."""

    def forget(self, token: str) -> None:
        """Keep nothing any more of the token, whose owner has logged out."""

    def owner_of(self, token: str) -> str:
        """Return the name of the token's owner; empty where that is not known."""

    def send(self, request: Request, part: FilePart, token: str | None, *, is_whole: bool) -> Response:
        """Return an answer to the request whose body is the part of a file: with status 200, or 307 for elsewhere.

        token: of someone who may read the node; None if everyone may.
        is_whole: whether the part is all that the client may ask for at this address. Elsewhere it would ask again for
            its range of that, and a Shock does not understand it.
        Raises BlobUnknownError if the node is gone, RegistryError or ShockError if its file cannot be read.
        """


class EmbeddedBackend:
    """The embedded Shock in this process: it sends the files itself, so that the kernel copies them to the client."""

    is_remote = False
    has_passwords = False

    def __init__(self, app: ShockApp) -> None:
        self._app = app

    def client(self, token: str | None) -> ShockClient:
        """Return a client that calls the store's application."""
        from skyport_wf.store.wsgi.transport import EMBEDDED_URL, embedded_session

        session = embedded_session(self._app, for_others=True)
        return ShockClient(EMBEDDED_URL, token=token, token_from=PASSWORD, name="the embedded Shock", session=session)

    def forget(self, token: str) -> None:
        """Nothing is kept of a token."""

    def owner_of(self, token: str) -> str:
        """Return the name of the user of the store."""
        return self._app.owner_of(token)

    def send(self, request: Request, part: FilePart, token: str | None, *, is_whole: bool) -> Response:
        """Return the application's own answer to a download of the part."""
        environ = {
            **request.environ,
            "REQUEST_METHOD": "GET",
            "PATH_INFO": f"/node/{part.node}",
            "QUERY_STRING": f"download&seek={part.offset}&length={part.size}",
        }
        for who in ("HTTP_AUTHORIZATION", "REMOTE_USER"):
            environ.pop(who, None)
        if token is not None:
            environ["HTTP_AUTHORIZATION"] = f"OAuth {token}"
        statuses: list[str] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: object = None, /) -> Callable[[bytes], object]:
            statuses.append(status)
            return lambda data: None

        body = self._app(environ, start)
        # As it is: a server recognises a file that it can send by itself.
        answer = Response(body, statuses[-1], direct_passthrough=True)
        if answer.status_code >= 500:
            answer.close()
            raise RegistryError("the file with the blob is damaged, or cannot be read; the server's log says more")
        if answer.status_code != 200:
            answer.close()
            raise BlobUnknownError("the blob was deleted at this moment")
        return answer


class RemoteBackend:
    """A Shock elsewhere: clients are sent there for what everyone may read, and get the rest from here."""

    is_remote = True

    def __init__(self, url: str, *, auth: str = "OAuth", ca_bundle: str | None = None, redirects: bool = True) -> None:
        """Speak to the Shock at `url`.

        auth: the word before a token, or `basic` if a token is USER:PASSWORD.
        ca_bundle: a file of certificate authorities to trust in the place of the usual ones.
        redirects: False to send everything from here, for the sake of a cache in front.
        """
        self.has_passwords = auth.lower() == BASIC
        self._url = url.rstrip("/")
        self._auth = auth
        self._ca_bundle = ca_bundle
        self._redirects = redirects
        self._clients = BoundedCache[ShockClient](_CLIENTS)

    def client(self, token: str | None) -> ShockClient:
        """Return a client whose connections are kept: many requests of one user follow each other."""
        key = token or ""
        client = self._clients.get(key)
        if client is None:
            client = ShockClient(
                self._url, token=token, token_from=PASSWORD, auth=self._auth, ca_bundle=self._ca_bundle
            )
            self._clients.put(key, client, size=1)
        return client

    def forget(self, token: str) -> None:
        """Keep the client of a token no longer."""
        self._clients.remove(token)

    def owner_of(self, token: str) -> str:
        """Return nothing: a Shock tells nobody who they are."""
        del token
        return ""

    def send(self, request: Request, part: FilePart, token: str | None, *, is_whole: bool) -> Response:
        """Return a redirect to the Shock's own download, or its bytes as they come from there."""
        if token is None and is_whole and self._redirects:
            where = f"{self._url}/node/{part.node}?download&seek={part.offset}&length={part.size}"
            return Response(status=307, headers={"Location": where})
        opened = ExitStack()
        try:
            stream = opened.enter_context(self.client(token).download(part.node, part=(part.offset, part.size)))
        except ShockRefusalError as error:
            raise BlobUnknownError("the blob was deleted at this moment") from error
        pieces = read_exactly(stream, part.size, f"the file of node {part.node}")
        return Response(ClosingIterator(pieces, opened.close), direct_passthrough=True)
