"""The routes of one-time links: to the file of a node, or to the files of several as an archive."""

import time
from collections.abc import Iterable
from contextlib import suppress

from werkzeug.wrappers import Response

from skyport_wf.store.access import OURSELVES
from skyport_wf.store.links import Link, find_link, make_link, take_link
from skyport_wf.store.node import StoredNode
from skyport_wf.store.query import LARGEST_LIMIT, parse_query
from skyport_wf.store.refusals import FaultError, InvalidRequestError, NodeNotFoundError, UnsupportedError
from skyport_wf.store.wsgi.downloads import choose, read_options, require_file, send_archive, send_file
from skyport_wf.store.wsgi.exchange import RequestContext, data_response
from skyport_wf.store.wsgi.forms import Form

_ARCHIVES = ("zip", "tar")
_ARGUMENTS = ("archive", "download_url", "file_name", "limit", "offset")
_FIELDS = frozenset(("archive_format", "download_url", "file_name", "ids"))


def link_node(context: RequestContext, node: StoredNode) -> Response:
    """GET /node/ID?download_url: make a link to the file of a node."""
    size = require_file(node)
    name, compression = read_options(node, context.request.args)
    return _make(context, Link((node.id,), name, compression=compression), size)


def link_found_nodes(context: RequestContext) -> Response:
    """GET /node?query&download_url: make a link to the files of all nodes that a query finds, on all its pages."""
    arguments = context.request.args
    if "query" not in arguments and "querynode" not in arguments:
        raise UnsupportedError("download_url without query or querynode is not supported by this server")
    asked = [(key, value) for key, value in arguments.items(multi=True) if key not in _ARGUMENTS]
    page = context.store.find(parse_query([*asked, ("limit", str(LARGEST_LIMIT))]), context.user)
    if page.total > LARGEST_LIMIT:
        raise InvalidRequestError(f"an archive cannot have more than {LARGEST_LIMIT} files")
    return _link_archive(context, page.nodes, arguments.get("archive", ""), arguments.get("file_name", ""))


def link_named_nodes(context: RequestContext, form: Form) -> Response:
    """POST /node with download_url and ids: make a link to the files of the nodes that the form names."""
    context.require("read")
    if not form.fields.keys() <= _FIELDS or form.attributes is not None or form.upload or form.pieces:
        raise InvalidRequestError("download_url makes a link, and no node that could have a file or attributes")
    identities = dict.fromkeys(form.fields["ids"].split(","))
    nodes = [context.store.read(identity, context.user) for identity in identities]
    archive, name = form.fields.get("archive_format", ""), form.fields.get("file_name", "")
    return _link_archive(context, nodes, archive, name)


def use_link(context: RequestContext, name: str) -> Response:
    """GET /preauth/NAME: what the link leads to, once, for whoever has it.

    It leads to files that its maker might read when it was made, as with Shock.
    """
    take = find_link if context.request.method == "HEAD" else take_link
    link = take(context.store.database, name)
    if not link:
        raise FaultError("err:@preAuth load: not found")
    nodes = []
    for identity in link.nodes:
        # Shock, too, leaves out what was deleted meanwhile.
        with suppress(NodeNotFoundError):
            nodes.append(context.store.read(identity, OURSELVES))
    if not nodes:
        raise InvalidRequestError("err:@preAuth: no files available to download for given combination of options")
    if link.archive:
        return send_archive(context, nodes, link.archive, link.file_name)
    return send_file(context, nodes[0], link.file_name, link.compression)


def _link_archive(context: RequestContext, nodes: Iterable[StoredNode], archive: str, name: str) -> Response:
    """Make a link to the files of those of the nodes that have one.

    archive: `zip` or `tar`; zip if empty. name: of the archive; made up if empty.
    """
    archive = choose(archive or "zip", _ARCHIVES, "archive format")
    sizes = {node.id: node.content.size for node in nodes if node.content and not node.lock}
    if not sizes:
        raise InvalidRequestError("(download_url) no available files found")
    name = name or "files"
    if not name.endswith(archive):
        name = f"{name}.{archive}"
    return _make(context, Link(tuple(sizes), name, archive=archive), sum(sizes.values()))


def _make(context: RequestContext, link: Link, size: int) -> Response:
    name, end = make_link(context.store.database, context.user, link)
    return data_response(
        {
            "url": f"{context.url}/preauth/{name}",
            "validtill": time.asctime(end.timetuple()),
            "format": link.compression or link.archive,
            "filename": f"{link.file_name}.{link.compression}" if link.compression else link.file_name,
            "files": len(link.nodes),
            "size": size,
        }
    )
