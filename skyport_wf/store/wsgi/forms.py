"""The body of a request, read as it arrives: files go straight to the disk, everything else has a limit."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser
from werkzeug.http import parse_options_header
from werkzeug.wrappers import Request
from werkzeug.wsgi import get_input_stream

from skyport_wf.store.changes import NodeChange, Upload
from skyport_wf.store.files import FileStore, Staging
from skyport_wf.store.refusals import InvalidRequestError, TooLargeError, UnsupportedError
from skyport_wf.store.unpacking import COMPRESSIONS, Unpacker

LARGEST_DOCUMENT = 16 * 1024 * 1024
"""Attributes, or all text fields of a form together: MongoDB's limit for a document, under Shock."""
_LARGEST_FIELD = 64 * 1024
"""Any text field but the attributes."""
_MOST_FIELDS = 200
"""Fields and files of one form."""
_LARGEST_HEADER = 64 * 1024
_MOST_HEADERS = 16
_MOST_BETWEEN = 512 * 1024
"""Bytes of a form that belong to no field: before the first, between them, after the last."""
_PIECE = 256 * 1024

_KNOWN = frozenset(
    (
        *("archive_format", "attributes_str", "copy_attributes", "copy_data", "copy_indexes", "compression"),
        *("download_url", "expiration", "file_name", "format", "ids", "parts", "priority", "remove_expiration"),
        *("tags", "users"),
    )
)
_UNSUPPORTED = frozenset(
    (
        *("action", "all", "checksum-md5", "clear_revisions", "delete", "file_lock", "file_unlock", "index_name"),
        *("linkage", "operation", "owner", "parent_index", "parent_node", "path", "preserve_acls", "read", "source"),
        *("type", "unpack_node", "upload_url", "write"),
    )
)
"""Fields that Shock knows and this store has no use for: refused, as ignoring them would be a lie."""

_PART_NUMBER = re.compile(r"0*[1-9][0-9]{0,5}")


@contextmanager
def read_file(request: Request, files: FileStore) -> Iterator[NodeChange]:
    """Read a body that is a file and nothing else; it is removed afterwards if nobody committed it."""
    body = get_input_stream(request.environ)
    with files.stage() as staging:
        while data := body.read(_PIECE):
            staging.write(data)
        # The name that Shock gives to a file without one.
        yield NodeChange(upload=Upload("filename", staging))


@contextmanager
def read_form(request: Request, files: FileStore) -> Iterator["Form"]:
    """Read a form to its end and give it; files that nobody committed are removed afterwards.

    Raises InvalidRequestError for a form that is broken, cut off, or has fields that Shock does not know;
    TooLargeError beyond the limits.
    """
    kind, options = parse_options_header(request.headers.get("Content-Type"))
    if kind != "multipart/form-data" or not options.get("boundary"):
        raise InvalidRequestError("request Content-Type isn't multipart/form-data")
    body = get_input_stream(request.environ)
    with ExitStack() as opened:
        form = Form(files, opened)
        try:
            # Not strict: strictly, a line break after the end is an error, if it arrives by itself.
            parser = PushMultipartParser(
                options["boundary"],
                max_header_size=_LARGEST_HEADER,
                max_header_count=_MOST_HEADERS,
                max_segment_count=_MOST_FIELDS,
            )
            between = 0
            while data := body.read(_PIECE):
                between += len(data)
                for event in parser.parse(data):
                    between = 0
                    form.take(event)
                if between > _MOST_BETWEEN:
                    raise TooLargeError("the form has too much beside its fields")
            parser.close()
        except ParserLimitReached as error:
            raise TooLargeError(f"the form has too many or too large parts: {error}") from error
        except (MultipartError, UnicodeError) as error:
            raise InvalidRequestError(f"unable to parse form: {error}") from error
        yield form


class Form:
    """A form, as far as it has been read."""

    def __init__(self, files: FileStore, opened: ExitStack) -> None:
        self._files = files
        self._opened = opened
        self._room = LARGEST_DOCUMENT
        self.fields: dict[str, str] = {}
        self.attributes: bytes | None = None
        self.upload: Upload | None = None
        self.pieces: dict[int, Upload] = {}
        # The field, or file, that is being read.
        self._name = ""
        self._text: bytearray | None = None
        self._staging: Staging | None = None
        self._unpacker: Unpacker | None = None

    @property
    def change(self) -> NodeChange:
        """The changes that the form asks for. Raises InvalidRequestError for values that mean nothing."""
        return NodeChange.of_form(self.fields, self.attributes, self.upload, self.pieces)

    def take(self, event: MultipartSegment | bytes | None) -> None:
        """Take what comes next: the start of a field or file, some of its bytes, or its end (None).

        Raises InvalidRequestError for what Shock does not know, TooLargeError beyond the limits.
        """
        if isinstance(event, MultipartSegment):
            self._begin(event)
        elif event is None:
            self._end()
        elif self._text is not None:
            self._room -= len(event)
            if self._room < 0:
                raise TooLargeError(f"attributes and form fields must not exceed {LARGEST_DOCUMENT} bytes")
            self._text += event
            if len(self._text) > _LARGEST_FIELD and self._name not in ("attributes", "attributes_str"):
                raise TooLargeError(f"a form field must not exceed {_LARGEST_FIELD} bytes")
        elif self._staging:
            for piece in self._unpacker.feed(event) if self._unpacker else (event,):
                self._staging.write(piece)

    def _begin(self, segment: MultipartSegment) -> None:
        # werkzeug's reading of the header: it knows `filename*=UTF-8''...` too, which older clients send.
        _, options = parse_options_header(segment["Content-Disposition"])
        self._name = name = options.get("name", "")
        self._text = self._staging = self._unpacker = None
        if not name:
            raise InvalidRequestError("unable to parse form: a part has no name")
        # Browsers send an empty file name for a file that was not chosen; Shock takes that for a text field.
        file_name = options.get("filename")
        if file_name and name != "attributes":
            # Some clients send a whole path; a name must be text that can be stored.
            self._begin_file(name, re.split(r"[/\\]", file_name)[-1].encode(errors="replace").decode())
            return
        if not file_name and name in _UNSUPPORTED:
            raise UnsupportedError(f"param not supported by this server: {name}")
        if not file_name and name not in _KNOWN:
            raise InvalidRequestError(f"unable to parse form: invalid param: {name}")
        self._text = bytearray()

    def _begin_file(self, name: str, file_name: str) -> None:
        number = int(name) if _PART_NUMBER.fullmatch(name) else 0
        compression = next((known for known in COMPRESSIONS if known == name), None)
        if name != "upload" and not compression and not number:
            raise InvalidRequestError(f"unable to parse form: invalid file param: {name}")
        if self.upload and not number:
            raise InvalidRequestError("only one upload file allowed")
        if number in self.pieces:
            raise InvalidRequestError(f"part {name} is there twice")
        self._staging = self._opened.enter_context(self._files.stage())
        if number:
            self.pieces[number] = Upload(file_name, self._staging)
        elif compression:
            self._unpacker = Unpacker(compression)
            self.upload = Upload(file_name.rpartition(".")[0] or file_name, self._staging)
        else:
            self.upload = Upload(file_name, self._staging)

    def _end(self) -> None:
        if self._unpacker:
            self._unpacker.finish()
        elif self._text is not None and self._name == "attributes":
            self.attributes = bytes(self._text)
        elif self._text is not None:
            self.fields[self._name] = self._text.decode(errors="replace")
