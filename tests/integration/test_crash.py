"""kill -9 at every point of publishing, then the same command again: always exactly one published node.

The points are the requests that a real server of the store receives: the command is killed by its process id
just before a request is answered, or just after.
"""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from skyport_wf.publication.attributes import CLAIM_TYPE, UPLOAD_TYPE
from skyport_wf.publication.resolve import resolve
from skyport_wf.serving.server import running_server
from skyport_wf.shock.client import ShockClient
from skyport_wf.store.opening import Store, open_store
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.commands import SKYPORT
from tests.support.docker_archives import Image, layer_tar, legacy, tar_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

NAME = "lab/tool:1.0"
STEPS = {
    "publish": [["publish", NAME, "--record", "receipt.json"]],
    "steps": [
        ["build", NAME, "--record", "build.json"],
        ["save", "build.json", "--archive", "image.tar.gz", "--record", "save.json"],
        ["upload", "save.json", "--record", "upload.json"],
        ["register", "upload.json", "--record", "receipt.json"],
    ],
}


class DeadlyApp(ShockApp):
    """Kills a process when a request of a certain number arrives, or has been answered."""

    victim: subprocess.Popen[bytes] | None = None
    deadly_request = 0
    before = False

    def arm(self, deadly_request: int, *, before: bool) -> None:
        self._requests, self._lock = 0, threading.Lock()
        self.deadly_request, self.before = deadly_request, before

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        with self._lock:
            self._requests += 1
            deadly = self._requests == self.deadly_request
        if deadly and self.before:
            self._kill()
        answer = super().__call__(environ, start_response)
        if deadly and not self.before:
            self._kill()
        return answer

    def _kill(self) -> None:
        assert self.victim
        os.kill(self.victim.pid, signal.SIGKILL)
        self.victim.wait()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "store") as opened:
        yield opened


@contextmanager
def lab(folder: Path, store: Store, *, replaces: bool) -> Iterator[tuple[DeadlyApp, ShockClient, dict[str, str]]]:
    """Serve the store; yield the application, its client and a publisher's environment; `folder` has the image list."""
    token = add_user(store.database, folder.name)
    app = DeadlyApp(store, anonymous=frozenset({"read"}))
    app.arm(0, before=True)
    with running_server(app) as server:
        variables = {"SHOCK_URL": server.url, "KB_AUTH_TOKEN": token}
        if replaces:
            write_list(folder, b"older")
            run(["publish", NAME], folder, variables)
        write_list(folder, b"newer")
        yield app, ShockClient(server.url), variables


def write_list(folder: Path, content: bytes) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "image.tar").write_bytes(tar_of(legacy(Image((layer_tar({"file": content}),)))))
    (folder / "images.yaml").write_text(
        # `publish` sends a stream in one piece, the steps send parts.
        f"shock: {{parts_above: 0}}\nimages:\n  - name: {NAME}\n    archive: image.tar\n    replace: true\n"
    )


def run(command: list[str], folder: Path, variables: dict[str, str], app: DeadlyApp | None = None) -> int:
    process = subprocess.Popen(
        [SKYPORT, *command], cwd=folder, env={**os.environ, **variables}, stdout=subprocess.DEVNULL
    )
    if app:
        app.victim = process
    return process.wait()


@pytest.mark.parametrize("replaces", [False, True], ids=["new", "replacing"])
@pytest.mark.parametrize("way", STEPS)
def test_killed_at_any_request_the_same_command_ends_in_one_published_node(
    tmp_path: Path, store: Store, way: str, replaces: bool
) -> None:
    deaths = 0
    for before in (True, False):
        for deadly_request in range(1, 100):
            folder = tmp_path / f"{before}-{deadly_request}"
            with lab(folder, store, replaces=replaces) as (app, client, variables):
                app.arm(deadly_request, before=before)
                killed = any(run(command, folder, variables, app) == -signal.SIGKILL for command in STEPS[way])
                deaths += killed
                app.arm(0, before=before)
                for command in STEPS[way]:
                    assert run(command, folder, variables) == 0
                check_published(client, folder)
                (node,) = client.query({"type": "dockerimage", "name": NAME})
                ShockClient(client.url, token=variables["KB_AUTH_TOKEN"]).delete(node.id)
            if not killed:
                break
    assert deaths > 10


def check_published(client: ShockClient, folder: Path) -> None:
    """One node has the name, an AWE worker without a token gets it, it stays, and it is the newer image."""
    (node,) = client.query({"type": "dockerimage", "name": NAME})
    assert resolve(client, NAME).id == node.id
    assert not node.expires
    image = Image((layer_tar({"file": b"newer"}),))
    assert (node.attributes or {})["id"] == image.image_id
    assert json.loads((folder / "receipt.json").read_text())["node"] == node.id
    for kind in (UPLOAD_TYPE, CLAIM_TYPE):
        assert all(left.expires for left in client.query({"type": kind}))
