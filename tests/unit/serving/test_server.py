"""The server by its socket: what clients of all kinds, broken ones too, see of it."""

import contextlib
import logging
import os
import re
import signal
import socket
import threading
import time

import pytest
import requests

from skyport_wf.errors import SkyportError
from skyport_wf.serving import gateway
from skyport_wf.serving import server as server_module
from skyport_wf.serving.server import Server
from skyport_wf.store.opening import open_store
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.own_server import running_server
from tests.support.store_processes import Running, serve_store, serve_with_few_files
from tests.support.timing import PATIENCE, wait_until

TOKEN = "alices-own-token"
START = b'--B\r\nContent-Disposition: form-data; name="upload"; filename="f"\r\n\r\n'
END = b"\r\n--B--\r\n"
HEADERS = {"Authorization": f"OAuth {TOKEN}", "Content-Type": "multipart/form-data; boundary=B"}


@pytest.fixture
def server(store):
    add_user(store.database, "alice", token=TOKEN)
    with running_server(ShockApp(store)) as server:
        yield server


def _connect(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)


def _exchange(server, sent):
    """Send bytes, and return everything that comes back until the server closes or has answered."""
    with _connect(server) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(sent)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while data := connection.recv(65536):
                received += data
        return received


def _request(line, headers="", body=b""):
    return f"{line} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode() + body


@pytest.mark.parametrize(
    "target", ["http://shock.example:81", "http://shock.example:81/", "HTTP://shock.example:81/?x"]
)
def test_an_address_in_the_request_line_counts_instead_of_the_host(target, server):
    received = _exchange(server, _request(f"GET {target}", "Connection: close\r\n"))
    assert received.startswith(b"HTTP/1.1 200")
    assert b'"url":"http://shock.example:81/"' in received
    received = _exchange(server, _request("GET http://shock.example:81/node?query&a=b", "Connection: close\r\n"))
    assert b'"total_count":0' in received


@pytest.mark.parametrize("target", ["//node?query&a=b", "///node?a=b//c", "http://x//node"])
def test_an_address_that_ends_with_a_slash_before_the_path(target, server):
    received = _exchange(server, _request(f"GET {target}", "Connection: close\r\n"))
    assert received.startswith(b"HTTP/1.1 200")
    assert b'"total_count":0' in received


def test_uploads_with_and_without_a_length(server):
    content = os.urandom(3_000_000)
    whole = requests.post(f"{server.url}/node", data=START + content + END, headers=HEADERS).json()["data"]
    chunked = requests.post(f"{server.url}/node", data=iter([START, content, END]), headers=HEADERS).json()["data"]
    assert whole["file"]["checksum"] == chunked["file"]["checksum"]
    got = requests.get(f"{server.url}/node/{whole['id']}?download&seek=5&length=2000000", headers=HEADERS)
    assert got.content == content[5:2000005]


@pytest.mark.slow
def test_a_download_larger_than_any_buffer(server):
    content = os.urandom(20_000_000)
    node = requests.post(f"{server.url}/node", data=content, headers={**HEADERS, "Content-Type": "x/y"}).json()["data"]
    assert requests.get(f"{server.url}/node/{node['id']}?download", headers=HEADERS).content == content


@pytest.mark.slow
def test_one_connection_serves_many_requests(server):
    with requests.Session() as session:
        session.headers["Authorization"] = HEADERS["Authorization"]
        for number in range(30):
            node = session.post(f"{server.url}/node", files={"upload": ("x", b"%d" % number)}).json()["data"]["id"]
            assert session.get(f"{server.url}/node/{node}?download").content == b"%d" % number
            assert session.head(f"{server.url}/node/{node}?download").headers["Content-Length"]
        assert len(session.adapters["http://"].poolmanager.connection_from_url(server.url).pool.queue) == 10


@pytest.mark.parametrize("chunked", [False, True])
def test_a_refused_upload_hears_why_and_the_connection_goes_on(chunked, server):
    body = START + b"x" * 5_000_000 + END
    with requests.Session() as session:
        for _ in range(3):
            response = session.post(
                f"{server.url}/node",
                data=iter([body]) if chunked else body,
                headers={"Content-Type": HEADERS["Content-Type"]},
            )
            assert (response.status_code, response.json()["error"]) == (401, ["No Authorization"])


def test_what_follows_a_refused_body_is_not_taken_for_a_request(server):
    smuggled = _request("GET /node/smuggled")
    for head in (f"Content-Length: {len(smuggled)}\r\n", "Transfer-Encoding: chunked\r\n"):
        body = smuggled if "Length" in head else f"{len(smuggled):x}\r\n".encode() + smuggled + b"\r\n0\r\n\r\n"
        received = _exchange(server, _request("POST /node", head, body) + _request("GET /", "Connection: close\r\n"))
        assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"401", b"200"]


