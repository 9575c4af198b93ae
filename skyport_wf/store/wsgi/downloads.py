"""The file of a node, or a part of it, as an answer."""

import re
from collections.abc import Iterator
from typing import BinaryIO
from urllib.parse import quote

from werkzeug.datastructures import Headers
from werkzeug.http import dump_options_header
from werkzeug.wrappers import Response

from skyport_wf.store.node import StoredNode
from skyport_wf.store.refusals import InvalidRequestError, LockedError, NodeNotFoundError, UnsupportedError
from skyport_wf.store.wsgi.exchange import HEADERS, RequestContext

_PIECE = 256 * 1024
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def download(context: RequestContext, node: StoredNode) -> Response:
    """Return the file, or the part of it that `seek` and `length` ask for; Shock ignores `Range`."""
    arguments = context.request.args
    if node.lock:
        raise LockedError("Node file is locked")
    if not node.content:
        raise InvalidRequestError("Node has no file")
    if "compression" in arguments:
        raise UnsupportedError("compression is not supported by this server")
    seek = _offset(arguments.get("seek"), "seek", 0)
    length = _offset(arguments.get("length"), "length", node.content.size)
    try:
        file = context.store.files.open(node.content.id)
    except FileNotFoundError:
        # Deleted since we read the node.
        raise NodeNotFoundError from None
    file.seek(seek)
    length = max(0, min(length, node.content.size - seek))
    headers = Headers({**HEADERS, "Content-Length": str(length)})
    if "download_raw" not in arguments:
        headers["Content-Disposition"] = _attachment(arguments.get("file_name") or node.file_name or node.id)
    # A server may send a file in its own, faster way (PEP 3333), up to the length that the header says.
    wrapper = context.request.environ.get("wsgi.file_wrapper")
    body = wrapper(file, _PIECE) if wrapper else _FileRange(file, length)
    return Response(body, headers=headers, mimetype="application/octet-stream", direct_passthrough=True)


class _FileRange:
    """The next bytes of a file, as many as are wanted."""

    def __init__(self, file: BinaryIO, length: int) -> None:
        self._file = file
        self._left = length
        self.close = file.close

    def __iter__(self) -> Iterator[bytes]:
        while data := self._file.read(min(_PIECE, self._left)):
            self._left -= len(data)
            yield data


def _attachment(name: str) -> str:
    """Return the header for a download of that name.

    A plain name stands there unquoted, as in Shock; any other is quoted or encoded (RFC 6266), which Shock does
    not do: a quote in a name would let it add parameters.
    """
    name = _CONTROL.sub("_", name)
    if name.isascii():
        return dump_options_header("attachment", {"filename": name})
    return dump_options_header("attachment", {"filename*": f"UTF-8''{quote(name, safe='')}"})


def _offset(text: str | None, name: str, otherwise: int) -> int:
    if text is None:
        return otherwise
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InvalidRequestError(f"{name} must be an integer value")
    return int(text)
