"""Shock's HTTP interface as a WSGI application: who is asking, what for, and errors as Shock puts them."""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, RequestRedirect, Rule
from werkzeug.wrappers import Request, Response

from skyport_wf import __version__
from skyport_wf.errors import SkyportError
from skyport_wf.store.access import ANONYMOUS, RIGHTS, User
from skyport_wf.store.changes import NodeChange
from skyport_wf.store.database import timestamp
from skyport_wf.store.opening import Store
from skyport_wf.store.query import parse_query
from skyport_wf.store.refusals import (
    ClosedError,
    FullError,
    InvalidRequestError,
    LostFileError,
    RefusedError,
    StoreError,
    UnsupportedError,
    UnusableError,
)
from skyport_wf.store.users import find_by_name, find_by_token, find_or_create
from skyport_wf.store.wsgi import acl_routes, link_routes, location_routes
from skyport_wf.store.wsgi.downloads import download
from skyport_wf.store.wsgi.exchange import (
    EMBEDDED_SCHEME,
    FOR_OTHERS,
    RequestContext,
    data_response,
    error_response,
    json_response,
    node_document,
)
from skyport_wf.store.wsgi.forms import read_file, read_form

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_REPAIR_SECONDS = 86400
"""How long clients are told to leave a file alone that is lost."""
_UNSUPPORTED = ("download_post", "download_idx", "index", "filter", "restore")

_log = logging.getLogger(__name__)


def _list_nodes(context: RequestContext) -> Response:
    context.require("read")
    if "distinct" in context.request.args:
        # As an attribute, which it is none of with Shock, no node would have it.
        raise UnsupportedError("distinct is not supported by this server")
    if "download_url" in context.request.args:
        return link_routes.link_found_nodes(context)
    query = parse_query(list(context.request.args.items(multi=True)))
    page = context.store.find(query, context.user)
    documents = [node_document(node) for node in page.nodes]
    return data_response(documents, limit=query.limit, offset=query.offset, total_count=page.total)


def _create_node(context: RequestContext) -> Response:
    context.require("write")
    request, store = context.request, context.store
    chunked = request.headers.get("Transfer-Encoding", "").strip().lower() == "chunked"
    if not chunked and not request.content_length:
        return data_response(node_document(store.create(context.user, NodeChange()), created=True))
    store.files.require_room(request.content_length or 0)
    if request.mimetype == "multipart/form-data":
        with read_form(request, store.files) as form:
            if {"download_url", "ids"} <= form.fields.keys():
                return link_routes.link_named_nodes(context, form)
            node = store.create(context.user, form.change)
    else:
        # Shock stores the body of anything but a multipart form as a file, even the form that `curl -d` sends.
        with read_file(request, store.files) as change:
            node = store.create(context.user, change)
    return data_response(node_document(node, created=True))


def _read_node(context: RequestContext, identity: str) -> Response:
    context.require("read")
    node = context.store.read(identity, context.user)
    if node.is_joining:
        # Should who was joining the parts have died, or had no room, someone who waits for the file starts it again.
        context.store.joiner.start(identity)
    arguments = context.request.args
    for word in _UNSUPPORTED:
        if word in arguments:
            raise UnsupportedError(f"{word} is not supported by this server")
    if "download" in arguments or "download_raw" in arguments:
        return download(context, node)
    if "download_url" in arguments:
        return link_routes.link_node(context, node)
    return data_response(node_document(node))


def _update_node(context: RequestContext, identity: str) -> Response:
    context.require("write")
    # Asked again when the change is made; asked now so that nobody sends gigabytes in vain.
    context.store.read(identity, context.user, right="write")
    context.store.files.require_room(context.request.content_length or 0)
    with read_form(context.request, context.store.files) as form:
        node = context.store.update(identity, context.user, form.change)
    if node.is_joining:
        context.store.joiner.start(identity)
    return data_response(node_document(node))


def _delete_node(context: RequestContext, identity: str) -> Response:
    context.require("delete")
    context.store.delete(identity, context.user)
    return data_response(None)


_CHANGING = ("PUT", "POST", "DELETE")
ROUTES = Map(
    [
        Rule("/node", endpoint=_list_nodes, methods=["GET"]),
        Rule("/node", endpoint=_create_node, methods=["POST"]),
        Rule("/node/<identity>", endpoint=_read_node, methods=["GET"]),
        Rule("/node/<identity>", endpoint=_update_node, methods=["PUT"]),
        Rule("/node/<identity>", endpoint=_delete_node, methods=["DELETE"]),
        Rule("/node/<identity>/acl", endpoint=acl_routes.read_acl, methods=["GET"]),
        Rule("/node/<identity>/acl/<kind>", endpoint=acl_routes.read_typed_acl, methods=["GET"]),
        Rule("/node/<identity>/acl/<kind>", endpoint=acl_routes.change_acl, methods=_CHANGING),
        Rule("/node/<identity>/locations", endpoint=location_routes.list_node_locations, methods=["GET"]),
        Rule("/node/<identity>/locations", endpoint=location_routes.change_node_locations, methods=_CHANGING),
        Rule("/node/<identity>/locations/<location>", endpoint=location_routes.read_node_location, methods=["GET"]),
        Rule(
            "/node/<identity>/locations/<location>", endpoint=location_routes.change_node_locations, methods=_CHANGING
        ),
        Rule("/preauth/<name>", endpoint=link_routes.use_link, methods=["GET"]),
        Rule("/types/<kind>/<function>", endpoint=location_routes.read_type, methods=["GET", *_CHANGING]),
        Rule("/location/<location>/<function>", endpoint=location_routes.read_location, methods=["GET", *_CHANGING]),
    ],
    strict_slashes=False,
    merge_slashes=False,
)


