"""The engine dies, or the command is killed, while an image is built or saved: nothing half-written is left."""

import os
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.engine import config_digest, write_image_context
from tests.support.lab import Lab

SIZE = 12_000_000


def connect(address: str) -> socket.socket:
    """Open a connection to the engine at a DOCKER_HOST."""
    kind, _, place = address.partition("://")
    if kind == "tcp":
        host, _, port = place.rpartition(":")
        return socket.create_connection((host, int(port)))
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(place)
    return connection


class Forwarder(socketserver.BaseRequestHandler):
    """Passes a connection on to the engine, and cuts it after so many bytes of its answers."""

    server: "Engine"

    def handle(self) -> None:
        with connect(self.server.address) as engine:
            threading.Thread(target=self._pass_requests, args=(engine,), daemon=True).start()
            with suppress(OSError):
                while piece := engine.recv(65536):
                    self.server.sent += len(piece)
                    if self.server.sent > self.server.limit:
                        # A reset, as when the engine's process is gone.
                        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                        break
                    self.request.sendall(piece)

    def _pass_requests(self, engine: socket.socket) -> None:
        with suppress(OSError):
            while piece := self.request.recv(65536):
                engine.sendall(piece)


class Engine(socketserver.ThreadingTCPServer):
    """The engine behind an address of its own, until it has answered `limit` bytes."""

    daemon_threads = True

    def __init__(self, address: str, limit: int) -> None:
        super().__init__(("127.0.0.1", 0), Forwarder)
        self.address, self.limit, self.sent = address, limit, 0


@contextmanager
def dying_engine(engine: str, limit: int) -> Iterator[str]:
    """Yield the DOCKER_HOST of an engine that is gone after `limit` bytes."""
    with Engine(engine, limit) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"tcp://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """Return a lab with a Dockerfile of an image of 12 MB that compresses badly."""
    made = Lab(tmp_path)
    write_image_context(tmp_path / "tool")
    (tmp_path / "tool/data/random").write_bytes(os.urandom(SIZE))
    return made


@pytest.fixture
def name(lab: Lab, namespace: str) -> str:
    """Return the name of the image in the list."""
    lab.write_list(f"name: '{namespace}/tool:1', dockerfile: tool/Dockerfile")
    return f"{namespace}/tool:1"


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"tool", "images.yaml", "store"}


SAVE = ("save", "build.json", "--archive", "image.tar.gz", "--record", "save.json")


@pytest.mark.parametrize("limit", [100_000, 2_000_000, 14_000_000])
def test_an_engine_that_dies_while_saving(lab: Lab, engine: str, name: str, limit: int) -> None:
    assert lab.run("build", name, "--record", "build.json").code == 0
    with dying_engine(engine, limit) as address:
        done = lab.run(*SAVE, DOCKER_HOST=address)
    assert (done.code, "went away at saving" in done.log) == (75, True), done.log
    assert left(lab.folder) == {"build.json"}


def test_an_engine_that_dies_while_publishing(lab: Lab, engine: str, name: str) -> None:
    assert lab.run("build", name, "--record", "build.json").code == 0
    with dying_engine(engine, 5_000_000) as address:
        done = lab.run("publish", name, DOCKER_HOST=address, SKYPORT_RETRY_SECONDS="1")
    assert (done.code, "engine" in done.log) == (75, True), done.log
    assert left(lab.folder) == {"build.json"}
    assert lab.do("ls") == {"images": []}


def test_an_engine_that_dies_while_building(lab: Lab, engine: str, name: str) -> None:
    with dying_engine(engine, 3_000) as address:
        done = lab.run("build", name, "--record", "build.json", DOCKER_HOST=address)
    assert done.code == 75, done.log
    assert left(lab.folder) == set()


@pytest.mark.parametrize("step", ["build", "save", "publish"])
def test_killed_at_any_time_the_same_command_ends_well(lab: Lab, name: str, step: str) -> None:
    arguments = {"build": ("build", name, "--record", "build.json"), "save": SAVE, "publish": ("publish", name)}[step]
    if step == "save":
        lab.run("build", name, "--record", "build.json")
    started = time.monotonic()
    assert lab.run(*arguments).code == 0
    took = time.monotonic() - started
    for moment in range(8):
        if step == "publish":
            lab.write_list(f"name: '{name}{moment}', dockerfile: tool/Dockerfile")
            arguments = ("publish", f"{name}{moment}")
        with lab.start(*arguments) as command:
            with suppress(subprocess.TimeoutExpired):
                command.wait(took * (moment + 0.5) / 8)
            command.kill()
        assert lab.run(*arguments).code == 0
        if step == "publish":
            check_one_node(lab, arguments[1])
    assert left(lab.folder) - {"build.json", "save.json", "image.tar.gz", "results", "images.lock.json"} == set()


def check_one_node(lab: Lab, name: str) -> None:
    (node,) = [image for image in lab.do("ls")["images"] if image["name"] == name]
    assert lab.do("resolve", name)["node"] == node["node"]
    assert node["image_id"] == config_digest(name)
