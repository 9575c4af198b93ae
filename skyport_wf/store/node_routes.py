"""The routes under /node that are about nodes and their files."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from werkzeug.http import parse_options_header
from werkzeug.wrappers import Request, Response
from werkzeug.wsgi import get_input_stream

from skyport_wf.store.access import require_anonymous
from skyport_wf.store.changes import Change, require_unlocked
from skyport_wf.store.documents import node_document
from skyport_wf.store.forms import read_file, read_form
from skyport_wf.store.query import parse_query
from skyport_wf.store.refusals import InvalidRequestError, NodeNotFoundError, UnsupportedError
from skyport_wf.store.responses import data_response, file_response
from skyport_wf.store.values import Node, User

if TYPE_CHECKING:
    from skyport_wf.store.app import ShockApp

_UNSUPPORTED = ("download_url", "download_post", "download_idx", "index", "filter", "restore")


def list_nodes(app: "ShockApp", request: Request, user: User) -> Response:
    """GET /node: a page of nodes."""
    require_anonymous(user, "read", app.anonymous)
    query = parse_query(list(request.args.items(multi=True)))
    page = app.store.find(query, user)
    documents = [node_document(node) for node in page.nodes]
    return data_response(documents, limit=query.limit, offset=query.offset, total_count=page.total)


def create_node(app: "ShockApp", request: Request, user: User) -> Response:
    """POST /node: a new node, from a form or with the body as its file."""
    require_anonymous(user, "write", app.anonymous)
    if not _has_body(request):
        return data_response(node_document(app.store.create(user, Change()), created=True))
    with _read_body(app, request) as change:
        node = app.store.create(user, change)
    return data_response(node_document(node, created=True))


def read_node(app: "ShockApp", request: Request, user: User, identity: str) -> Response:
    """GET /node/ID: the node's document, or with `?download` its file."""
    require_anonymous(user, "read", app.anonymous)
    node = app.store.read(identity, user)
    if node.lock and not node.lock.error:
        # Should whoever was joining the parts have died, someone who waits for the file starts it again.
        app.store.joiner.start(identity)
    for word in _UNSUPPORTED:
        if word in request.args:
            raise UnsupportedError(f"{word} is not supported by this server")
    if "download" in request.args or "download_raw" in request.args:
        return _download(app, request, node)
    return data_response(node_document(node))


def update_node(app: "ShockApp", request: Request, user: User, identity: str) -> Response:
    """PUT /node/ID: change a node."""
    require_anonymous(user, "write", app.anonymous)
    # Asked again when the change is made; asked now so that nobody sends gigabytes in vain.
    app.store.read(identity, user, right="write")
    with _read_multipart(app, request) as change:
        node = app.store.update(identity, user, change)
    if node.lock and not node.lock.error:
        app.store.joiner.start(identity)
    return data_response(node_document(node))


def delete_node(app: "ShockApp", request: Request, user: User, identity: str) -> Response:
    """DELETE /node/ID."""
    require_anonymous(user, "delete", app.anonymous)
    app.store.delete(identity, user)
    return data_response(None)


def _has_body(request: Request) -> bool:
    chunked = request.headers.get("Transfer-Encoding", "").strip().lower() == "chunked"
    return chunked or (request.content_length or 0) > 0


def _read_body(app: "ShockApp", request: Request) -> AbstractContextManager[Change]:
    # Shock stores the body of anything but a multipart form as a file, even the form that `curl -d` sends.
    if request.mimetype == "multipart/form-data":
        return _read_multipart(app, request)
    return read_file(get_input_stream(request.environ), app.store.files)


def _read_multipart(app: "ShockApp", request: Request) -> AbstractContextManager[Change]:
    return read_form(get_input_stream(request.environ), boundary_of(request), app.store.files)


def boundary_of(request: Request) -> str:
    """Return the boundary of a multipart form. Raises InvalidRequestError if the body is none."""
    kind, options = parse_options_header(request.headers.get("Content-Type"))
    if kind != "multipart/form-data" or not options.get("boundary"):
        raise InvalidRequestError("request Content-Type isn't multipart/form-data")
    return options["boundary"]


def _download(app: "ShockApp", request: Request, node: Node) -> Response:
    """Return the file, or the part of it that `seek` and `length` ask for; Shock ignores `Range`."""
    require_unlocked(node)
    if not node.content:
        raise InvalidRequestError("Node has no file")
    if "compression" in request.args:
        raise UnsupportedError("compression is not supported by this server")
    seek = _offset(request, "seek", 0)
    length = _offset(request, "length", node.content.size)
    try:
        file = app.store.files.open(node.content.id)
    except FileNotFoundError:
        # Deleted since we read the node.
        raise NodeNotFoundError from None
    name = request.args.get("file_name") or node.file_name or node.id
    length = max(0, min(length, node.content.size - seek))
    return file_response(file, seek, length, None if "download_raw" in request.args else name)


def _offset(request: Request, name: str, otherwise: int) -> int:
    text = request.args.get(name)
    if text is None:
        return otherwise
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InvalidRequestError(f"{name} must be an integer value")
    return int(text)
