"""Types and locations: an admin of a Shock can set up kinds of nodes, and places that keep copies of files.

Here there are none. So the routes answer as those of a Shock without any.
"""

from typing import NoReturn

from werkzeug.wrappers import Response

from skyport_wf.store.access import ANONYMOUS
from skyport_wf.store.refusals import FaultError, UnauthorizedError, UnsupportedError
from skyport_wf.store.wsgi.exchange import RequestContext, data_response


def read_type(context: RequestContext, kind: str, function: str) -> NoReturn:
    """/types/TYPE/FUNCTION: what is known of a type of nodes."""
    del function
    _refuse(context, "TypeRequest", f"(TypeRequest) type {kind} not found (found: )")


def read_location(context: RequestContext, location: str, function: str) -> NoReturn:
    """/location/LOCATION/FUNCTION: the nodes in a location, or what is known of it."""
    del function
    _refuse(context, "LocRequest", f"(Location->Load) Location {location} not found")


def list_node_locations(context: RequestContext, identity: str) -> Response:
    """GET /node/ID/locations: where copies of a node's file are."""
    context.read_as_named(identity)
    return data_response([])


def read_node_location(context: RequestContext, identity: str, location: str) -> NoReturn:
    """GET /node/ID/locations/LOCATION: what is known of a copy of a node's file."""
    context.read_as_named(identity)
    raise FaultError(f"location {location} not found")


def change_node_locations(context: RequestContext, identity: str, location: str = "") -> NoReturn:
    """Any other request about a node's locations: there is none to copy a file to, or to take it from."""
    del location
    context.require("write")
    context.store.read(identity, context.user, right="write")
    raise UnsupportedError("locations are not supported by this server")


def _refuse(context: RequestContext, request: str, missing: str) -> NoReturn:
    """Say what is missing, to an admin who asks for it. request: the word of Shock's for the request."""
    if context.user == ANONYMOUS:
        raise UnauthorizedError("admin required")
    if not context.user.admin:
        raise FaultError("User Unauthorized")
    if context.request.method not in ("GET", "HEAD"):
        raise FaultError(f"({request}) {context.request.method} not supported")
    raise FaultError(missing)
