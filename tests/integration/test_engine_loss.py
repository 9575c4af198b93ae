"""The engine dies, or the command is killed, while an image is built or saved: nothing half-written is left."""

import json
import os
import signal
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.commands import SKYPORT
from tests.support.engine import docker, write_image_context

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
def name(tmp_path: Path, namespace: str) -> str:
    """Return the name of an image of 12 MB that compresses badly, to be built in the test's folder."""
    write_image_context(tmp_path / "tool")
    (tmp_path / "tool/data/random").write_bytes(os.urandom(SIZE))
    name = f"{namespace}/tool:1"
    (tmp_path / "images.yaml").write_text(f"images:\n  - name: {name}\n    dockerfile: tool/Dockerfile\n")
    return name


def skyport(folder: Path, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "SKYPORT_DATA": str(folder / "store"), **variables}
    return subprocess.Popen(
        [SKYPORT, *arguments], cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def run(folder: Path, *arguments: str, **variables: str) -> tuple[int, str]:
    with skyport(folder, *arguments, **variables) as process:
        _, stderr = process.communicate(timeout=120)
    return process.returncode, stderr


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"tool", "images.yaml", "store"}


SAVE = ("save", "build.json", "--archive", "image.tar.gz", "--record", "save.json")


@pytest.mark.parametrize("limit", [100_000, 2_000_000, 14_000_000])
def test_an_engine_that_dies_while_saving(tmp_path: Path, engine: str, name: str, limit: int) -> None:
    assert run(tmp_path, "build", name, "--record", "build.json")[0] == 0
    with dying_engine(engine, limit) as address:
        code, stderr = run(tmp_path, *SAVE, DOCKER_HOST=address)
    assert (code, "went away at saving" in stderr, "Traceback" in stderr) == (75, True, False), stderr
    assert left(tmp_path) == {"build.json"}


def test_an_engine_that_dies_while_publishing(tmp_path: Path, engine: str, name: str) -> None:
    assert run(tmp_path, "build", name, "--record", "build.json")[0] == 0
    with dying_engine(engine, 5_000_000) as address:
        code, stderr = run(tmp_path, "publish", name, DOCKER_HOST=address, SKYPORT_RETRY_SECONDS="1")
    assert (code, "engine" in stderr, "Traceback" in stderr) == (75, True, False), stderr
    assert left(tmp_path) == {"build.json"}
    nodes = subprocess.run(
        [SKYPORT, "ls", "--json"],
        env={**os.environ, "SKYPORT_DATA": str(tmp_path / "store")},
        check=True,
        stdout=subprocess.PIPE,
    )
    assert json.loads(nodes.stdout) == {"images": []}


def test_an_engine_that_dies_while_building(tmp_path: Path, engine: str, name: str) -> None:
    with dying_engine(engine, 3_000) as address:
        code, stderr = run(tmp_path, "build", name, "--record", "build.json", DOCKER_HOST=address)
    assert (code, "Traceback" in stderr) == (75, False), stderr
    assert left(tmp_path) == set()


@pytest.mark.parametrize("step", ["build", "save", "publish"])
def test_killed_at_any_time_the_same_command_ends_well(tmp_path: Path, name: str, step: str) -> None:
    arguments = {"build": ("build", name, "--record", "build.json"), "save": SAVE, "publish": ("publish", name)}[step]
    if step == "save":
        run(tmp_path, "build", name, "--record", "build.json")
    started = time.monotonic()
    assert run(tmp_path, *arguments)[0] == 0
    took = time.monotonic() - started
    for moment in range(8):
        if step == "publish":
            (tmp_path / "images.yaml").write_text(
                f"images:\n  - name: {name}{moment}\n    dockerfile: tool/Dockerfile\n"
            )
            arguments = ("publish", f"{name}{moment}")
        with skyport(tmp_path, *arguments) as process:
            with suppress(subprocess.TimeoutExpired):
                process.wait(took * (moment + 0.5) / 8)
            process.send_signal(signal.SIGKILL)
        assert run(tmp_path, *arguments)[0] == 0
        if step == "publish":
            check_one_node(tmp_path, arguments[1])
    assert left(tmp_path) - {"build.json", "save.json", "image.tar.gz", "results", "images.lock.json"} == set()


def check_one_node(folder: Path, name: str) -> None:
    environment = {**os.environ, "SKYPORT_DATA": str(folder / "store")}
    listed = subprocess.run([SKYPORT, "ls", "--json"], env=environment, check=True, stdout=subprocess.PIPE)
    (node,) = [image for image in json.loads(listed.stdout)["images"] if image["name"] == name]
    resolved = subprocess.run([SKYPORT, "resolve", name, "--json"], env=environment, check=True, stdout=subprocess.PIPE)
    assert json.loads(resolved.stdout)["node"] == node["node"]
    assert node["image_id"] == docker("image", "inspect", "--format", "{{.Id}}", name).strip()
