"""The files of nodes as answers: one, or a part of it, packed or as it is, or several as an archive."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from datetime import datetime
from typing import BinaryIO
from urllib.parse import quote

from werkzeug.datastructures import Headers
from werkzeug.http import dump_options_header
from werkzeug.wrappers import Response

from skyport_wf.store.access import OURSELVES
from skyport_wf.store.node import StoredNode
from skyport_wf.store.refusals import (
    InvalidRequestError,
    LockedError,
    LostFileError,
    NodeNotFoundError,
    StoreError,
    UnsupportedError,
)
from skyport_wf.store.wsgi.archives import ArchivedFile, gzip_pieces, tar_pieces, zip_pieces
from skyport_wf.store.wsgi.exchange import HEADERS, RequestContext

_PIECE = 256 * 1024
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_COMPRESSIONS = ("", "gzip", "zip")


def download(context: RequestContext, node: StoredNode) -> Response:
    """Return the file, or the part of it that `seek` and `length` ask for; Shock ignores `Range`."""
    arguments = context.request.args
    size = require_file(node)
    seek = _offset(arguments.get("seek"), "seek", 0)
    length = max(0, min(_offset(arguments.get("length"), "length", size), size - seek))
    name, compression = read_options(node, arguments)
    return send_file(context, node, "" if "download_raw" in arguments else name, compression, part=(seek, length))


def require_file(node: StoredNode) -> int:
    """Return the size of a node's file. Raises LockedError, InvalidRequestError if it has none yet."""
    if node.lock:
        raise LockedError("Node file is locked")
    if not node.content:
        raise InvalidRequestError("Node has no file")
    return node.content.size


def read_options(node: StoredNode, arguments: Mapping[str, str]) -> tuple[str, str]:
    """Return the name that a download gets, and its compression, which may be empty."""
    name = arguments.get("file_name") or node.file_name or node.id
    return name, choose(arguments.get("compression", ""), _COMPRESSIONS, "compression")


def choose(text: str, known: Iterable[str], what: str) -> str:
    """Return the text if it is one of those known. Raises UnsupportedError.

    Shock ignores a value that it does not know, and sends something else than was asked for.
    """
    if text not in known:
        raise UnsupportedError(f"{what} {text!r} is not supported by this server")
    return text


def send_file(
    context: RequestContext, node: StoredNode, name: str, compression: str, *, part: tuple[int, int] | None = None
) -> Response:
    """Return a node's file.

    name: of the download; empty to say none. part: where to begin and how many bytes to send, if not all.
    """
    seek, length = part or (0, require_file(node))
    file = _open(context, node)
    file.seek(seek)
    if compression:
        content = _Range(file, length)
        packed = ArchivedFile(_entry_name(node), length, datetime.fromisoformat(node.content_since), content)
        pieces = gzip_pieces(content) if compression == "gzip" else zip_pieces([packed], packed=True)
        response = _answer(pieces, name and f"{name}.{compression}")
        # A generator that was never begun would not close it.
        response.call_on_close(file.close)
        return response
    # A server may send a file in its own, faster way (PEP 3333), up to the length that the header says.
    wrapper = context.request.environ.get("wsgi.file_wrapper")
    response = _answer(wrapper(file, _PIECE) if wrapper else _Range(file, length), name)
    response.headers["Content-Length"] = str(length)
    response.direct_passthrough = True
    return response


def send_archive(context: RequestContext, nodes: Iterable[StoredNode], archive: str, name: str) -> Response:
    """Return the files of nodes that have one. archive: `zip` or `tar`. name: of the download."""
    files = _archived(context, nodes)
    # Shock compresses one file, but not several.
    return _answer(tar_pieces(files) if archive == "tar" else zip_pieces(files, packed=False), name)


def _answer(body: Iterable[bytes], name: str) -> Response:
    headers = Headers(HEADERS)
    if name:
        headers["Content-Disposition"] = _attachment(name)
    return Response(body, headers=headers, mimetype="application/octet-stream")


class _Range:
    """The next bytes of a file, exactly as many as are wanted."""

    def __init__(self, file: BinaryIO, length: int) -> None:
        self._file = file
        self._left = length
        self.close = file.close

    def __iter__(self) -> Iterator[bytes]:
        while self._left:
            data = self._file.read(min(_PIECE, self._left))
            if not data:
                # Packed, a part of it would look like a whole.
                raise StoreError(f"{self._file.name} is damaged: it lacks its last {self._left} bytes")
            self._left -= len(data)
            yield data


def _archived(context: RequestContext, nodes: Iterable[StoredNode]) -> Iterator[ArchivedFile]:
    """Yield the files of nodes, each opened when it is its turn, and its MD5 in a file beside it, as Shock does."""
    taken: dict[str, int] = {}
    for node in nodes:
        # Links lead to nodes with files, and those keep them as long as they are there.
        assert node.content  # noqa: S101
        name = _unused_name(_entry_name(node), taken)
        modified = datetime.fromisoformat(node.content_since)
        with suppress(NodeNotFoundError), closing(_open(context, node)) as file:
            yield ArchivedFile(name, node.content.size, modified, _Range(file, node.content.size))
            yield ArchivedFile(f"{name}.md5", len(node.content.md5), modified, [node.content.md5.encode()])


def _open(context: RequestContext, node: StoredNode) -> BinaryIO:
    assert node.content  # noqa: S101  (see require_file and _archived)
    files = context.store.files
    try:
        file = files.open(node.content.id)
    except (FileNotFoundError, ValueError):
        # Deleted since we read the node, which is an error of its own then; or the store is damaged.
        context.store.read(node.id, OURSELVES)
    else:
        if _has_size(file, node.content.size):
            return file
        # Else clients would hear of it by an answer that breaks off, and try again.
        file.close()
    raise LostFileError(node.id, files.find_damage(node.content), files.damaged_path(node.content.id))


def _has_size(file: BinaryIO, size: int) -> bool:
    return os.fstat(file.fileno()).st_size == size


def _entry_name(node: StoredNode) -> str:
    """Return the name of a node's file in an archive: whoever unpacks it must get no path of others' making."""
    name = re.split(r"[/\\]", _CONTROL.sub("_", node.file_name))[-1]
    return name if name.strip(".") else node.id


def _unused_name(name: str, taken: dict[str, int]) -> str:
    """Return the name, with a number after it if another file has it.

    taken: the names that files have, and how often each was asked for.
    """
    unused = name
    while unused in taken or f"{unused}.md5" in taken:
        taken[name] = taken.get(name, 1) + 1
        unused = f"{name}.{taken[name]}"
    for noted in (unused, f"{unused}.md5"):
        taken.setdefault(noted, 1)
    return unused


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
