"""kill -9 at every point of publishing, then the same command again: always exactly one published node.

The points are the requests that a real server of the store receives: the command is killed by its process id
just before a request is answered, or just after.
"""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from skyport_wf.publication.attributes import CLAIM_TYPE, UPLOAD_TYPE
from skyport_wf.publication.resolve import resolve
from skyport_wf.serving.server import running_server
from skyport_wf.shock.client import ShockClient
from skyport_wf.store.opening import Store, open_store
from skyport_wf.store.users import add_user
from tests.support.deadly_app import DeadlyApp
from tests.support.docker_archives import Image, layer_tar
from tests.support.lab import NAME, Lab

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
                (node,) = client.query({"type": "dockerimage", "name": NAME})
                ShockClient(client.url, token=lab.variables["KB_AUTH_TOKEN"]).delete(node.id)
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
