"""Good requests with damage, by the thousand, in process and over sockets: refused or understood, never a 500."""

import contextlib
import logging
import random
import re
import socket

import pytest
import requests

from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.own_server import running_server
from tests.support.store_people import Person
from tests.support.timing import PATIENCE

pytestmark = pytest.mark.slow

TOKEN = "alices-own-token"
FORM = (
    b'--B\r\nContent-Disposition: form-data; name="attributes"; filename="a.json"\r\nContent-Type: application/json\r\n'
    b'\r\n{"type": "dockerimage", "name": "lab/x:1", "list": [1, 2.5, null, {"deep": "\\u00e9"}]}\r\n'
    b'--B\r\nContent-Disposition: form-data; name="tags"\r\n\r\none,two\r\n'
    b'--B\r\nContent-Disposition: form-data; name="expiration"\r\n\r\n1D\r\n'
    b'--B\r\nContent-Disposition: form-data; name="upload"; filename="f"\r\n\r\ncontent\r\n--B--\r\n'
)
CHANGES = FORM[: FORM.index(b'--B\r\nContent-Disposition: form-data; name="upload"')] + b"--B--\r\n"
PART = b'--B\r\nContent-Disposition: form-data; name="1"; filename="part"\r\n\r\ncontent\r\n--B--\r\n'
ATTRIBUTES = b'{"type": "dockerimage", "n": [1, -2.5e3, null, true, {"k\\u00e9y": "v\\n"}], "name": "lab/x:1"}'
SNIPPETS = (
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\0", b"\xff\xfe", b"--B", b"\r\n--B\r\n", b"\r\n--B--\r\n", b"--"),
    *(b'"', b"'", b"\\", b"{", b"}", b"[" * 200, b'{"a":' * 200, b"1e999", b"NaN", b"-", b"9" * 400, b"\\ud800"),
    *(b"; filename=", b'; filename="x"', b'; name="upload"', b'; name=""', b"; filename*=UTF-8''%ff", b": ", b";"),
    *(b"\r\nContent-Length: 5\r\n", b"\r\nContent-Length: 99999999999999999999\r\n", b"\r\nContent-Length: -1\r\n"),
    *(b"\r\nTransfer-Encoding: chunked\r\n", b"\r\nTransfer-Encoding: gzip\r\n", b"\r\nExpect: 100-continue\r\n"),
    *(b"\r\nConnection: close\r\n", b"%00", b"%ff", b"%", b"../", b"?", b"&", b"=", b"limit=-1", b"#", b" ", b"\x7f"),
    *(b"x" * 5000, b"ffffffffffffffffffff\r\n", b"0\r\n\r\n", b"HTTP/9.9", b"http://x/", b"*"),
)
FITTING = {200, *range(400, 500)}


def _damaged(good: bytes, chance: random.Random) -> bytes:
    data = bytearray(good)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(6):
            case 0:
                data[at:at] = chance.choice(SNIPPETS)
            case 1:
                data[at : at + chance.choice((1, 2, 10, 60))] = b""
            case 2:
                data[at : at + 1] = chance.randbytes(1)
            case 3:
                data[at : at + 10] = chance.choice(SNIPPETS)
            case 4:
                data[at:at] = data[chance.randrange(len(data) + 1) :][:80]
            case 5:
                data = data[:at] if chance.random() < 0.3 else data
    return bytes(data)


def _requests(node: str, parts: str) -> list[bytes]:
    def request(line: str, body: bytes = b"", *headers: str, length: bool = True) -> bytes:
        lines = [f"{line} HTTP/1.1", "Host: x", f"Authorization: OAuth {TOKEN}", "Accept: */*", *headers]
        lines += [f"Content-Length: {len(body)}"] if length and body else []
        return "\r\n".join([*lines, "", ""]).encode() + body

    form = "Content-Type: multipart/form-data; boundary=B"
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(FORM[n : n + 100]), FORM[n : n + 100]) for n in range(0, len(FORM), 100))
    chunked = "Transfer-Encoding: chunked"
    return [
        request("GET /"),
        request("GET /node?query&type=dockerimage&name=lab/x:1&limit=5&offset=0&order=name&direction=asc"),
        request("GET /node?querynode&file.size=[1;7]&owner=alice&tags=!one&attributes.n=*1"),
        request(f"GET /node/{node}?download&seek=1&length=3"),
        request(f"HEAD /node/{node}?download"),
        request("POST /node", FORM, form),
        request("POST /node", chunks + b"0\r\n\r\n", form, chunked, length=False),
        request("POST /node", b"content", "Content-Type: application/octet-stream"),
        request(f"PUT /node/{node}", CHANGES, form),
        request(f"PUT /node/{parts}", PART, form),
        request(f"PUT /node/{node}/acl/read?users=bob,carol"),
        request(f"DELETE /node/{node}/acl/public_read"),
    ]


