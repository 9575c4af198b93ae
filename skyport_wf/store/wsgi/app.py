"""Shock's HTTP interface as a WSGI application: who is asking, what for, and errors as Shock puts them."""

import errno
import logging
import sqlite3
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, RequestRedirect, Rule
from werkzeug.wrappers import Request, Response

from skyport_wf import __version__
from skyport_wf.errors import SkyportError
from skyport_wf.store.opening import Store
from skyport_wf.store.refusals import InvalidRequestError, RefusedError
from skyport_wf.store.users import find_by_token, find_or_create
from skyport_wf.store.values import ANONYMOUS, User, timestamp
from skyport_wf.store.wsgi import acl_routes, node_routes
from skyport_wf.store.wsgi.calls import Call
from skyport_wf.store.wsgi.responses import data_response, error_response, json_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Route = Callable[..., Response]

_ROUTES: dict[str, Route] = {
    "list": node_routes.list_nodes,
    "create": node_routes.create_node,
    "read": node_routes.read_node,
    "update": node_routes.update_node,
    "delete": node_routes.delete_node,
    "read_acl": acl_routes.read_acl,
    "read_typed_acl": acl_routes.read_typed_acl,
    "change_acl": acl_routes.change_acl,
}

_MAP = Map(
    [
        Rule("/", endpoint="describe", methods=["GET"]),
        Rule("/node", endpoint="list", methods=["GET"]),
        Rule("/node", endpoint="create", methods=["POST"]),
        Rule("/node/<identity>", endpoint="read", methods=["GET"]),
        Rule("/node/<identity>", endpoint="update", methods=["PUT"]),
        Rule("/node/<identity>", endpoint="delete", methods=["DELETE"]),
        Rule("/node/<identity>/acl", endpoint="read_acl", methods=["GET"]),
        Rule("/node/<identity>/acl/<kind>", endpoint="read_typed_acl", methods=["GET"]),
        Rule("/node/<identity>/acl/<kind>", endpoint="change_acl", methods=["PUT", "POST", "DELETE"]),
    ],
    strict_slashes=False,
    merge_slashes=False,
)

_log = logging.getLogger("skyport_wf.store")


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
        """Answer a request (PEP 3333)."""
        request = Request(environ, populate_request=False)
        response = self._answer(request)
        try:
            return response(environ, start_response)
        finally:
            if request.method == "HEAD":
                # Nobody reads the file that a GET would send.
                response.close()

    def _answer(self, request: Request) -> Response:
        """Return the answer, whatever happens."""
        try:
            return self._route(request)
        except RefusedError as error:
            return error_response(error.status, str(error))
        except SkyportError as error:
            return error_response(400, str(error))
        except HTTPException as error:
            return error_response(error.code or 400, error.description or "bad request")
        except OSError as error:
            return _answer_os_error(error)
        except sqlite3.Error as error:
            _log.error("%s %s: the database failed: %s", request.method, request.path, error, exc_info=True)
            return error_response(500, "the database failed; the server's log says more")
        except Exception:
            _log.exception("%s %s: a bug", request.method, request.path)
            return error_response(500, "internal error; the server's log says more")

    def _route(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return data_response(None)
        try:
            endpoint, values = _MAP.bind("").match(request.path, request.method)
        except (HTTPException, RequestRedirect):
            raise InvalidRequestError("Parameters do not match a valid Shock request type.") from None
        if endpoint == "describe":
            return self._describe(request)
        return _ROUTES[endpoint](Call(self.store, request, self._user(request), self.anonymous), **values)

    def _user(self, request: Request) -> User:
        """Return who is asking: by token, or named by the program that calls us in its own process.

        REMOTE_USER is not a header (those become HTTP_...): no one outside can set it.
        Raises InvalidRequestError for a token that nobody has.
        """
        header = request.environ.get("HTTP_AUTHORIZATION")
        if header is None:
            name = request.environ.get("REMOTE_USER")
            return find_or_create(self.store.database, name) if name else ANONYMOUS
        # `OAuth TOKEN`; Shock installations differ in the word, so any will do.
        scheme, _, token = header.strip().partition(" ")
        user = find_by_token(self.store.database, token.strip()) if scheme and token else None
        if not user:
            raise InvalidRequestError("Invalid authorization header or content")
        return user

    def _describe(self, request: Request) -> Response:
        """Return what Shock says of itself at `/`."""
        url = self.public_url or request.host_url
        description: dict[str, Any] = {
            "anonymous_permissions": {right: right in self.anonymous for right in ("read", "write", "delete")},
            "attribute_indexes": [],
            "auth": ["oauth"],
            "contact": "",
            "id": "Shock",
            "resources": ["node"],
            "server_time": timestamp(),
            "type": "Shock",
            "url": url.rstrip("/") + "/",
            "version": f"skyport-wf {__version__}",
        }
        return json_response(description)


def _answer_os_error(error: OSError) -> Response:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        _log.error("no room: %s", error)
        return error_response(507, "the server has no room left for this file")
    _log.error("the store's folder failed: %s", error, exc_info=True)
    return error_response(500, "the store's folder failed; the server's log says more")
