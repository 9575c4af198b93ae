"""kill -9 at every point of publishing, then the same command again: always exactly one published node.

The points are the requests that a real server of the store receives: the command is killed by its process id
just before a request is answered, or just after.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from skyport_wf.publication.attributes import CLAIM_TYPE, UPLOAD_TYPE
from skyport_wf.publication.resolve import resolve
from skyport_wf.serving.server import running_server
from skyport_wf.shock.client import ShockClient
from skyport_wf.store.opening import Store, open_store
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.deadly_app import DeadlyApp
from tests.support.docker_archives import Image, layer_tar
from tests.support.lab import NAME, Lab

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

STEPS = {
    "publish": [["publish", NAME, "--record", "receipt.json"]],
    "steps": [
        ["build", NAME, "--record", "build.json"],
        ["save", "build.json", "--archive", "image.tar.gz", "--record", "save.json"],
        ["upload", "save.json", "--record", "upload.json"],
        ["register", "upload.json", "--record", "receipt.json"],
    ],
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "store") as opened:
        yield opened


@contextmanager
def served_lab(folder: Path, store: Store, *, replaces: bool) -> Iterator[tuple[DeadlyApp, ShockClient, Lab]]:
    """Serve the store; yield the application, its client, and a publisher's lab with an image to publish."""
    app = DeadlyApp(store)
    with running_server(app) as server:
        lab = Lab(folder, add_user(store.database, folder.name), SHOCK_URL=server.url)
        if replaces:
            write_image(lab, b"older")
            assert lab.run("publish", NAME).code == 0
        write_image(lab, b"newer")
        yield app, ShockClient(server.url), lab


def write_image(lab: Lab, content: bytes) -> None:
    # `publish` sends a stream in one piece, the steps send parts.
    lab.write(layer_tar({"file": content}), settings="parts_above: 0", fields="replace: true")


@pytest.mark.parametrize("replaces", [False, True], ids=["new", "replacing"])
@pytest.mark.parametrize("way", STEPS)
def test_killed_at_any_request_the_same_command_ends_in_one_published_node(
    tmp_path: Path, store: Store, way: str, replaces: bool
) -> None:
    deaths = 0
    for before in (True, False):
        for deadly_request in range(1, 100):
            with served_lab(tmp_path / f"{before}-{deadly_request}", store, replaces=replaces) as (app, client, lab):
                app.arm(deadly_request, before=before)
                killed = any(app.run(partial(lab.start, *command)) == -signal.SIGKILL for command in STEPS[way])
                deaths += killed
                app.disarm()
                for command in STEPS[way]:
                    assert lab.run(*command).code == 0
                check_published(client, lab.folder)
                clean_up(client, lab)
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


def images_of(client: ShockClient) -> list[str]:
    """Return the ids of the images that have the name, as a worker without a token sees them."""
    return [str((node.attributes or {})["id"]) for node in client.query({"type": "dockerimage", "name": NAME})]


def clean_up(client: ShockClient, lab: Lab) -> None:
    """Delete what a round leaves: each of its claims would cost the next rounds requests."""
    owner = ShockClient(client.url, token=lab.variables["KB_AUTH_TOKEN"])
    for node in owner.query({"name": NAME}):
        owner.delete(node.id)


OLDER, NEWER = (Image((layer_tar({"file": content}),)).image_id for content in (b"older", b"newer"))


def test_killed_at_any_request_of_a_replacement_the_name_is_never_lost(tmp_path: Path, store: Store) -> None:
    """After the next command that looks, a worker gets the old image or the new one, for good.

    Just before a request is as good as just after the one before: the server is in the same state.
    """
    deaths, twice = 0, 0
    for deadly_request in range(1, 100):
        with served_lab(tmp_path / f"{deadly_request}", store, replaces=True) as (app, client, lab):
            app.arm(deadly_request)
            killed = app.run(partial(lab.start, "publish", NAME)) == -signal.SIGKILL
            app.disarm()
            found = images_of(client)
            assert 1 <= len(found) <= 2, "never nobody"
            twice += len(found) == 2
            looked = lab.run("resolve", NAME)
            assert looked.code == 0, looked.log
            (image_id,) = images_of(client)
            assert image_id in (OLDER, NEWER)
            if len(found) == 2 or found == [NEWER]:
                assert image_id == NEWER
                assert not resolve(client, NAME).expires
            clean_up(client, lab)
        deaths += killed
        if not killed:
            break
    assert deaths > 10
    assert twice, "the moment in which both have the name was met"


@pytest.mark.parametrize("status", ["503 Service Unavailable", "400 Bad Request"], ids=["outage", "refusal"])
def test_refused_at_any_request_of_a_replacement_the_name_is_never_lost(
    tmp_path: Path, store: Store, status: str
) -> None:
    """From one request on the server answers nothing but errors, until the command has ended."""
    for number in range(1, 100):
        with served_lab(tmp_path / f"{number}", store, replaces=True) as (_, client, lab):
            failing = FailingFrom(store, number, status)
            with running_server(failing) as server:
                done = lab.run("publish", NAME, SHOCK_URL=server.url, SKYPORT_RETRY_SECONDS="0")
            assert 1 <= len(images_of(client)) <= 2
            assert lab.run("resolve", NAME).code == 0
            (image_id,) = images_of(client)
            assert image_id in (OLDER, NEWER)
            assert not resolve(client, NAME).expires
            clean_up(client, lab)
        if done.code == 0:
            assert image_id == NEWER
            break
        assert done.code in (1, 75)
    assert number > 10


@pytest.mark.parametrize("change", ["PUT", "DELETE"])
def test_a_single_change_that_is_refused_gives_the_name_back(tmp_path: Path, store: Store, change: str) -> None:
    """One request fails and all that follow succeed: the old image has its name again, or the new one keeps it."""
    for number in range(1, 100):
        with served_lab(tmp_path / f"{number}", store, replaces=True) as (_, client, lab):
            failing = FailingFrom(store, number, "400 Bad Request", method=change, once=True)
            with running_server(failing) as server:
                done = lab.run("publish", NAME, SHOCK_URL=server.url, SKYPORT_RETRY_SECONDS="0")
            (image_id,) = images_of(client)
            assert image_id == (NEWER if done.code == 0 else OLDER), done.log
            assert not resolve(client, NAME).expires
            clean_up(client, lab)
        if not failing.struck:
            break
    assert number > 1


class FailingFrom:
    """A served store that fails, from one request on or at that one only."""

    def __init__(self, store: Store, number: int, status: str, *, method: str = "", once: bool = False) -> None:
        self._app = ShockApp(store)
        self._number = number
        self._status = status
        self._method = method
        self._once = once
        self._lock = threading.Lock()
        self.struck = False

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        with self._lock:
            if not self._method or environ["REQUEST_METHOD"] == self._method:
                self._number -= 1
            fails = self._number == 0 or (self._number < 0 and not self._once)
            fails = fails and (not self._method or environ["REQUEST_METHOD"] == self._method)
            self.struck = self.struck or fails
        if not fails:
            return self._app(environ, start_response)
        start_response(self._status, [("Content-Type", "application/json")])
        return [json.dumps({"status": int(self._status[:3]), "data": None, "error": ["refused"]}).encode()]
