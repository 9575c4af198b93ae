"""A request passes through few modules: each is one more to have in mind when following it."""

import threading
from pathlib import Path

import pytest
import requests

import skyport_wf
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.own_server import running_server

TOKEN = "alices-own-token"
PACKAGE = Path(skyport_wf.__file__).parent
ROOMS = tuple(f"{PACKAGE / room}/" for room in ("store", "serving"))


@pytest.fixture
def entered():
    """Give the modules of which a function was called, in any thread that begins from now on."""
    modules = set()

    def note(frame, event, _):
        path = frame.f_code.co_filename
        if event == "call" and path.startswith(ROOMS):
            modules.add(Path(path).relative_to(PACKAGE).as_posix())

    threading.setprofile(note)
    yield modules
    threading.setprofile(None)


def test_an_upload_passes_through_at_most_twelve_modules(store, entered):
    add_user(store.database, "alice", token=TOKEN)
    with running_server(ShockApp(store)) as server:
        # The server has begun, and its threads run.
        requests.get(server.url)
        entered.clear()
        response = requests.post(
            f"{server.url}/node",
            files={"attributes": ("a.json", b'{"k": "v"}'), "upload": ("f", b"x" * 10_000_000)},
            headers={"Authorization": f"OAuth {TOKEN}"},
        )
        passed = set(entered)
    assert response.json()["data"]["file"]["size"] == 10_000_000
    assert {"serving/gateway.py", "store/wsgi/app.py", "store/files.py"} < passed
    assert len(passed) <= 12, sorted(passed)


def test_serving_knows_no_store(tmp_path):
    """Any WSGI application is served, its file by the kernel, and looked after now and then."""
    (tmp_path / "file").write_bytes(b"0123456789")

    def app(environ, start_response):
        file = (tmp_path / "file").open("rb")
        file.seek(2)
        start_response("200 OK", [("Content-Length", "5"), ("X-Body", environ["wsgi.input"].read().decode())])
        return environ["wsgi.file_wrapper"](file, 1024)

    with running_server(app) as server, requests.Session() as session:
        for _ in range(2):
            response = session.post(server.url, data=b"hello")
            assert (response.content, response.headers["X-Body"]) == (b"23456", "hello")
