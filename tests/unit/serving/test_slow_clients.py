"""Clients that stall, in every state that a connection can be in: nobody else has to wait for them."""

import contextlib
import os
import resource
import socket
import threading
import time
from pathlib import Path

import pytest
import requests

from skyport_wf.serving import gateway, workers
from skyport_wf.serving.server import Server
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.own_server import running_server
from tests.support.timing import PATIENCE

pytestmark = pytest.mark.slow

TOKEN = "alices-own-token"
HEADERS = {"Authorization": f"OAuth {TOKEN}"}
AUTHORIZED = f"Host: x\r\nAuthorization: OAuth {TOKEN}\r\n"
STALLED = {
    "says nothing": b"",
    "stops within the request line": b"GET /no",
    "stops within the headers": b"GET / HTTP/1.1\r\nHost: x\r\nX-",
    "stops before the body": f"POST /node HTTP/1.1\r\n{AUTHORIZED}Content-Length: 1000\r\n\r\n".encode(),
    "stops within the body": f"POST /node HTTP/1.1\r\n{AUTHORIZED}Content-Length: 1000\r\n\r\nslow".encode(),
    "stops within a chunk": f"POST /node HTTP/1.1\r\n{AUTHORIZED}Transfer-Encoding: chunked\r\n\r\nff\r\nslow".encode(),
    "stops within a form": (
        f"POST /node HTTP/1.1\r\n{AUTHORIZED}Content-Type: multipart/form-data; boundary=B\r\n"
        'Content-Length: 1000\r\n\r\n--B\r\nContent-Disposition: form-data; name="upload"; filename="f"\r\n\r\nslow'
    ).encode(),
    "stops within a refused body": b"POST /node HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nslow",
    "does not read its answer": b"GET /node/%b?download HTTP/1.1\r\n" + AUTHORIZED.encode() + b"\r\n",
}


@pytest.fixture
def server(store):
    add_user(store.database, "alice", token=TOKEN)
    with running_server(ShockApp(store)) as server:
        yield server


@pytest.fixture
def large_node(server):
    """A file that no buffers between us and a client can hold."""
    return requests.post(f"{server.url}/node", data=os.urandom(30_000_000), headers=HEADERS).json()["data"]["id"]


def _stall(server, said, node):
    connection = socket.socket()
    # A window so small that the kernel cannot take the answer off the server's hands.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(20)
    connection.connect(("127.0.0.1", server.port))
    connection.sendall(said.replace(b"%b", node.encode()))
    return connection


def _unsent(server, client):
    """Return how many bytes the kernel keeps that the server has written, and the client has not got."""
    ports = [f":{port:04X}" for port in (server.port, client.getsockname()[1])]
    for line in Path("/proc/net/tcp").read_text().splitlines():
        _, *ends, _, queues = line.split()[:5]
        if all(end.endswith(port) for end, port in zip(ends, ports, strict=True)):
            return int(queues.split(":")[0], 16)
    return 0


def _use(server, count):
    """Use the server as one does, while others stall: who waited for them would wait until they are cut off."""
    for number in range(count):
        content = b"%d" % number
        node = requests.post(f"{server.url}/node", data=content, headers=HEADERS, timeout=PATIENCE).json()["data"]["id"]
        assert requests.get(f"{server.url}/node/{node}?download", headers=HEADERS, timeout=PATIENCE).content == content
        assert requests.get(server.url, timeout=PATIENCE).status_code == 200


def test_four_hundred_and_fifty_stalled_clients_hold_up_nobody(server, large_node, monkeypatch):
    for limit in ("_HEADER_SECONDS", "_SLOWEST_SECONDS"):
        monkeypatch.setattr(gateway, limit, 600)
    with contextlib.ExitStack() as stalled:
        for _ in range(50):
            for said in STALLED.values():
                stalled.enter_context(_stall(server, said, large_node))
        _use(server, 20)


def test_a_client_that_stalls_is_served_once_it_goes_on(server, large_node):
    with contextlib.ExitStack() as stalled:
        for _ in range(200):
            stalled.enter_context(_stall(server, STALLED["stops within the body"], large_node))
        late = stalled.enter_context(_stall(server, STALLED["stops within the body"], large_node))
        reader = stalled.enter_context(_stall(server, STALLED["does not read its answer"], large_node))
        _use(server, 3)
        late.sendall(b"x" * 996)
        assert late.recv(100).startswith(b"HTTP/1.1 200")
        received = 0
        while received < 30_000_000:
            received += len(reader.recv(1_000_000))


@pytest.mark.parametrize("said", ["stops within the headers", "stops within a refused body"])
def test_a_byte_now_and_then_does_not_go_on_for_ever(said, store, monkeypatch):
    monkeypatch.setattr(gateway, "_SLOWEST_SECONDS", 0.5)
    with running_server(ShockApp(store)) as server, _stall(server, STALLED[said], "x") as dribbling:
        dribbling.settimeout(0.05)
        # OSError: the server has closed the connection while we sent.
        with contextlib.suppress(OSError):
            # More bytes than half a second has room for, fewer than the body has that is refused.
            for _ in range(900):
                dribbling.sendall(b"x")
                with contextlib.suppress(TimeoutError):
                    if not dribbling.recv(1000):
                        return
            pytest.fail("the server goes on reading")


