import hashlib
import io
import tracemalloc

import pytest
import requests

from skyport_wf.store.wsgi.app import ShockApp
from skyport_wf.store.wsgi.transport import EMBEDDED_URL, WSGITransport
from tests.support.store_people import Person

PIECE = bytes(range(256)) * 4096
START = b'--B\r\nContent-Disposition: form-data; name="upload"; filename="f"\r\n\r\n'
END = b"\r\n--B--\r\n"
KIND = {"Content-Type": "multipart/form-data; boundary=B"}


def _form(pieces):
    yield START
    yield from pieces
    yield END


def _echo(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [environ["wsgi.input"].read()]


@pytest.fixture
def echo():
    session = requests.Session()
    session.mount(EMBEDDED_URL, WSGITransport(_echo))
    return session


@pytest.mark.slow
def test_bodies_stream_both_ways_in_little_memory(alice):
    count = 64
    tracemalloc.start()
    node = alice.call("POST", "/node", data=_form(PIECE for _ in range(count)), headers=KIND).json()["data"]
    md5, size = hashlib.md5(), 0
    with alice.get(f"/node/{node['id']}?download", stream=True) as response:
        for piece in response.iter_content(1024 * 1024):
            md5.update(piece)
            size += len(piece)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert size == count * len(PIECE) == node["file"]["size"]
    assert md5.hexdigest() == node["file"]["checksum"]["md5"] == hashlib.md5(PIECE * count).hexdigest()
    assert peak < 8 * 1024 * 1024


@pytest.mark.parametrize(
    "body",
    [
        b"some bytes", bytearray(b"some bytes"), "some bytes", io.BytesIO(b"some bytes"),
        iter([b"some ", b"", b"bytes"]), (bytes([byte]) for byte in b"some bytes"),
    ],
    ids=lambda body: type(body).__name__,
)  # fmt: skip
def test_bodies_of_every_kind(body, echo):
    assert echo.post(EMBEDDED_URL, data=body).content == b"some bytes"


def test_a_large_piece_is_given_in_the_sizes_asked_for():
    sizes = []

    def app(environ, start_response):
        while data := environ["wsgi.input"].read(1000):
            sizes.append(len(data))
        start_response("204 No Content", [])
        return []

    session = requests.Session()
    session.mount(EMBEDDED_URL, WSGITransport(app))
    assert session.post(EMBEDDED_URL, data=iter([b"x" * 2500, b"y" * 10])).status_code == 204
    assert sizes == [1000, 1000, 500, 10]


def test_no_body_is_an_empty_one(echo):
    assert echo.get(EMBEDDED_URL).content == b""


def test_an_error_in_the_body_reaches_the_caller_and_leaves_nothing(alice, store):
    class EngineDiedError(Exception):
        pass

    def dying():
        yield START
        yield PIECE
        raise EngineDiedError("half way")

    with pytest.raises(EngineDiedError, match="half way"):
        alice.call("POST", "/node", data=dying(), headers=KIND)
    assert list(store.files) == []
    assert alice.find("query") == []


def test_a_body_that_ends_early_makes_no_node(alice, store):
    response = alice.call("POST", "/node", data=iter([START, PIECE]), headers=KIND)
    assert response.status_code == 400
    assert list(store.files) == []


def test_a_refused_body_is_not_read(nobody):
    read = []

    def pieces():
        for number in range(10):
            read.append(number)
            yield PIECE

    response = nobody.call("POST", "/node", data=_form(pieces()), headers=KIND)
    assert response.status_code == 401
    assert read == []


def test_a_response_that_is_not_read_can_be_closed(alice, app):
    node = alice.upload(PIECE)["id"]
    closed = []

    class Watched(WSGITransport):
        pass

    def watching(environ, start_response):
        body = app(environ, start_response)
        close = body.close
        body.close = lambda: (closed.append(True), close())
        return body

    alice.session.mount(EMBEDDED_URL, Watched(watching))
    with alice.get(f"/node/{node}?download", stream=True) as response:
        assert response.raw.read(10) == PIECE[:10]
    assert closed == [True]


def test_what_requests_offers_works_as_over_http(alice):
    node = alice.upload(b"one\ntwo\n")["id"]
    response = alice.get(f"/node/{node}?download")
    assert response.ok
    assert (response.reason, response.url) == ("OK", f"{EMBEDDED_URL}/node/{node}?download")
    assert list(response.iter_lines()) == [b"one", b"two"]
    assert response.headers["content-LENGTH"] == "8"
    assert response.request.method == "GET"
    missing = alice.get("/node/00000000-0000-4000-8000-000000000000")
    assert missing.reason == "NOT FOUND"
    with pytest.raises(requests.HTTPError, match="404"):
        missing.raise_for_status()


def test_parameters_and_addresses_are_quoted_once(store):
    seen = []

    def app(environ, start_response):
        seen.append((environ["PATH_INFO"].encode("latin-1").decode(), environ["QUERY_STRING"], environ["HTTP_X_Y"]))
        return ShockApp(store)(environ, start_response)

    Person(app, None).get("/node/ä b%2Fc", params={"k": "ö&="}, headers={"X-Y": "z"})
    assert seen == [("/node/ä b/c", "k=%C3%B6%26%3D", "z")]