@pytest.mark.parametrize("seed", range(3))
def test_damaged_requests_over_sockets(seed, store, caplog):
    add_user(store.database, "alice", token=TOKEN)
    chance = random.Random(seed)
    statuses: dict[int, int] = {}
    with running_server(ShockApp(store)) as server:
        headers = {"Authorization": f"OAuth {TOKEN}"}
        node = requests.post(f"{server.url}/node", data=b"content", headers=headers).json()["data"]["id"]
        parts = requests.post(f"{server.url}/node", files={"parts": (None, "9")}, headers=headers).json()["data"]["id"]
        good = _requests(node, parts)
        for request in good:
            assert _statuses(server, request) == [200]
        for _ in range(2000):
            sent = _damaged(chance.choice(good), chance)
            for status in _statuses(server, sent):
                assert status in FITTING, sent
                statuses[status] = statuses.get(status, 0) + 1
        assert requests.get(f"{server.url}/node/{node}?download", headers=headers).status_code in (200, 404)
        assert requests.post(f"{server.url}/node", data=b"content", headers=headers).status_code == 200
    assert sum(count for status, count in statuses.items() if status >= 400) > 200
    _assert_no_trace(store, caplog)


def _statuses(server, sent):
    """Return the statuses of the answers; none if the server took what was sent for a request that broke off."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        received = b""
        with contextlib.suppress(OSError):
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(65536):
                received += data
    assert not received or received.startswith(b"HTTP/1.1 "), received[:100]
    return [int(status) for status in re.findall(rb"^HTTP/1\.1 (\d\d\d) ", received, re.M) if status != b"100"]


@pytest.mark.parametrize("good", [FORM, PART], ids=["form", "part"])
def test_damaged_forms_in_process(good, alice, store, caplog):
    chance = random.Random(1)
    node = alice.upload(parts="9")["id"]
    refused = 0
    for number in range(3000):
        headers = {"Content-Type": "multipart/form-data; boundary=B"}
        body = _damaged(good, chance)
        # In pieces of any size: a boundary may be cut anywhere.
        size = chance.choice((1, 7, 50, 10_000))
        pieces = [body[start : start + size] for start in range(0, len(body), size)]
        method, path = ("POST", "/node") if number % 2 else ("PUT", f"/node/{node}")
        response = alice.call(method, path, data=iter(pieces), headers=headers)
        assert response.status_code in FITTING, body
        refused += response.status_code >= 400
    assert refused > 300
    _assert_no_trace(store, caplog)


def test_damaged_attributes_in_process(alice, store, caplog):
    chance = random.Random(2)
    node = alice.upload(attributes={})["id"]
    refused = 0
    for number in range(3000):
        document = _damaged(ATTRIBUTES, chance)
        files = {"attributes": ("a", document)} if number % 2 else {"attributes_str": (None, document)}
        response = alice.put(f"/node/{node}", files=files)
        assert response.status_code in (200, 400), document
        refused += response.status_code == 400
        alice.get(f"/node/{node}").json()
    assert refused > 300
    _assert_no_trace(store, caplog)


def test_damaged_queries_and_headers_in_process(alice, app, store, caplog):
    chance = random.Random(3)
    alice.upload(attributes={"type": "dockerimage"})
    query = "query&type=dockerimage&name=lab/x:1&limit=5&offset=0&order=name&direction=asc&n=[1;2]&k=!*x"
    for _ in range(3000):
        response = alice.get("/node?" + _damaged(query.encode(), chance).decode("latin-1"))
        assert response.status_code in (200, 400), response.url
        header = _damaged(f"OAuth {TOKEN}".encode(), chance).translate(None, b"\r\n").strip()
        assert Person(app, None).get("/node", headers={"Authorization": header}).status_code in (200, 400)
    _assert_no_trace(store, caplog)


def _assert_no_trace(store, caplog):
    """No bug was logged, and no file was left that belongs to nothing."""
    store.joiner.close()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
    with store.database.read() as connection:
        rows = connection.execute(
            "SELECT content_id FROM node WHERE content_id IS NOT NULL UNION "
            "SELECT part.content_id FROM part JOIN node ON serial = node WHERE node.content_id IS NULL"
        )
        known = sorted(row[0] for row in rows)
    assert sorted(path.name for path in store.files) == known
