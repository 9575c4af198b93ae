"""Servers that are not quite what one expects: Shock without tokens, and KBase's Blobstore, which is no Shock."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from skyport_wf.publication.attributes import CLAIM_TYPE, UPLOAD_TYPE
from skyport_wf.publication.resolve import resolve
from skyport_wf.shock.client import ShockClient
from skyport_wf.store.opening import Store, open_store
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.http_server import Recording, http_server
from tests.support.lab import NAME, Lab, incompressible_layer

BLOBSTORE = {
    "servername": "blobstore",
    "serverversion": "0.1.2",
    "id": "Shock",
    "version": "0.9.6",
    "deprecationwarning": "The id and version fields are deprecated.",
    "servertime": 1700000000000,
    "gitcommit": "",
}
"""What KBase's Blobstore says of itself."""


class Blobstore(http.server.BaseHTTPRequestHandler):
    """Answers what KBase's Blobstore answers to a Shock client that begins to publish."""

    def do_GET(self) -> None:
        if self.path == "/":
            self._answer(200, BLOBSTORE)
        elif self.path.split("?")[0].rstrip("/") == "/node":
            self._refuse(405, "Method Not Allowed")
        else:
            self._refuse(404, "Node not found")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._refuse(400, "Unexpected form name: expiration")

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._refuse(405, "Method Not Allowed")

    def _refuse(self, status: int, message: str) -> None:
        self._answer(status, {"data": None, "error": [message], "status": status})

    def _answer(self, status: int, document: object) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing; the tests say what they saw."""


@pytest.fixture
def blobstore() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Blobstore) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    lab = Lab(tmp_path / "lab", "s3cr3t-t0ken")
    lab.write(incompressible_layer(1000))
    return lab


@pytest.mark.parametrize(
    "command",
    [["publish", "--all"], ["build", NAME, "--record", "build.json"], ["status"], ["resolve", NAME], ["ls"]],
    ids=lambda command: command[0],
)
def test_a_blobstore_is_told_from_a_shock(lab: Lab, blobstore: str, command: list[str]) -> None:
    before = sorted(lab.folder.rglob("*"))
    done = lab.run(*command, SHOCK_URL=blobstore)
    assert done.code == 1
    assert (
        f"{blobstore} is a KBase Blobstore: it has no attributes and no queries, so an image cannot have a name there, "
        "and AWE cannot find it. Give the URL of a Shock server."
    ) in done.log
    assert "Trying again" not in done.log
    assert sorted(lab.folder.rglob("*")) == before


def test_doctor_says_that_it_is_a_blobstore(lab: Lab, blobstore: str) -> None:
    findings = lab.findings(SHOCK_URL=blobstore)
    assert f"{blobstore} is a KBase Blobstore" in findings["Shock"]
    assert f"{blobstore} is a KBase Blobstore" in findings["token"]


RIGHTS = [frozenset({"read", "write", "delete"}), frozenset({"read", "write"})]


@pytest.mark.parametrize("rights", RIGHTS, ids=["may delete", "may not delete"])
def test_without_a_token_where_that_is_allowed(lab: Lab, store: Store, rights: frozenset[str]) -> None:
    app = Recording(ShockApp(store, anonymous=rights))
    with http_server(app) as port:
        url = f"http://127.0.0.1:{port}"
        lab.variables["KB_AUTH_TOKEN"] = ""
        for seed in (1, 2):
            lab.write(incompressible_layer(1000, seed=seed), fields="replace: true")
            done = lab.run("publish", "--all", SHOCK_URL=url, KB_AUTH_TOKEN="")
            assert done.code == 0, done.log
        client = ShockClient(url)
        node = resolve(client, NAME)
        assert client.read_access(node.id).owner == "public"
        assert client.query({"type": CLAIM_TYPE}) == []
        assert client.query({"type": UPLOAD_TYPE}) == []
    # Shock answers 401 to whoever asks for an ACL to be changed that nobody owns.
    assert not any("/acl/" in path for method, path, _ in app.answers if method != "GET")
    refused = [answer for answer in app.answers if answer[2] >= 400]
    assert all(method == "DELETE" for method, *_ in refused)
    assert bool(refused) == ("delete" not in rights)


def test_without_a_token_nothing_can_be_private(lab: Lab, store: Store) -> None:
    with http_server(ShockApp(store, anonymous=RIGHTS[0])) as port:
        done = lab.run("publish", "--all", "--private", SHOCK_URL=f"http://127.0.0.1:{port}", KB_AUTH_TOKEN="")
        assert done.code == 1
        assert (
            "cannot be private without a token: nobody would own it, and everyone could read it. Put a token into "
            in done.log
        )
        assert ShockClient(f"http://127.0.0.1:{port}").query({"type": "dockerimage"}) == []


@pytest.mark.parametrize("replace", ["false", "true"])
def test_a_name_on_a_node_of_someone_else(lab: Lab, store: Store, tmp_path: Path, replace: str) -> None:
    others = Lab(tmp_path / "others", add_user(store.database, "others"))
    add_user(store.database, "alice", token=lab.variables["KB_AUTH_TOKEN"])
    with http_server(ShockApp(store)) as port:
        url = f"http://127.0.0.1:{port}"
        others.write(incompressible_layer(1000, seed=2))
        assert others.run("publish", "--all", SHOCK_URL=url).code == 0
        lab.write(incompressible_layer(1000), fields=f"replace: {replace}")
        (before,) = ShockClient(url).query({"type": "dockerimage"})
        done = lab.run("publish", "--all", SHOCK_URL=url)
        assert done.code == 1
        expected = "published by another user" if replace == "true" else "published already, as another image"
        assert expected in done.log
        assert ShockClient(url).query({"type": "dockerimage"}) == [before]


def test_a_name_that_someone_else_took_after_the_upload(lab: Lab, store: Store, tmp_path: Path) -> None:
    """Nothing is published that could not replace what is there: two nodes of a name, and AWE has none."""
    others = Lab(tmp_path / "others", add_user(store.database, "others"))
    add_user(store.database, "alice", token=lab.variables["KB_AUTH_TOKEN"])
    with http_server(ShockApp(store)) as port:
        url = f"http://127.0.0.1:{port}"
        lab.write(incompressible_layer(1000), fields="replace: true")
        lab.save(url)
        assert lab.upload(url).code == 0
        others.write(incompressible_layer(1000, seed=2))
        assert others.run("publish", "--all", SHOCK_URL=url).code == 0
        done = lab.register(url)
        assert done.code == 1
        assert "published by another user" in done.log
        assert len(ShockClient(url).query({"type": "dockerimage"})) == 1


def test_a_tool_that_knows_no_claims_publishes_at_the_same_moment(lab: Lab, store: Store) -> None:
    """With two nodes AWE would have none: ours, not finished yet, gives way."""
    add_user(store.database, "alice", token=lab.variables["KB_AUTH_TOKEN"])
    admin = add_user(store.database, "admin", admin=True)

    class Rival(ShockApp):
        """Has another tool publish the name just after we looked for it, while we claim it."""

        def __call__(self, environ, start_response):  # type: ignore[no-untyped-def]
            answer = super().__call__(environ, start_response)
            if environ["REQUEST_METHOD"] == "PUT" and environ["PATH_INFO"].endswith("public_read") and armed:
                if armed.pop() == "claim":
                    return answer
                theirs = {"type": "dockerimage", "name": NAME, "repository": "lab/tool", "tag": "1.0", "id": "sha256:0"}
                client = ShockClient(url, token=admin)
                client.set_public(
                    client.create(lambda: [b"x"], file_name="x", attributes=theirs, expiration="2D").id, True
                )
            return answer

    armed = ["upload", "claim"]
    with http_server(Rival(store)) as port:
        url = f"http://127.0.0.1:{port}"
        lab.save(url)
        assert lab.upload(url).code == 0
        done = lab.register(url)
        assert done.code == 1
        assert "2 nodes have this name, and it takes exactly one" in done.log
        (node,) = ShockClient(url).query({"type": "dockerimage"})
        assert (node.attributes or {})["id"] == "sha256:0"
