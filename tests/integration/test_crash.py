"""kill -9 at every point of publishing, then the same command again: always exactly one published node.

The points are the requests that a real server of the store receives: the command is killed by its process id
just before a request is answered, or just after. Commands that nobody kills run in this process.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from skyport_wf.cli.main import main
from skyport_wf.publication.attributes import CLAIM_TYPE, UPLOAD_TYPE
from skyport_wf.publication.resolve import resolve
from skyport_wf.shock.client import ShockClient
from skyport_wf.store.opening import Store, open_store
from skyport_wf.store.users import add_user
from tests.support.deadly_app import DeadlyApp
from tests.support.docker_archives import Image, layer_tar
from tests.support.lab import NAME, Lab
from tests.support.own_server import running_server
from tests.support.store_people import fast_folder

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
    "adopt": [["adopt", NAME]],
}
OLDER, NEWER = (Image((layer_tar({"file": content}),)).image_id for content in (b"older", b"newer"))


class FaultyApp(DeadlyApp):
    """Kills the command at a request, or fails: from one request on, or at that one only."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.struck = False
        self.heal()

    def fail(self, number: int, status: str, *, method: str = "", once: bool = False) -> None:
        """Answer with an error from the request of this number on; the next one has number 1.

        method: only requests of this method count, and fail.
        once: only that request fails.
        """
        self.struck = False
        self._failing = (number, status, method, once)

    def heal(self) -> None:
        self._failing = (0, "", "", True)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with self._lock:
            number, status, method, once = self._failing
            counts = not method or environ["REQUEST_METHOD"] == method
            self._failing = (number - counts, status, method, once)
            fails = counts and (number == 1 or (number < 1 and not once))
            self.struck = self.struck or fails
        if not fails:
            return super().__call__(environ, start_response)
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps({"status": int(status[:3]), "data": None, "error": ["refused"]}).encode()]


