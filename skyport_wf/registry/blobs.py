"""Blobs as answers: whole, or a range of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from werkzeug.http import parse_range_header
from werkzeug.wrappers import Response

from skyport_wf.registry.backend import FilePart
from skyport_wf.registry.refusals import RangeInvalidError
from skyport_wf.registry.stored_image import StoredBlob

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

    from skyport_wf.registry.backend import Backend
    from skyport_wf.registry.lookup import FoundBlob
    from skyport_wf.registry.view import View

_YEAR: Final = 365 * 86400


def answer_blob(request: Request, view: View, backend: Backend, digest: str, found: FoundBlob) -> Response:
    """GET or HEAD /v2/NAME/blobs/DIGEST."""
    blob = found.blob
    size = len(blob) if isinstance(blob, bytes) else blob.size
    if digest in request.if_none_match:
        answer = Response(status=304)
        set_identity(answer, digest, is_public=found.is_public)
        return answer
    start, stop = _wanted(request, digest, size)
    if request.method == "HEAD":
        answer = Response()
    elif isinstance(blob, StoredBlob):
        token = None if found.is_public else view.caller.token
        answer = backend.send(request, FilePart(blob.node, blob.offset + start, stop - start), token)
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
    return answer


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
    found = asked.range_for_length(size)
    if found is None:
        raise RangeInvalidError(size)
    return found
