"""Multipart forms, read as they arrive: files go straight to the disk, everything else has a limit."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData
from werkzeug.wrappers import Request
from werkzeug.wsgi import get_input_stream

from skyport_wf.store.changes import Change, Upload
from skyport_wf.store.files import FileStore
from skyport_wf.store.refusals import InvalidRequestError, TooLargeError, UnsupportedError
from skyport_wf.store.unpacking import COMPRESSIONS, Unpacker
from skyport_wf.store.wsgi.boundaries import Readable, is_content, pieces_between
from skyport_wf.store.wsgi.fields import change_of_form
from skyport_wf.store.wsgi.sinks import Packed, Plain, Sink, Text

LARGEST_DOCUMENT = 16 * 1024 * 1024
"""Attributes, or all text fields of a form together: MongoDB's limit for a document, under Shock."""
_LARGEST_FIELD = 64 * 1024
"""Any text field but the attributes."""
_MOST_PARTS = 200
"""Fields and files of one form."""
_LARGEST_HEADERS = 256 * 1024
"""Headers of one part of a form, and whatever follows its end."""
_PIECE = 256 * 1024

_KNOWN = frozenset(
    (
        *("attributes_str", "copy_attributes", "copy_data", "copy_indexes", "compression", "expiration"),
        *("file_name", "format", "parts", "priority", "remove_expiration", "tags", "users"),
    )
)
_UNSUPPORTED = frozenset(
    (
        *("action", "all", "archive_format", "checksum-md5", "clear_revisions", "delete", "download_url"),
        *("file_lock", "file_unlock", "ids", "index_name", "linkage", "operation", "owner", "parent_index"),
        *("parent_node", "path", "preserve_acls", "read", "source", "type", "unpack_node", "upload_url", "write"),
    )
)
"""Fields that Shock knows and this store has no use for: refused, as ignoring them would be a lie."""


class _Form:
    """What has been read of a form."""

    def __init__(self, files: FileStore, opened: ExitStack) -> None:
        self._files = files
        self._opened = opened
        self._room = LARGEST_DOCUMENT
        self.fields: dict[str, str] = {}
        self.attributes: bytes | None = None
        self.upload: Upload | None = None
        self.pieces: dict[int, Upload] = {}

    def sink(self, part: Field | File) -> Sink:
        """Return where the bytes of a part go. Raises InvalidRequestError for one that Shock does not know."""
        name = part.name
        # Browsers send an empty file name for a file that was not chosen; Shock takes that for a text field.
        if isinstance(part, Field) or not part.filename:
            return self._field_sink(name)
        if name == "attributes":
            return Text(self.take, LARGEST_DOCUMENT, self._set_attributes)
        return self._file_sink(name, _base_name(part.filename))

    def take(self, size: int) -> None:
        """Use up some of the room for texts. Raises TooLargeError when there is no more."""
        self._room -= size
        if self._room < 0:
            raise TooLargeError(f"attributes and form fields must not exceed {LARGEST_DOCUMENT} bytes")

    def _field_sink(self, name: str) -> Sink:
        if name in _UNSUPPORTED:
            raise UnsupportedError(f"param not supported by this server: {name}")
        if name not in _KNOWN:
            raise InvalidRequestError(f"unable to parse form: invalid param: {name}")
        limit = LARGEST_DOCUMENT if name == "attributes_str" else _LARGEST_FIELD
        return Text(self.take, limit, lambda text: self._set_field(name, text))

    def _file_sink(self, name: str, file_name: str) -> Sink:
        if name != "upload" and name not in COMPRESSIONS and not _is_number(name):
            raise InvalidRequestError(f"unable to parse form: invalid file param: {name}")
        if self.upload and not _is_number(name):
            raise InvalidRequestError("only one upload file allowed")
        if _is_number(name) and int(name) in self.pieces:
            raise InvalidRequestError(f"part {name} is there twice")
        staging = self._opened.enter_context(self._files.stage())
        for compression in COMPRESSIONS:
            if name == compression:
                self.upload = Upload(file_name.rpartition(".")[0] or file_name, staging)
                return Packed(staging, Unpacker(compression))
        if name == "upload":
            self.upload = Upload(file_name, staging)
        else:
            self.pieces[int(name)] = Upload(file_name, staging)
        return Plain(staging)

    def _set_field(self, name: str, text: bytes) -> None:
        self.fields[name] = text.decode(errors="replace")

    def _set_attributes(self, text: bytes) -> None:
        self.attributes = text


@contextmanager
def read_form(request: Request, files: FileStore) -> Iterator[Change]:
    """Read a form to its end and give what it asks for; files that nobody committed are removed afterwards.

    Raises InvalidRequestError for a form that is broken, cut off, or has fields that Shock does not know;
    TooLargeError beyond the limits.
    """
    with ExitStack() as opened:
        form = _parse(request, files, opened)
        yield change_of_form(form.fields, attributes=form.attributes, upload=form.upload, pieces=form.pieces)


@contextmanager
def read_file(request: Request, files: FileStore) -> Iterator[Change]:
    """Read a body that is a file and nothing else; it is removed afterwards if nobody committed it."""
    body = get_input_stream(request.environ)
    with files.stage() as staging:
        while data := body.read(_PIECE):
            staging.write(data)
        # The name that Shock gives to a file without one.
        yield Change(upload=Upload("filename", staging))


def read_fields(request: Request, files: FileStore) -> dict[str, str]:
    """Read a form for its text fields; raises what read_form raises."""
    with ExitStack() as opened:
        return _parse(request, files, opened).fields


def _parse(request: Request, files: FileStore, opened: ExitStack) -> _Form:
    boundary = _boundary(request)
    form = _Form(files, opened)
    try:
        _read(get_input_stream(request.environ), boundary, form)
    except RequestEntityTooLarge:
        raise TooLargeError("the form has too many or too large parts") from None
    except ValueError as error:
        raise InvalidRequestError(f"unable to parse form: {error}") from error
    return form


def _read(body: Readable, boundary: str, form: _Form) -> None:
    """Pass the bytes of each part to its sink."""
    marker = b"--" + boundary.encode("ascii")
    decoder = MultipartDecoder(marker[2:], max_form_memory_size=_LARGEST_HEADERS + _PIECE, max_parts=_MOST_PARTS)
    sink: Sink | None = None
    within = False
    for data in pieces_between(body, decoder, marker, _PIECE):
        if within and sink and not decoder.buffer and is_content(data, marker):
            # What the decoder would say too, after copying it four times.
            sink.write(data)
            continue
        decoder.receive_data(data or None)
        for event in _events(decoder):
            if isinstance(event, Field | File):
                if not event.name:
                    raise InvalidRequestError("unable to parse form: a part has no name")
                sink = form.sink(event)
            elif isinstance(event, Data) and sink:
                sink.write(event.data)
                within = event.more_data
                if not within:
                    sink.finish()


def _boundary(request: Request) -> str:
    """Return the boundary of a multipart form. Raises InvalidRequestError if the body is none."""
    kind, options = parse_options_header(request.headers.get("Content-Type"))
    if kind != "multipart/form-data" or not options.get("boundary"):
        raise InvalidRequestError("request Content-Type isn't multipart/form-data")
    return options["boundary"]


def _events(decoder: MultipartDecoder) -> Iterator[Event]:
    while not isinstance(event := decoder.next_event(), NeedData | Epilogue):
        yield event


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and len(name) <= 6 and int(name) > 0


def _base_name(name: str) -> str:
    """Return the last part of a path, as some clients send the whole, as text that can be stored."""
    return name.replace("\\", "/").rpartition("/")[2].encode(errors="replace").decode()