class Round:
    """A publisher of its own, with an image to publish, and the server that all rounds have."""

    def __init__(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lab = lab
        self.client = ShockClient(lab.variables["SHOCK_URL"])
        self._monkeypatch = monkeypatch

    def write_image(self, content: bytes) -> None:
        # Everything is large enough to go in parts.
        self.lab.write(layer_tar({"file": content}), settings="parts_above: 0", fields="replace: true")

    def run(self, *arguments: str, **variables: str) -> int:
        """Run a command in this process; return its exit code."""
        with self._monkeypatch.context() as patch:
            patch.chdir(self.lab.folder)
            for name, value in {**self.lab.variables, **variables}.items():
                patch.setenv(name, value)
            return main([*arguments, "--quiet"])

    def images(self) -> list[str]:
        """Return the ids of the images that have the name, as a worker without a token sees them."""
        return [str((node.attributes or {})["id"]) for node in self.client.query({"type": "dockerimage", "name": NAME})]

    def check_published(self) -> None:
        """One node has the name, an AWE worker without a token gets it, it stays, and it is the newer image."""
        (node,) = self.client.query({"type": "dockerimage", "name": NAME})
        assert resolve(self.client, NAME).id == node.id
        assert not node.expires
        assert (node.attributes or {})["id"] == NEWER
        assert self.lab.receipt()["node"] == node.id
        for kind in (UPLOAD_TYPE, CLAIM_TYPE):
            assert all(left.expires for left in self.client.query({"type": kind}))

    def check_resolves(self) -> str:
        """After a command that looks, a worker gets one image for good: the old one or the new one. Return its id."""
        assert self.run("resolve", NAME) == 0
        (image_id,) = self.images()
        assert image_id in (OLDER, NEWER)
        assert not resolve(self.client, NAME).expires
        return image_id

    def clean_up(self) -> None:
        """Delete what the round leaves: each of its claims would cost the next rounds requests."""
        owner = ShockClient(self.client.url, token=self.lab.variables["KB_AUTH_TOKEN"])
        for node in owner.query({"name": NAME}):
            owner.delete(node.id)


class Stage:
    """The server of all rounds."""

    def __init__(self, folder: Path, store: Store, app: FaultyApp, url: str) -> None:
        self.app = app
        self._folder, self._store, self._url = folder, store, url
        self._rounds = 0

    @contextmanager
    def new_round(self, monkeypatch: pytest.MonkeyPatch, *, replaces: bool) -> Iterator[Round]:
        self._rounds += 1
        user = f"user-{self._rounds}"
        lab = Lab(self._folder / user, add_user(self._store.database, user), SHOCK_URL=self._url)
        begun = Round(lab, monkeypatch)
        if replaces:
            begun.write_image(b"older")
            assert begun.run("publish", NAME) == 0
        begun.write_image(b"newer")
        try:
            yield begun
        finally:
            self.app.heal()
            begun.clean_up()

    def kill(self, begun: Round, way: str, number: int, *, before: bool) -> bool:
        """Run the commands, killed at the request of this number; return whether that came."""
        self.app.arm(number, before=before)
        killed = any(self.app.run(partial(begun.lab.start, *command)) == -signal.SIGKILL for command in STEPS[way])
        self.app.disarm()
        return killed


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with fast_folder() as folder, open_store(folder / "store") as store:
        app = FaultyApp(store)
        with running_server(app) as server:
            yield Stage(folder, store, app, server.url)


@pytest.mark.parametrize("replaces", [False, True], ids=["new", "replacing"])
@pytest.mark.parametrize("way", ["publish", "steps"])
def test_killed_at_any_request_the_same_command_ends_in_one_published_node(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, way: str, replaces: bool
) -> None:
    """Killed after a request, the command has not noted what it was answered: else, that is as good as before the next.

    Only the steps note anything before their end, and what replaces nothing shows that.
    """
    notes = way == "steps" and not replaces
    deaths = 0
    for number in range(1, 100):
        with stage.new_round(monkeypatch, replaces=replaces) as begun:
            if killed := stage.kill(begun, way, number, before=True):
                run_again(begun, way)
        deaths += killed
        if notes and killed:
            kill_after(stage, monkeypatch, way, number, replaces=replaces)
        if not killed:
            break
    assert deaths > 10
    # How often a command looks whether something is done may differ by a few.
    assert any(kill_after(stage, monkeypatch, way, last, replaces=replaces) for last in range(number - 1, 0, -1))


def kill_after(stage: Stage, monkeypatch: pytest.MonkeyPatch, way: str, number: int, *, replaces: bool) -> bool:
    """Kill the commands after the request of this number, and run them again; return whether it came."""
    with stage.new_round(monkeypatch, replaces=replaces) as begun:
        killed = stage.kill(begun, way, number, before=False)
        run_again(begun, way)
    return killed


def run_again(begun: Round, way: str) -> None:
    for command in STEPS[way]:
        assert begun.run(*command) == 0
    begun.check_published()


def test_killed_at_any_request_of_a_replacement_the_name_is_never_lost(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the next command that looks, a worker gets the old image or the new one, for good.

    Just before a request is as good as just after the one before: the server is in the same state.
    """
    deaths, both = 0, False
    for number in range(1, 100):
        killed, are_both_there = kill_replacing(stage, monkeypatch, number)
        deaths += killed
        both = both or are_both_there
        if not killed:
            break
    assert deaths > 10
    # How often a command looks whether something is done may differ by a few, and so the number of that request.
    both = both or any(kill_replacing(stage, monkeypatch, last)[1] for last in range(number, 0, -1))
    assert both, "the moment in which both have the name was met"


def kill_replacing(stage: Stage, monkeypatch: pytest.MonkeyPatch, number: int) -> tuple[bool, bool]:
    """Kill a replacement at a request; return whether that came, and whether both images had the name then."""
    with stage.new_round(monkeypatch, replaces=True) as begun:
        killed = stage.kill(begun, "publish", number, before=True)
        found = begun.images()
        assert 1 <= len(found) <= 2, "never nobody"
        assert begun.check_resolves() == (OLDER if found == [OLDER] else NEWER)
    return killed, len(found) == 2


def test_killed_at_any_request_of_an_adoption_the_name_is_never_lost(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plain tar of another tool becomes gzip in a new node: the same command again ends in that one node."""
    deaths = 0
    for number in range(1, 100):
        with stage.new_round(monkeypatch, replaces=False) as begun:
            put_plain_tar(begun)
            killed = stage.kill(begun, "adopt", number, before=True)
            assert 1 <= len(begun.images()) <= 2, "never nobody"
            assert begun.run("adopt", NAME) == 0
            assert begun.check_resolves() == NEWER
            assert begun.client.read_start(resolve(begun.client, NAME), 2) == b"\x1f\x8b"
        deaths += killed
        if not killed:
            break
    assert deaths > 10


def put_plain_tar(begun: Round) -> None:
    owner = ShockClient(begun.client.url, token=begun.lab.variables["KB_AUTH_TOKEN"])
    content = (begun.lab.folder / "image.tar").read_bytes()
    told = {"type": "dockerimage", "name": NAME, "id": NEWER}
    node = owner.create(lambda: [content], file_name="image.tar", attributes=told, expiration="1D")
    owner.set_public(node.id, True)
    owner.keep(node.id)


@pytest.mark.parametrize("status", ["503 Service Unavailable", "400 Bad Request"], ids=["outage", "refusal"])
def test_refused_at_any_request_of_a_replacement_the_name_is_never_lost(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    """From one request on the server answers nothing but errors, until the command has ended."""
    for number in range(1, 100):
        with stage.new_round(monkeypatch, replaces=True) as begun:
            stage.app.fail(number, status)
            # In a process of its own, which is gone then: nobody has to wait for its claim.
            code = begun.lab.run("publish", NAME, SKYPORT_RETRY_SECONDS="0").code
            stage.app.heal()
            assert 1 <= len(begun.images()) <= 2
            image_id = begun.check_resolves()
        if code == 0:
            assert image_id == NEWER
            break
        assert code in (1, 75)
    assert number > 10


@pytest.mark.parametrize("change", ["PUT", "DELETE"])
def test_a_single_change_that_is_refused_gives_the_name_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """One request fails and all that follow succeed: the old image has its name again, or the new one keeps it."""
    for number in range(1, 100):
        with stage.new_round(monkeypatch, replaces=True) as begun:
            stage.app.fail(number, "400 Bad Request", method=change, once=True)
            code = begun.run("publish", NAME, SKYPORT_RETRY_SECONDS="0")
            stage.app.heal()
            (image_id,) = begun.images()
            assert image_id == (NEWER if code == 0 else OLDER)
            assert not resolve(begun.client, NAME).expires
        if not stage.app.struck:
            break
    assert number > 1