@pytest.mark.parametrize(
    "chunks",
    [
        b"5\r\nhello", b"5\r\nhello\r\n", b"5\r\nhelloX\r\n0\r\n\r\n", b"x\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n", b"+5\r\nhello\r\n0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n", b"5_0\r\nhello",
        b"\r\n", b"", b"5", b"f" * 5000 + b"\r\n", b"5\r\nhello\r\n0\r\nno-end-of-trailers",
        b"5\nhello\r\n0\r\n\r\n", b"5\r\nhello\n0\r\n\r\n", b"5\r\nhello\r\n0\n\r\n", b"5\r\nhello\r\n0\r\n\n",
        b"5\r\nhello\r\n0\r\nX: y\n\r\n", b"5\r\nhello\r\n0\r\nX: \0\r\n\r\n", b"5\r\nhello\r\n0\r\nX y\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n", b"5\x0b\r\nhello\r\n0\r\n\r\n", b"5;a\rb\r\nhello\r\n0\r\n\r\n",
        b"5 x\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r0\r\n\r\n", b"1" * 17 + b"\r\nhello",
    ],
)  # fmt: skip
def test_broken_chunks_make_no_node(chunks, server, store):
    head = f"Authorization: OAuth {TOKEN}\r\nTransfer-Encoding: chunked\r\n"
    received = _exchange(server, _request("POST /node", head, chunks))
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"400"]
    assert list(store.files) == []
    assert requests.get(server.url).status_code == 200


def test_chunks_with_extensions_and_trailers_are_read(server):
    head = f"Authorization: OAuth {TOKEN}\r\nTransfer-Encoding: chunked\r\n"
    body = b"5;name=value\r\nhello\r\nA\r\n, world!!!\r\n000\r\nX-Trailer: y\r\n\r\n"
    received = _exchange(server, _request("POST /node", head, body) + _request("GET /", "Connection: close\r\n"))
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"200", b"200"]
    assert b'"size":15' in received


