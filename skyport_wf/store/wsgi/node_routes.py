"""The routes under /node that are about nodes and their files."""

from contextlib import AbstractContextManager

from werkzeug.wrappers import Request, Response

from skyport_wf.store.access import require_anonymous
from skyport_wf.store.changes import Change, require_unlocked
from skyport_wf.store.query import parse_query
from skyport_wf.store.refusals import InvalidRequestError, NodeNotFoundError, UnsupportedError
from skyport_wf.store.values import Node
from skyport_wf.store.wsgi.calls import Call
from skyport_wf.store.wsgi.documents import node_document
from skyport_wf.store.wsgi.forms import read_file, read_form
from skyport_wf.store.wsgi.responses import data_response, file_response

_UNSUPPORTED = ("download_url", "download_post", "download_idx", "index", "filter", "restore")


def list_nodes(call: Call) -> Response:
    """GET /node: a page of nodes."""
    require_anonymous(call.user, "read", call.anonymous)
    query = parse_query(list(call.request.args.items(multi=True)))
    page = call.store.find(query, call.user)
    documents = [node_document(node) for node in page.nodes]
    return data_response(documents, limit=query.limit, offset=query.offset, total_count=page.total)


def create_node(call: Call) -> Response:
    """POST /node: a new node, from a form or with the body as its file."""
    require_anonymous(call.user, "write", call.anonymous)
    if not _has_body(call.request):
        return data_response(node_document(call.store.create(call.user, Change()), created=True))
    with _read_body(call) as change:
        node = call.store.create(call.user, change)
    return data_response(node_document(node, created=True))


def read_node(call: Call, identity: str) -> Response:
    """GET /node/ID: the node's document, or with `?download` its file."""
    require_anonymous(call.user, "read", call.anonymous)
    node = call.store.read(identity, call.user)
    if node.lock and not node.lock.error:
        # Should whoever was joining the parts have died, someone who waits for the file starts it again.
        call.store.joiner.start(identity)
    for word in _UNSUPPORTED:
        if word in call.request.args:
            raise UnsupportedError(f"{word} is not supported by this server")
    if "download" in call.request.args or "download_raw" in call.request.args:
        return _download(call, node)
    return data_response(node_document(node))


def update_node(call: Call, identity: str) -> Response:
    """PUT /node/ID: change a node."""
    require_anonymous(call.user, "write", call.anonymous)
    # Asked again when the change is made; asked now so that nobody sends gigabytes in vain.
    call.store.read(identity, call.user, right="write")
    with read_form(call.request, call.store.files) as change:
        node = call.store.update(identity, call.user, change)
    if node.lock and not node.lock.error:
        call.store.joiner.start(identity)
    return data_response(node_document(node))


def delete_node(call: Call, identity: str) -> Response:
    """DELETE /node/ID."""
    require_anonymous(call.user, "delete", call.anonymous)
    call.store.delete(identity, call.user)
    return data_response(None)


def _has_body(request: Request) -> bool:
    chunked = request.headers.get("Transfer-Encoding", "").strip().lower() == "chunked"
    return chunked or (request.content_length or 0) > 0


def _read_body(call: Call) -> AbstractContextManager[Change]:
    # Shock stores the body of anything but a multipart form as a file, even the form that `curl -d` sends.
    if call.request.mimetype == "multipart/form-data":
        return read_form(call.request, call.store.files)
    return read_file(call.request, call.store.files)


def _download(call: Call, node: Node) -> Response:
    """Return the file, or the part of it that `seek` and `length` ask for; Shock ignores `Range`."""
    require_unlocked(node)
    if not node.content:
        raise InvalidRequestError("Node has no file")
    if "compression" in call.request.args:
        raise UnsupportedError("compression is not supported by this server")
    seek = _offset(call.request, "seek", 0)
    length = _offset(call.request, "length", node.content.size)
    try:
        file = call.store.files.open(node.content.id)
    except FileNotFoundError:
        # Deleted since we read the node.
        raise NodeNotFoundError from None
    name = call.request.args.get("file_name") or node.file_name or node.id
    length = max(0, min(length, node.content.size - seek))
    return file_response(file, seek, length, None if "download_raw" in call.request.args else name)


def _offset(request: Request, name: str, otherwise: int) -> int:
    text = request.args.get(name)
    if text is None:
        return otherwise
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InvalidRequestError(f"{name} must be an integer value")
    return int(text)
