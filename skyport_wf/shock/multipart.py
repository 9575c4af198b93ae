"""A multipart form as a stream: `requests` by itself would hold a whole file in memory.

Source: RFC 7578. The headers of each part come from urllib3.
"""

from collections.abc import Iterable, Iterator, Mapping

from urllib3.fields import RequestField
from urllib3.filepost import choose_boundary

_LINE = b"\r\n"


class StreamingForm:
    """The body of one request; iterating it a second time needs a second set of file pieces."""

    def __init__(
        self,
        fields: Mapping[str, str],
        files: Mapping[str, tuple[str, Iterable[bytes]]],
        *,
        file_sizes: Mapping[str, int] | None = None,
    ) -> None:
        """Make a form.

        fields: text by field name.
        files: file name and content in pieces, by field name.
        file_sizes: bytes of each file, if known; then the form has a length, and is not sent chunked.
        """
        self._boundary = choose_boundary()
        self._fields = fields
        self._files = files
        self._sizes = file_sizes

    @property
    def content_type(self) -> str:
        """The request's Content-Type."""
        return f"multipart/form-data; boundary={self._boundary}"

    @property
    def len(self) -> int:
        """Bytes of the whole body, 0 if a file's size is not known; requests looks here for a Content-Length."""
        if self._sizes is None:
            return 0
        frame = sum(map(len, self._pieces(with_content=False)))
        return frame + sum(self._sizes[name] for name in self._files)

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces(with_content=True)

    def _pieces(self, *, with_content: bool) -> Iterator[bytes]:
        # Fields first: Shock reads a form in order, and has to know of an expiration before a long file.
        for name, text in self._fields.items():
            yield self._head(name, None)
            yield text.encode() + _LINE
        for name, (file_name, content) in self._files.items():
            yield self._head(name, file_name)
            if with_content:
                yield from content
            yield _LINE
        yield f"--{self._boundary}--\r\n".encode()

    def _head(self, name: str, file_name: str | None) -> bytes:
        field = RequestField(name, b"", filename=file_name)
        field.make_multipart(content_type="application/octet-stream" if file_name else None)
        return f"--{self._boundary}\r\n{field.render_headers()}".encode()
