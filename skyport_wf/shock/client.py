"""The Shock API, as far as publishing images needs it. The only place that speaks to a Shock server."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, TypeVar, cast
from uuid import uuid4

import msgspec
import requests

from skyport_wf.errors import AlteredError, ShockError, TemporaryError
from skyport_wf.http_session import AS_IT_IS, PlainSession, is_encoded
from skyport_wf.shock.authorization import Authorization
from skyport_wf.shock.connection import ServerTroubleError, ShockConnection, ShockRefusalError
from skyport_wf.shock.file_part import read_exactly
from skyport_wf.shock.multipart import StreamingForm
from skyport_wf.shock.node import AccessControl, Node

_Result = TypeVar("_Result")

_log = logging.getLogger(__name__)
_NO_TYPE = "no-such-type"
_PAGE = 100
_LATER_PAGE = 500
"""Nodes that are asked for at once: few answers need a second page, and a server counts all nodes for each."""
_MOST_TURNS = 50
"""How often a listing goes back to where it knows the nodes, as others delete some; then it takes what it gets."""
_USERS_AT_ONCE = 50
"""Ids of users in one address, which servers take up to a length only."""
_ATTEMPTS_TO_SEND = 5
"""How often a file is sent at least before giving up: breaking once, it may have taken longer than retries last."""
_ATTEMPT = "attempt"
"""The attribute that a node is known by if the answer to its making was lost."""


class _FoundNodes(msgspec.Struct, frozen=True):
    """A page of what a query finds."""

    data: list[Node] | None
    """Not a list where a query finds nothing."""
    total_count: int | None = None
    """How many nodes the query finds in all."""

    @property
    def nodes(self) -> list[Node]:
        """The nodes of the page."""
        return self.data or []

    @property
    def total(self) -> int:
        """How many nodes there are, with those of other pages."""
        return self.total_count or 0


class ShockClient:
    """One Shock server, as one user; threads may share it."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        token_from: str = "the variable for it",  # noqa: S107 - where, not what
        auth: str = "OAuth",
        name: str | None = None,
        session: requests.Session | None = None,
        ca_bundle: str | None = None,
    ) -> None:
        """Speak to the server at `url`.

        token: whom to act as; without one the client is anonymous.
        token_from: where messages say that a token belongs, such as `KB_AUTH_TOKEN`.
        auth: the word before the token, or `basic` if the token is USER:PASSWORD.
        name: what messages call the server, if not by its URL.
        session: with other transports than the network; a new one if None.
        ca_bundle: a file of certificate authorities to trust in the place of the usual ones.
        """
        self.url = url.rstrip("/")
        self.name = name or self.url
        self._connection = ShockConnection(
            self.url,
            name=self.name,
            session=session or PlainSession(),
            authorization=Authorization(self.url, token, auth),
            token_advice=f"The token in {token_from} is not one that may do this."
            if token
            else f"Put a token into {token_from}.",
            ca_bundle=ca_bundle,
        )
        self._ask = self._connection.ask

    @property
    def elsewhere(self) -> ShockError | None:
        """The reason why nothing can be changed, if another server gave an answer; None while none did."""
        return self._connection.elsewhere

    def read_server(self) -> dict[str, Any]:
        """Return what the server says of itself at its root. Raises ShockError if it is not Shock."""
        return self._connection.read_root()

    def may_ask(self) -> bool:
        """Return whether the server answers this user.

        It does not if it does not know the token, or tells nothing to those without one.
        """
        try:
            # Asked for what no node is: the answer is short.
            self.query({"type": _NO_TYPE}, limit=1)
        except ShockRefusalError as error:
            if error.is_about_rights:
                return False
            raise
        return True

    def query(
        self,
        attributes: Mapping[str, str],
        *,
        limit: int | None = None,
        oldest_first: bool = False,
        only_public: bool = False,
    ) -> list[Node]:
        """Return the nodes whose attributes match, newest first unless told otherwise.

        attributes: value by name; a value may start or end with the wildcard `*`.
        limit: only the first page, of so many nodes; all pages if None.
        only_public: without those that not everyone may read. An old server finds none then.
        """
        asked = {"query": "", **attributes}
        if only_public:
            # Shock asks about rights only beside the other fields of a node, where attributes have longer names.
            asked = {
                "querynode": "",
                "public_read": "1",
                **{f"attributes.{key}": attributes[key] for key in attributes},
            }
        order = {"direction": "asc"} if oldest_first else {}
        nodes: dict[str, Node] = {}
        offset = furthest = turns = 0
        while True:
            page = {"limit": str(limit or (_LATER_PAGE if nodes else _PAGE)), "offset": str(offset), **order}
            answer = self._query({**asked, **page})
            if offset and turns < _MOST_TURNS and not any(node.id in nodes for node in answer.nodes[:1]):
                # Nodes that went away meanwhile have moved the others up, past where this page begins.
                offset, turns = max(0, offset - _PAGE), turns + 1
                continue
            before, end = len(nodes), offset + len(answer.nodes)
            nodes.update((node.id, node) for node in answer.nodes)
            nothing_new = len(nodes) == before and end >= furthest
            if limit is not None or end >= answer.total or nothing_new or not answer.nodes:
                return list(nodes.values())
            # The last node of one page is the first of the next, unless nodes came or went meanwhile.
            offset, furthest = end - 1, max(end, furthest)

    def count(self, attributes: Mapping[str, str]) -> int:
        """Return how many nodes `query` would find."""
        return self._query({"query": "", **attributes, "limit": "1"}).total

    def find_by_md5(self, md5: str, *, limit: int) -> list[Node]:
        """Return nodes that the client may read whose file has this MD5, newest first."""
        return self._query({"querynode": "", "file.checksum.md5": md5, "limit": str(limit)}).nodes

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
        upload = (file_name, open_content, size)
        return self._create({"expiration": expiration}, attributes, upload=upload, at_least=_ATTEMPTS_TO_SEND)

    def create_empty(self, *, attributes: Mapping[str, Any], expiration: str) -> Node:
        """Make a node without a file, and return it."""
        return self._create({"expiration": expiration}, attributes)

    def create_copy(self, source: str, *, file_name: str, attributes: Mapping[str, Any], expiration: str) -> Node:
        """Make a node with the file of the node `source`, which is not sent, and return it."""
        return self._create({"expiration": expiration, "copy_data": source, "file_name": file_name}, attributes)

    def create_for_parts(
        self, count: int | None, *, file_name: str, attributes: Mapping[str, Any], expiration: str
    ) -> Node:
        """Make a node whose file comes in `count` parts, and return it; if None, `close_parts` says when all came."""
        parts = "unknown" if count is None else str(count)
        return self._create({"expiration": expiration, "parts": parts, "file_name": file_name}, attributes)

    def close_parts(self, node_id: str) -> None:
        """Say that all parts of a node have come whose number was not known; the server joins them.

        A node that was closed already is no error, as an answer may be lost.
        """
        try:
            self._ask("PUT", f"/node/{node_id}", files={"parts": (None, "close")})
        except ShockRefusalError:
            node = self.find(node_id)
            if node is None or not (node.file.locked or node.file.complete):
                raise

    def send_part(
        self,
        node_id: str,
        number: int,
        open_content: Callable[[], Iterable[bytes]],
        *,
        size: int,
        stopping: threading.Event | None = None,
    ) -> str:
        """Send one part of a node's file, and return the MD5 that the server lists for it.

        number: from 1. A part that the server has already is not sent again.
        open_content: gives the part's `size` bytes in pieces, once for each attempt.
        stopping: ends the attempts when it is set.
        """
        path = f"/node/{node_id}"
        first = True

        def send() -> str:
            nonlocal first
            first, again = False, not first
            # Of an attempt that failed it may be only the answer that was lost.
            if again and (listed := self._node(self._connection.ask_once("GET", path)).part_md5s.get(number)):
                return listed
            name = str(number)
            form = StreamingForm({}, {name: (f"part{name}", open_content())}, file_sizes={name: size})
            try:
                node = self._node(self._connection.ask_once("PUT", path, form=form))
            except ShockRefusalError:
                node = self._node(self._connection.ask_once("GET", path))
                if number not in node.part_md5s:
                    raise
            if (listed := node.part_md5s.get(number)) is None:
                raise ShockError(f"{self.name} took part {number} of node {node_id}, but does not list it")
            return listed

        return self._connection.retrying(send, at_least=_ATTEMPTS_TO_SEND, stopping=stopping)

    def replace_attributes(self, node_id: str, attributes: Mapping[str, Any]) -> Node:
        """Put other attributes in the place of all that the node has, and return it."""
        content = msgspec.json.encode(attributes)
        return self._node(self._ask("PUT", f"/node/{node_id}", files={"attributes": ("attributes.json", content)}))

    def keep(self, node_id: str) -> Node:
        """Take the expiration off the node, and return it."""
        return self._node(self._ask("PUT", f"/node/{node_id}", files={"remove_expiration": (None, "1")}))

    def expire(self, node_id: str, expiration: str) -> Node:
        """Let the server delete the node after a time, such as `2D`, and return it."""
        return self._node(self._ask("PUT", f"/node/{node_id}", files={"expiration": (None, expiration)}))

    def read_access(self, node_id: str) -> AccessControl:
        """Return who may do what with the node."""
        return self._connection.convert(self._ask("GET", f"/node/{node_id}/acl/"), AccessControl)

    def find_access(self, node_id: str) -> AccessControl | None:
        """Return who may do what with the node; None if that is not told to this user, who is in none of its lists."""
        try:
            return self.read_access(node_id)
        except ShockRefusalError as error:
            if error.is_about_rights:
                return None
            raise

    def set_public(self, node_id: str, public: bool) -> AccessControl:
        """Let everyone read the node, or only those in its lists. Only its owner may ask for this."""
        method = "PUT" if public else "DELETE"
        return self._connection.convert(self._ask(method, f"/node/{node_id}/acl/public_read"), AccessControl)

    def add_readers(self, node_id: str, users: Sequence[str]) -> None:
        """Let other users, of these ids, read the node. Only its owner may ask for this."""
        for at in range(0, len(users), _USERS_AT_ONCE):
            self._ask("PUT", f"/node/{node_id}/acl/read", params={"users": ",".join(users[at : at + _USERS_AT_ONCE])})

    def is_owner(self, node_id: str) -> bool:
        """Return whether the user, who has a token, is the owner of a node, or an admin.

        Shock does not tell who one is, but of known users only these may look at one kind of rights alone.
        """
        try:
            self._ask("GET", f"/node/{node_id}/acl/public_read")
        except ShockRefusalError as error:
            if error.is_about_rights or error.status == requests.codes.not_found:
                return False
            raise
        return True

    def delete(self, node_id: str) -> None:
        """Delete the node with its file; one that is gone already is no error, as an answer may be lost."""
        try:
            self._ask("DELETE", f"/node/{node_id}")
        except ShockRefusalError as error:
            if error.status != requests.codes.not_found:
                raise

    def drop(self, node_id: str) -> None:
        """Delete an upload that is of no use; one that cannot be deleted expires."""
        try:
            self.delete(node_id)
        except (ShockError, TemporaryError) as error:
            _log.info("the upload %s is not needed and stays until it expires: %s", node_id, error)

    @contextmanager
    def download(
        self, node_id: str, *, part: tuple[int, int] | None = None, size: int | None = None
    ) -> Iterator[BinaryIO]:
        """Open the node's file as a stream of its bytes as they are stored.

        part: where to begin and how many bytes to read, if not all.
        size: how many bytes have to come, if known.
        Raises AlteredError if something in front of the server compresses them all the same, or announces another size.
        """
        response = self._retrying_file(node_id, lambda: self._ask_for_file(node_id, part))
        with self._content(response, node_id, size) as stream:
            yield stream

    def read_start(self, node: Node, length: int) -> bytes:
        """Return the first bytes of the node's file, all of them if it has no more.

        Raises TemporaryError if the connection breaks off, again and again.
        """
        return self._retrying_file(node.id, lambda: self._read_start(node, length))

    def _read_start(self, node: Node, length: int) -> bytes:
        size = min(length, node.file.size)
        response = self._ask_for_file(node.id, (0, length))
        with self._content(response, node.id) as stream:
            return b"".join(read_exactly(stream, size, f"the download of node {node.id} from {self.name}"))

    def _retrying_file(self, node_id: str, call: Callable[[], _Result]) -> _Result:
        """Return what a call returns that asks for a node's file.

        Raises ShockError if the server fails at the file, and not otherwise: Shock answers so, for ever, where the file
        is gone from its disk.
        """
        try:
            return self._connection.retrying(call)
        except ServerTroubleError as error:
            if error.status != requests.codes.server_error:
                raise
            try:
                self._connection.ask_once("GET", f"/node/{node_id}")
            except (ShockError, TemporaryError):
                raise error from None
            raise ShockError(f"the file of node {node_id} cannot be read: {error.words}") from error

    def close(self) -> None:
        """Close the connections to the server."""
        self._connection.close()

    def _ask_for_file(self, node_id: str, part: tuple[int, int] | None) -> requests.Response:
        parameters = {"download": ""}
        if part:
            parameters |= {"seek": str(part[0]), "length": str(part[1])}
        return self._connection.send("GET", f"/node/{node_id}", params=parameters, headers=AS_IT_IS, stream=True)

    @contextmanager
    def _content(self, response: requests.Response, node_id: str, size: int | None = None) -> Iterator[BinaryIO]:
        """Open the answer to a request for a file. Raises ShockError if it is something else; see download."""
        try:
            if not response.ok:
                raise self._connection.refusal(response, f"GET /node/{node_id}?download")
            if is_encoded(response):
                raise AlteredError(
                    f"something in front of {self.name} changes the bytes of files: it compresses them, though it is "
                    "asked not to. Have its operator switch that off for downloads."
                )
            announced = response.headers.get("Content-Length", "")
            if size is not None and announced.isdecimal() and announced != str(size):
                raise AlteredError(
                    f"{self.name}, or something in front of it, sends something else than the file of node {node_id}: "
                    f"it has {announced:.20} bytes, the file has {size}. Perhaps it is a page to log in, or tells of "
                    "an error."
                )
            yield cast(BinaryIO, response.raw)
        finally:
            response.close()

    def _node(self, data: Any) -> Node:
        return self._connection.convert(data, Node)

    def _query(self, parameters: Mapping[str, str]) -> _FoundNodes:
        try:
            answer = self._ask("GET", "/node", params=parameters, whole=True)
        except ShockRefusalError as error:
            if error.status in (requests.codes.not_found, requests.codes.not_allowed):
                # Perhaps it is no Shock at all, and says so.
                self.read_server()
            raise
        return self._connection.convert(answer, _FoundNodes)

    def _create(
        self,
        fields: Mapping[str, str],
        attributes: Mapping[str, Any],
        *,
        upload: tuple[str, Callable[[], Iterable[bytes]], int | None] | None = None,
        at_least: int = 2,
    ) -> Node:
        """Make a node, and return it; one that was made although the answer was lost is not made again.

        upload: the file's name, what gives its pieces, and its size in bytes if that is known.
        """
        attempt = uuid4().hex
        encoded = msgspec.json.encode({**attributes, _ATTEMPT: attempt})
        first = True

        def send() -> Node:
            nonlocal first
            first, again = False, not first
            if again and (made := self._find_made(attempt)):
                return made
            files: dict[str, tuple[str, Iterable[bytes]]] = {"attributes": ("attributes.json", [encoded])}
            sizes: dict[str, int] | None = {"attributes": len(encoded)}
            if upload:
                name, open_content, size = upload
                files["upload"] = (name, open_content())
                sizes = None if size is None else {"attributes": len(encoded), "upload": size}
            form = StreamingForm(fields, files, file_sizes=sizes)
            return self._node(self._connection.ask_once("POST", "/node", form=form))

        return self._connection.retrying(send, at_least=at_least)

    def _find_made(self, attempt: str) -> Node | None:
        parameters = {"query": "", _ATTEMPT: attempt, "limit": "1"}
        found = self._connection.ask_once("GET", "/node", params=parameters, whole=True)
        return next(iter(self._connection.convert(found, _FoundNodes).nodes), None)
