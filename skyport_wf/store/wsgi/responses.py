"""What the store answers: JSON in Shock's envelope, or the bytes of a file."""

import re
from collections.abc import Iterator
from typing import Any, BinaryIO
from urllib.parse import quote

import msgspec
from werkzeug.datastructures import Headers
from werkzeug.http import dump_options_header
from werkzeug.wrappers import Response

from skyport_wf.byte_streams import PIECE

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

CORS = {
    "Access-Control-Allow-Methods": "POST, GET, OPTIONS, PUT, DELETE",
    "Access-Control-Allow-Headers": "Authorization",
    "Access-Control-Allow-Origin": "*",
}
"""As Shock answers: web pages may use it, with a token that they know, never with the browser's own."""


def data_response(data: Any, **page: int) -> Response:
    """Return an answer that went well. page: limit, offset and total_count of a list."""
    return _json({"status": 200, "data": data, "error": None, **page}, 200)


def error_response(status: int, message: str) -> Response:
    """Return an answer that says what went wrong; `error` is a list, as in Shock."""
    return _json({"status": status, "data": None, "error": [message]}, status)


def json_response(document: Any) -> Response:
    """Return a document without an envelope."""
    return _json(document, 200)


def file_response(file: BinaryIO, start: int, length: int, name: str | None) -> Response:
    """Return some of a file's bytes. name: what a browser is to call it; None: no word of that."""
    headers = Headers(CORS)
    headers["Content-Length"] = str(length)
    if name is not None:
        headers["Content-Disposition"] = _attachment(_CONTROL.sub("_", name))
    body = FileRange(file, start, length)
    return Response(body, headers=headers, mimetype="application/octet-stream", direct_passthrough=True)


class FileRange:
    """Some of a file's bytes: read piece by piece here, or by a server that sends files in its own way."""

    def __init__(self, file: BinaryIO, start: int, length: int) -> None:
        self.file = file
        self.start = start
        self.length = length
        self._left = length
        file.seek(start)

    def read(self, size: int = PIECE) -> bytes:
        """Return the next bytes, at most `size`; none at the end."""
        data = self.file.read(min(size, self._left) if size >= 0 else self._left)
        self._left -= len(data)
        return data

    def __iter__(self) -> Iterator[bytes]:
        while data := self.read():
            yield data

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def _attachment(name: str) -> str:
    """Return the header for a download of that name.

    A plain name stands there unquoted, as in Shock; any other is quoted or encoded (RFC 6266), which Shock does
    not do: a quote in a name would let it add parameters.
    """
    if name.isascii():
        return dump_options_header("attachment", {"filename": name})
    return dump_options_header("attachment", {"filename*": f"UTF-8''{quote(name, safe='')}"})


def _json(document: Any, status: int) -> Response:
    return Response(msgspec.json.encode(document), status, CORS, "application/json")