def test_a_body_cut_off_makes_no_node(server, store):
    head = f"Authorization: OAuth {TOKEN}\r\nContent-Length: 1000\r\n"
    for more in ("", "Content-Type: multipart/form-data; boundary=B\r\n"):
        received = _exchange(server, _request("POST /node", head + more, START + b"only this much"))
        assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"400"]
    assert list(store.files) == []
    assert requests.get(f"{server.url}/node", headers=HEADERS).json()["total_count"] == 0


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 400),
        (b"GET / HTTP/0.9\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01", 400),
        (b"GET / HTTP/1.1\r\nbroken\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n continued: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n continued\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nAccept: a\r\nAccept: b\r\nConnection: close\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.0\r\n\r\n", 200),
        (b"\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200),
        (b"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x:7445\r\nConnection: close\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: [::1]:7445\r\nConnection: close\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: \r\nConnection: close\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x, y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: u@x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x:y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: [:::]\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: xn--a\r\n\r\n", 400),
        (b"GET http://[:::]/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: xn--bcher-kva.example\r\nConnection: close\r\n\r\n", 200),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"GET / HTTP/1.1\r\r\nHost: x\r\n\r\n", 400),
        (b"GET /a\rb HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b" GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1 \r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.10\r\nHost: x\r\n\r\n", 400),
        (b"GET / http/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GE(T / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        *[
            (b"GET / HTTP/1.1\r\nHost: x\r\nX: a%bb\r\n\r\n" % bad, 400)
            for bad in (b"\0", b"\r", b"\x0b", b"\x1b", b"\x7f")
        ],
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: a\t\xe9\r\nConnection: close\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX\0: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: a\nY: b\r\n\r\n", 400),
        (b"POST /node HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
        (b"POST /node HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\nhello", 400),
        (b"POST /node HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 50\r\n\r\nhello", 400),
        (b"get / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        *[
            (b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % target, 400)
            for target in (b"ftp://x/", b"http:///", b"http://u:p@x/", b"http://x\\y/", b"http://x/#f", b"x:80", b"*")
        ],
        (b"GET http://x/ HTTP/1.1\r\n\r\n", 400),
        (b"GET http://x/ HTTP/1.1\r\nHost: x@y\r\n\r\n", 400),
        (b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"POST /node HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nhello", 400),
        (b"POST /node HTTP/1.1\r\nHost: x\r\nContent-Length: 1_0\r\n\r\nhello", 400),
        (b"POST /node HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST /node HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (b"POST /node HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /node HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \xff\r\n\r\n", 400),
        *[
            (b"POST /node HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:%b\r\n\r\n0\r\n\r\n" % bad, 400)
            for bad in (
                b" \x0bchunked",
                b"\x0cchunked",
                b" chunked\x0b",
                b" chunked, chunked",
                b" xchunked",
                b"",
                b' "chunked"',
            )
        ],
        (
            b"POST /node HTTP/1.1\r\nHost: x\r\n" + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n",
            400,
        ),
        (b"POST /node HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\tCHUNKED \r\nConnection: close\r\n\r\n0\r\n\r\n", 401),
        (b"POST /node HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /node HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
        (b"POST /node HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET /?" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", 413),
        (b"GET / HTTP/1.1\r\nHost: " + b"\xff" * 10 + b"\r\nConnection: close\r\n\r\n", 400),
    ],
    ids=lambda sent: repr(sent[:30]) if isinstance(sent, bytes) else None,
)
def test_broken_requests_are_refused_and_others_served(sent, status, server):
    # What follows a refused request may be a part of it: the connection ends.
    after = _request("GET /node/after") if status == 400 else b""
    received = _exchange(server, sent + after)
    assert received.startswith(b"HTTP/1.1 %d" % status), received
    assert len(re.findall(rb"^HTTP/1\.1 \d", received, re.MULTILINE)) == 1
    assert status != 400 or b"\r\nConnection: close\r\n" in received
    assert requests.get(server.url).status_code == 200


def test_headers_with_underscores_are_no_headers(server):
    received = _exchange(server, _request("POST /node", f"Authorization: OAuth {TOKEN}\r\nContent_Length: 5\r\n", b""))
    assert b'"checksum":{}' in received
    received = _exchange(server, _request("GET /node", "Remote_User: alice\r\nREMOTE_USER: alice\r\n"))
    assert b'"total_count":0' in received


@pytest.mark.slow
def test_clients_may_pause_within_bodies_longer_than_within_headers(store, monkeypatch):
    monkeypatch.setattr(gateway, "_HEADER_SECONDS", 0.3)
    add_user(store.database, "alice", token=TOKEN)
    content = os.urandom(30_000_000)

    def packing_slowly():
        yield START
        time.sleep(0.8)
        yield content
        yield END

    with running_server(ShockApp(store)) as server:
        node = requests.post(f"{server.url}/node", data=packing_slowly(), headers=HEADERS).json()["data"]["id"]
        with requests.get(f"{server.url}/node/{node}?download", headers=HEADERS, stream=True) as response:
            time.sleep(0.8)
            assert response.content == content
        with _connect(server) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 408")


@pytest.mark.slow
def test_many_uploads_at_once_arrive(server, store):
    contents = [os.urandom(300_000) for _ in range(64)]
    nodes = {}

    def upload(number):
        answer = requests.post(f"{server.url}/node", data=iter([START, contents[number], END]), headers=HEADERS)
        nodes[number] = answer.json()["data"]["id"]

    threads = [threading.Thread(target=upload, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(nodes) == 64
    for number, node in nodes.items():
        assert requests.get(f"{server.url}/node/{node}?download", headers=HEADERS).content == contents[number]


def test_the_log_names_time_user_and_request_and_no_token(server, caplog):
    caplog.set_level(logging.DEBUG)
    requests.get(f"{server.url}/node?query&k=v", headers=HEADERS)
    requests.get(f"{server.url}/node", headers={"Authorization": "OAuth wrong-but-secret"})
    requests.get(f"{server.url}/node", headers={"Remote-User": "mallory"})
    _exchange(server, b"GET /node?\x1b[31m HTTP/1.1\r\nHost: x\r\n\r\n")

    def logged() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.name == "skyport_wf.serving.gateway"]

    # A line is written when the answer has been sent, so it may come late, and after that of another request.
    wait_until(lambda: len(logged()) >= 3)
    said = [re.sub(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} 127\.0\.0\.1 ", "", line) for line in logged()]
    assert sorted(re.sub(r" \d+\.\d{3} s$", "", line) for line in said) == [
        "- GET /node 200",
        "- GET /node 400",
        "alice GET /node?query&k=v 200",
    ]
    assert TOKEN not in caplog.text
    assert "wrong-but-secret" not in caplog.text
    assert "\x1b" not in caplog.text


def test_no_answer_is_taken_for_a_page(server):
    page = b"<html><script>alert(1)</script></html>"
    node = requests.post(f"{server.url}/node", data=page, headers={"Authorization": HEADERS["Authorization"]}).json()
    for path in ("", "/node", f"/node/{node['data']['id']}?download", f"/node/{node['data']['id']}?download_raw", "/x"):
        answer = requests.get(f"{server.url}{path}", headers=HEADERS)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Type"] in ("application/json", "application/octet-stream")
    assert b"X-Content-Type-Options: nosniff" in _exchange(server, b"GET / HTTP/1.1\r\n\r\n")


def test_localhost_is_heard_by_both_families(store):
    if not server_module._is_ours(socket.AF_INET6, ("::1", 0, 0, 0)):
        pytest.skip("this machine does not speak IPv6")
    with running_server(ShockApp(store), "localhost") as server:
        for host in ("127.0.0.1", "[::1]"):
            assert requests.get(f"http://{host}:{server.port}").json()["id"] == "Shock"
        assert server.url == f"http://127.0.0.1:{server.port}"


def test_a_server_of_all_addresses_names_one_that_others_can_use(store):
    with running_server(ShockApp(store), "0.0.0.0") as server:
        assert "0.0.0.0" not in server.url
        assert requests.get(server.url).json()["id"] == "Shock"


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("192.0.2.7", "it is not this machine's"),
        ("no-such-host.invalid", "': Name or service not known|': Temporary failure"),
        ("a" * 64 + ".example", "it is no name of a machine"),
    ],
)
def test_an_address_that_is_not_ours_is_said(host, said, store):
    with pytest.raises(SkyportError, match=rf"cannot listen on '{host}.*({said}).*--host"):
        Server(ShockApp(store), host, 0)


def test_a_file_that_is_shorter_than_it_was_is_said(server, store):
    node = requests.post(f"{server.url}/node", data=b"0123456789", headers={"Authorization": HEADERS["Authorization"]})
    (path,) = store.files
    path.write_bytes(b"01234")
    url = f"{server.url}/node/{node.json()['data']['id']}?download"
    answer = requests.get(url, headers={"Authorization": HEADERS["Authorization"]})
    assert answer.status_code == 500
    assert answer.json()["error"] == ["the node is damaged: the file has 5 bytes instead of 10"]
    assert int(answer.headers["Retry-After"]) > 3600


def test_a_file_that_becomes_shorter_meanwhile_ends_the_connection(tmp_path, caplog):
    (tmp_path / "file").write_bytes(b"01234")

    def app(environ, start):
        start("200 OK", [("Content-Length", "10")])
        return environ["wsgi.file_wrapper"]((tmp_path / "file").open("rb"))

    with running_server(app) as server:
        received = _exchange(server, _request("GET /x") + _request("GET /y"))
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"200"]
    assert received.endswith(b"\r\n\r\n01234")
    assert "GET /x: the answer breaks off: the file is shorter than it was said to be" in caplog.messages


@pytest.mark.parametrize("begun", [False, True])
def test_an_answer_that_breaks_off_is_a_line_in_the_log(begun, caplog):
    """As from the Shock behind a gateway: its end is no bug, and no client takes a part for a whole."""

    def app(environ, start):
        def pieces():
            if begun:
                yield b"first"
            raise SkyportError("the Shock does not answer")

        start("200 OK", [])
        return pieces()

    with running_server(app) as server:
        received = _exchange(server, _request("GET /x") + _request("GET /y"))
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"200" if begun else b"500"]
    assert b"0\r\n\r\n" not in received
    assert "GET /x: the answer breaks off: the Shock does not answer" in caplog.messages
    assert "Traceback" not in caplog.text


def test_a_port_that_is_taken_is_said(server, store):
    with pytest.raises(SkyportError, match=rf"cannot listen on 127.0.0.1:{server.port}.*--port"):
        Server(ShockApp(store), "127.0.0.1", server.port)


def test_the_application_is_looked_after_whatever_happens(store, monkeypatch, caplog):
    monkeypatch.setattr("skyport_wf.serving.server._MAINTENANCE_SECONDS", 0)
    monkeypatch.setattr("skyport_wf.serving.server._SLOW_SECONDS", 0.01)
    calls = []
    twice = threading.Event()

    def maintain():
        calls.append(True)
        if len(calls) == 1:
            raise OSError("the disk is full")
        twice.set()

    server = Server(ShockApp(store), "127.0.0.1", 0, maintain=maintain)
    running = threading.Thread(target=server.run)
    running.start()
    assert twice.wait(60)
    server.stop()
    running.join()
    assert "maintenance failed; it will be tried again" in caplog.text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_in_order(number, tmp_path):
    with open_store(tmp_path) as store:
        add_user(store.database, "alice", token=TOKEN)
    with Running(serve_store, tmp_path) as server:
        url = server.hear()
        assert requests.post(f"{url}/node", data=b"x", headers={"Authorization": f"OAuth {TOKEN}"}).ok
        server.send_signal(number)
        assert server.hear_all() == ["ended"]
        assert server.wait() == 0


def test_more_idle_clients_than_open_files_hold_up_nobody(tmp_path):
    with Running(serve_with_few_files, tmp_path, 64) as server, contextlib.ExitStack() as idle:
        url = server.hear()
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        for _ in range(100):
            idle.enter_context(socket.create_connection(address, timeout=PATIENCE))
        for _ in range(20):
            assert requests.get(f"{url}/node", timeout=PATIENCE).status_code == 200
        server.send_signal(signal.SIGTERM)
        assert server.hear() == "ended"
        (warned,) = server.hear()
        assert "ulimit" in warned
