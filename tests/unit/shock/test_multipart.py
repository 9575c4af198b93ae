import email
import email.message
import email.policy
import io
import itertools
import tracemalloc

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from requests.utils import super_len
from werkzeug.formparser import parse_form_data

from skyport_wf.shock.multipart import StreamingForm

MEBIBYTE = b"\x00" * (1 << 20)
NAMES = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=1, max_size=10)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)


def parts_by_email(form: StreamingForm) -> dict[str, tuple[str | None, bytes]]:
    """Return file name and content by field name, read by the standard library."""
    head = f"Content-Type: {form.content_type}\r\n\r\n".encode()
    message = email.message_from_bytes(head + b"".join(form), policy=email.policy.HTTP)
    assert isinstance(message, email.message.EmailMessage)
    assert not message.defects
    return {
        str(part.get_param("name", header="content-disposition")): (part.get_filename(), part.get_payload(decode=True))
        for part in message.iter_parts()
    }


def test_two_independent_readers_find_what_was_put_in():
    files = {
        "attributes": ("attributes.json", [b'{"a": "b"}']),
        "upload": ("x.tar.gz", [b"\r\n--", b"", b"\x00\xff\r\n", b"end"]),
    }
    form = StreamingForm({"expiration": "2D"}, files)
    assert parts_by_email(form) == {
        "expiration": (None, b"2D"),
        "attributes": ("attributes.json", b'{"a": "b"}'),
        "upload": ("x.tar.gz", b"\r\n--\x00\xff\r\nend"),
    }
    body = b"".join(form)
    environ = {
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": form.content_type,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }
    _, fields, uploads = parse_form_data(environ)
    assert fields.to_dict() == {"expiration": "2D"}
    assert {name: (file.filename, file.read()) for name, file in uploads.items()} == {
        "attributes": ("attributes.json", b'{"a": "b"}'),
        "upload": ("x.tar.gz", b"\r\n--\x00\xff\r\nend"),
    }
    assert uploads["upload"].content_type == "application/octet-stream"


def test_fields_come_before_files_and_all_in_order():
    # Shock reads a form in order, and has to know of an expiration before a long file.
    files = {"z": ("z", [b"1"]), "a": ("a", [b"2"])}
    form = StreamingForm({"y": "3", "b": "4"}, files)
    assert list(parts_by_email(form)) == ["y", "b", "z", "a"]


def test_content_is_asked_for_only_when_its_turn_comes():
    asked = []

    def content():
        asked.append(True)
        yield b"x"

    pieces = iter(StreamingForm({}, {"f": ("f", content())}))
    assert b'name="f"' in next(pieces)
    assert not asked
    assert next(pieces) == b"x"


def test_each_form_has_a_boundary_of_its_own():
    assert len({StreamingForm({}, {}).content_type for _ in range(20)}) == 20


def test_without_a_size_there_is_no_length_and_requests_sends_it_chunked():
    form = StreamingForm({"a": "b"}, {"f": ("f", [b"x"])})
    assert form.len == 0
    prepared = requests.Request("POST", "http://x", data=form).prepare()
    assert prepared.headers["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in prepared.headers


def test_with_sizes_the_length_is_exact_and_requests_sends_it():
    form = StreamingForm({"ä": "ö"}, {"f": ("ü", [b"123", b"45"])}, file_sizes={"f": 5})
    assert form.len == super_len(form) == len(b"".join(form))
    prepared = requests.Request("POST", "http://x", data=form).prepare()
    assert prepared.headers["Content-Length"] == str(form.len)
    assert "Transfer-Encoding" not in prepared.headers


@pytest.mark.slow
@given(
    st.dictionaries(NAMES, TEXTS, max_size=3),
    st.dictionaries(NAMES, st.tuples(NAMES, st.lists(st.binary(max_size=20), max_size=3)), max_size=3),
)
def test_the_length_is_exact_for_any_form(fields, files):
    sizes = {name: sum(map(len, content)) for name, (_, content) in files.items()}
    form = StreamingForm(fields, files, file_sizes=sizes)
    assert form.len == len(b"".join(form))


@pytest.mark.slow
@given(st.binary(max_size=50), st.lists(st.integers(0, 50), max_size=4))
def test_any_content_in_any_pieces_is_read_back(content, cuts):
    edges = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    pieces = [content[start:end] for start, end in itertools.pairwise(edges)]
    body = b"".join(form := StreamingForm({}, {"f": ("f", pieces)}))
    environ = {
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": form.content_type,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }
    assert parse_form_data(environ)[2]["f"].read() == content


@pytest.mark.parametrize("name", ['a"b', "a\r\nX-Evil: 1", "a\nb"])
def test_a_file_name_cannot_break_out_of_its_header(name):
    form = StreamingForm({}, {"f": (name, [b"x"])})
    head = b"".join(form).partition(b"\r\n\r\n")[0].decode()
    assert len(head.split("\r\n")) == 3
    assert "\n" not in head.replace("\r\n", "")
    assert head.count('"') == 4


def test_memory_is_flat_whatever_the_size():
    form = StreamingForm({}, {"f": ("f", (MEBIBYTE for _ in range(256)))}, file_sizes={"f": 256 << 20})
    tracemalloc.start()
    try:
        assert sum(map(len, form)) == form.len
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20