def test_stalled_clients_do_not_keep_the_server_from_stopping(store):
    add_user(store.database, "alice", token=TOKEN)
    server = Server(ShockApp(store), "127.0.0.1", 0)
    server._servers[0].shutdown_timeout = 0.5
    running = threading.Thread(target=server.run)
    running.start()
    node = requests.post(f"{server.url}/node", data=os.urandom(30_000_000), headers=HEADERS).json()["data"]["id"]
    with contextlib.ExitStack() as stalled:
        for said in STALLED.values():
            stalled.enter_context(_stall(server, said, node))
        assert requests.get(server.url, timeout=PATIENCE).status_code == 200
        server.stop()
        running.join(60)
        assert not running.is_alive()
    # What the stalled were sending is gone; the file that was complete before is there.
    assert len(list(store.files)) == 1


@contextlib.contextmanager
def _many_open_files():
    """The limit of a started server (see serve()), as here it and its clients are one process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("said", ["does not read its answer", "stops within the headers"])
def test_more_stalled_clients_than_threads_hold_up_nobody(said, store, monkeypatch):
    """Nobody's time is over, but they make room for others."""
    monkeypatch.setattr(workers, "_MOST", 64)
    monkeypatch.setattr(workers, "_SHARE", 32)
    for limit in ("_HEADER_SECONDS", "_SLOWEST_SECONDS", "_PIECE_SECONDS"):
        monkeypatch.setattr(gateway, limit, 600)
    add_user(store.database, "alice", token=TOKEN)
    with running_server(ShockApp(store)) as server, contextlib.ExitStack() as stalled:
        node = requests.post(f"{server.url}/node", data=os.urandom(30_000_000), headers=HEADERS).json()["data"]["id"]
        for _ in range(100):
            stalled.enter_context(_stall(server, STALLED[said], node))
        _use(server, 3)


def test_a_thousand_clients_that_read_nothing_hold_up_nobody(store):
    add_user(store.database, "alice", token=TOKEN)
    with _many_open_files(), running_server(ShockApp(store)) as server, contextlib.ExitStack() as stalled:
        node = requests.post(f"{server.url}/node", data=os.urandom(30_000_000), headers=HEADERS).json()["data"]["id"]
        for _ in range(1100):
            stalled.enter_context(_stall(server, STALLED["does not read its answer"], node))
        _use(server, 3)


def test_little_waits_in_the_kernel_for_a_client_that_reads_nothing(server, large_node):
    """A thousand of them would else take the memory of all connections of the machine."""
    with _stall(server, STALLED["does not read its answer"], large_node) as reader:
        end = time.monotonic() + PATIENCE
        while _unsent(server, reader) < gateway._UNSENT:
            assert time.monotonic() < end
            time.sleep(0.01)
        time.sleep(0.2)
        assert _unsent(server, reader) <= 2 * gateway._UNSENT


def test_an_answer_has_a_minimum_speed(store, monkeypatch):
    monkeypatch.setattr(gateway, "_PIECE_SECONDS", 0.5)
    add_user(store.database, "alice", token=TOKEN)
    with running_server(ShockApp(store)) as server:
        node = requests.post(f"{server.url}/node", data=os.urandom(30_000_000), headers=HEADERS).json()["data"]["id"]
        with _stall(server, STALLED["does not read its answer"], node) as reader:
            # 8 kB/s: on its way, but for ever.
            for _ in range(600):
                assert reader.recv(800)
                time.sleep(0.1)
                if not server._servers[0].watch._busy:
                    break
            else:
                pytest.fail("the server goes on sending")
            received = 0
            while data := reader.recv(1_000_000):
                received += len(data)
        assert received < 30_000_000


def test_whoever_moves_is_not_cut_off_for_others(store, monkeypatch):
    """Slow, but faster than those who stall: who has waited longest makes room first."""
    monkeypatch.setattr(workers, "_MOST", 24)
    monkeypatch.setattr(workers, "_SHORT_OF_THREADS", 1)
    add_user(store.database, "alice", token=TOKEN)
    content = os.urandom(3_000_000)
    with running_server(ShockApp(store)) as server, contextlib.ExitStack() as stalled:
        small = requests.post(f"{server.url}/node", data=content, headers=HEADERS).json()["data"]["id"]
        large = requests.post(f"{server.url}/node", data=os.urandom(30_000_000), headers=HEADERS).json()["data"]["id"]
        with requests.get(f"{server.url}/node/{small}?download", headers=HEADERS, stream=True) as response:
            received = [response.raw.read(100_000)]
            for _ in range(40):
                stalled.enter_context(_stall(server, STALLED["does not read its answer"], large))
            while data := response.raw.read(100_000):
                received.append(data)
                time.sleep(0.05)
        assert b"".join(received) == content
