"""Blobs as answers: whole, or a range of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO, Final

from werkzeug.http import parse_range_header
from werkzeug.wrappers import Response
from werkzeug.wsgi import ClosingIterator

from skyport_wf.byte_streams import PIECE
from skyport_wf.registry.backend import FilePart
from skyport_wf.registry.refusals import PreconditionError, RangeInvalidError
from skyport_wf.registry.stored_image import StoredBlob

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

    from skyport_wf.registry.lookup import FoundBlob

_YEAR: Final = 365 * 86400


def send_blob(request: Request, digest: str, found: FoundBlob, send: Callable[[FilePart, bool], Response]) -> Response:
    """Return a blob, or the range of it that the request asks for.

    send: returns an answer with a part of the file in which the blob is stored, or with status 307 for elsewhere; takes
        the part, and whether it is the whole blob.
    """
    blob = found.blob
    size = len(blob) if isinstance(blob, bytes) else blob.size
    if is_held(request, digest):
        answer = Response(status=304)
        set_identity(answer, digest, is_public=found.is_public)
        return answer
    # A range is asked for by GET only (RFC 9110, section 14.2).
    start, stop = (0, size) if request.method == "HEAD" else _wanted(request, digest, size)
    if request.method == "HEAD":
        answer = Response()
    elif isinstance(blob, StoredBlob):
        answer = send(FilePart(blob.node, blob.offset + start, stop - start), (start, stop) == (0, size))
    else:
        answer = Response(blob[start:stop])
    set_identity(answer, digest, is_public=found.is_public)
    if answer.status_code == 200:
        answer.headers["Content-Length"] = str(stop - start)
        answer.headers["Content-Type"] = "application/octet-stream"
        answer.headers["Accept-Ranges"] = "bytes"
        if (start, stop) != (0, size):
            answer.status_code = 206
            answer.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    else:
        # The node may be closed to others, or deleted, and its bytes be those of another node then.
        answer.headers["Cache-Control"] = "no-cache"
    return answer


def is_held(request: Request, digest: str) -> bool:
    """Return whether the caller says that they have what has this digest.

    Raises PreconditionError if they want something else only.
    """
    wanted = request.if_match
    if wanted and not (wanted.star_tag or wanted.is_strong(digest)):
        raise PreconditionError(f"it has the digest {digest}, which the header If-Match does not name")
    return request.if_none_match.contains_weak(digest)


def send_file(request: Request, file: BinaryIO, part: FilePart) -> Response:
    """Return an answer whose body is a part of an open file of the registry's own."""
    file.seek(part.offset)
    # A server may send a file in its own, faster way (PEP 3333), up to the length that the header says.
    wrapper = request.environ.get("wsgi.file_wrapper")
    body = wrapper(file, PIECE) if wrapper else ClosingIterator(_pieces(file, part.size), file.close)
    return Response(body, direct_passthrough=True)


def _pieces(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size and (piece := file.read(min(PIECE, size))):
        size -= len(piece)
        yield piece


def set_identity(answer: Response, digest: str, *, is_public: bool) -> None:
    """Set the headers that say what the answer is, for ever, and who may keep it."""
    answer.headers["Docker-Content-Digest"] = digest
    answer.set_etag(digest)
    answer.headers["Cache-Control"] = f"{'public' if is_public else 'private'}, max-age={_YEAR}, immutable"


def _wanted(request: Request, digest: str, size: int) -> tuple[int, int]:
    """Return where the part that is asked for begins and ends; all of the blob if several parts are.

    Raises RangeInvalidError if the blob has no such part.
    """
    asked = parse_range_header(request.headers.get("Range"))
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return 0, size
    condition = request.if_range
    if condition.date or (condition.etag is not None and condition.etag != digest):
        return 0, size
    ((first, _),) = asked.ranges
    # The last bytes, however many there are (RFC 9110, section 14.1.2).
    found = (0, size) if size and first < -size else asked.range_for_length(size)
    if found is None:
        raise RangeInvalidError(size)
    return found