class ShockApp:
    """A store as a WSGI application.

    anonymous: what users without a token may do, of `read`, `write` and `delete`, where the node allows it.
    public_url: the address that clients use, if it is not the one that the request names.
    """

    def __init__(
        self, store: Store, *, anonymous: frozenset[str] = frozenset({"read"}), public_url: str | None = None
    ) -> None:
        self.store = store
        self.anonymous = anonymous
        self.public_url = public_url

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer a request (PEP 3333), whatever happens."""
        request = Request(environ, populate_request=False)
        # For logs: the name of a link is as good as a token.
        shown = "/preauth/..." if request.path.startswith("/preauth/") else request.path
        if shown != request.path:
            environ["REQUEST_URI"] = shown
        # A line's end in an address begins no line there.
        shown = ascii(shown)[1:-1]
        try:
            response = self._answer(request)
        except RefusedError as error:
            response = error_response(error.status, str(error))
        except StoreError as error:
            response = self._answer_failure(request, shown, error)
        except SkyportError as error:
            response = error_response(400, str(error))
        except HTTPException as error:
            response = error_response(error.code or 400, error.description or "bad request")
        except OSError as error:
            response = self._answer_failure(request, shown, self.store.folder.failure(error))
        except Exception:
            _log.exception("%s %s: a bug", request.method, shown)
            response = error_response(500, "internal error; the server's log says more")
        try:
            return response(environ, start_response)
        finally:
            if request.method == "HEAD":
                # Nobody reads the file that a GET would send.
                response.close()

    def owner_of(self, token: str) -> str:
        """Return the name of the user who has the token, empty if nobody has it."""
        user = find_by_token(self.store.database, token)
        return user.name if user else ""

    def _answer(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return data_response(None)
        if request.path == "/" and request.method in ("GET", "HEAD"):
            return self._describe(RequestContext(self.store, request, ANONYMOUS, self.anonymous, self.public_url))
        try:
            route, values = ROUTES.bind("").match(request.path, request.method)
        except (HTTPException, RequestRedirect):
            raise InvalidRequestError("Parameters do not match a valid Shock request type.") from None
        user = self._user(request)
        if user != ANONYMOUS:
            # For the server's log.
            request.environ["REMOTE_USER"] = user.name
        context = RequestContext(self.store, request, user, self.anonymous, self.public_url)
        answer: Response = route(context, **values)
        return answer

    def _answer_failure(self, request: Request, shown: str, error: StoreError) -> Response:
        """Answer that the store failed: all about it to a caller in this process, if it is their own store."""
        is_explained = isinstance(error, FullError | UnusableError)
        is_here = request.scheme == EMBEDDED_SCHEME
        is_owner = is_here and FOR_OTHERS not in request.environ
        if not (is_owner and is_explained):
            _log.error("%s %s: %s", request.method, shown, error, exc_info=None if is_explained else error)
        # A client asks again after a 500, which here would be in vain.
        in_vain = 403 if isinstance(error, ClosedError) else 400
        status = in_vain if is_here and isinstance(error, UnusableError) else error.status
        response = error_response(status, str(error) if is_owner else error.public_words)
        if isinstance(error, LostFileError):
            # Before somebody has put the file back, no try will help.
            response.headers["Retry-After"] = str(_REPAIR_SECONDS)
        return response

    def _user(self, request: Request) -> User:
        """Return who is asking: by token, or named by the program that calls us in its own process.

        REMOTE_USER is not a header (those become HTTP_...): no one outside can set it.
        Raises InvalidRequestError for a token that nobody has.
        """
        header = request.environ.get("HTTP_AUTHORIZATION")
        if header is None:
            name = request.environ.get("REMOTE_USER")
            if not name:
                return ANONYMOUS
            if request.method in ("GET", "HEAD"):
                # Reading writes nothing, not even who reads: whom the store does not know has no right by name.
                return find_by_name(self.store.database, name) or User("", name)
            return find_or_create(self.store.database, name)
        # `OAuth TOKEN`; Shock installations differ in the word, so any will do.
        scheme, _, token = header.strip().partition(" ")
        user = find_by_token(self.store.database, token.strip()) if scheme and token else None
        if not user:
            raise InvalidRequestError("Invalid authorization header or content")
        return user

    def _describe(self, context: RequestContext) -> Response:
        """Return what Shock says of itself at `/`."""
        return json_response(
            {
                "anonymous_permissions": {right: right in self.anonymous for right in RIGHTS},
                "attribute_indexes": [],
                "auth": ["oauth"],
                "contact": "",
                "id": "Shock",
                "resources": ["node"],
                "server_time": timestamp(),
                "type": "Shock",
                "url": f"{context.url}/",
                "version": f"skyport-wf {__version__}",
            }
        )
