"""A registry of the images on a Shock elsewhere: it stores nothing, and there may be several."""

import base64
import gzip
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from skyport_wf.errors import ShockError
from skyport_wf.image_list.spec import ShockSettings
from skyport_wf.registry.app import RegistryApp
from skyport_wf.registry.backend import RemoteBackend
from skyport_wf.shock.client import ShockClient
from tests.support.docker_archives import Image, layer_tar, sha256
from tests.support.failing_server import Answer, FailingServer, envelope
from tests.support.http_server import Recording
from tests.support.lab import MIB, incompressible_layer
from tests.support.own_server import running_server
from tests.support.registry import OCI_MANIFEST, Puller, Pusher, publish
from tests.support.timing import PATIENCE
from tests.unit.registry.conftest import World

BASE, TOOL = layer_tar({"base": b""}), layer_tar({"tool": bytes(300_000)})
OPEN, SECRET = Image((BASE, TOOL)), Image((layer_tar({"secret": b"secret"}),))


@pytest.fixture
def shock(world: World) -> Iterator[str]:
    """A Shock that is reached over HTTP, with a public image and a private one; its address."""
    publish(world.alice, world.folder, "lab/open:1", OPEN)
    publish(world.alice, world.folder, "lab/secret:1", SECRET, public=False)
    with running_server(world.shock) as server:
        yield server.url


def first_layer(puller: Puller, image: str) -> str:
    """Return the address of the lowest layer."""
    return f"/v2/{image}/blobs/{puller.json(f'/v2/{image}/manifests/1')['layers'][0]['digest']}"


def test_clients_are_sent_to_the_shock_for_what_everyone_may_read(world: World, shock: str) -> None:
    gateway = Puller(RegistryApp(RemoteBackend(shock)))
    answer = gateway.get(first_layer(gateway, "lab/open"))
    assert answer.status_code == 307
    # They go without the token that they have for the registry.
    there = requests.get(answer.headers["Location"], timeout=10)
    assert gzip.decompress(there.content) == BASE
    assert answer.headers["Location"].startswith(f"{shock}/node/")
    # The node may be another one's to read tomorrow.
    assert answer.headers["Cache-Control"] == "no-cache"


def test_who_takes_a_gateway_for_its_shock_is_told_which_that_is(world: World, shock: str) -> None:
    with running_server(RegistryApp(RemoteBackend(shock))) as gateway:
        client = ShockClient(gateway.url)
        for ask in (client.read_server, lambda: client.query({"type": "dockerimage"})):
            with pytest.raises(
                ShockError, match=rf"this is a registry of the images on {shock}, and no Shock\. Ask that"
            ):
                ask()


def test_a_client_that_wants_a_range_gets_it_from_here(world: World, shock: str) -> None:
    gateway = Puller(RegistryApp(RemoteBackend(shock)))
    path = first_layer(gateway, "lab/open")
    whole = requests.get(gateway.get(path).headers["Location"], timeout=10).content
    answer = gateway.get(path, Range="bytes=10-19")
    assert (answer.status_code, answer.data) == (206, whole[10:20])
    headed = gateway.get(path, method="HEAD")
    assert (headed.status_code, headed.headers["Content-Length"]) == (200, str(len(whole)))


@pytest.mark.parametrize("redirects", [True, False])
def test_private_images_are_streamed_for_who_may_read_them(world: World, shock: str, redirects: bool) -> None:
    app = RegistryApp(RemoteBackend(shock, redirects=redirects))
    owner, nobody = Puller(app, world.tokens["alice"]), Puller(app)
    config, (layer,) = owner.pull("lab/secret", "1")
    assert (config, gzip.decompress(layer)) == (SECRET.config, SECRET.layers[0])
    assert "private" in owner.get(first_layer(owner, "lab/secret")).headers["Cache-Control"]
    path = first_layer(owner, "lab/secret")
    for puller in (nobody, Puller(app, world.tokens["bob"])):
        assert puller.error("/v2/lab/secret/manifests/1") == (404, "MANIFEST_UNKNOWN")
        assert puller.error(path) == (404, "BLOB_UNKNOWN")
    assert Puller(app, "wrong").error("/v2/lab/open/manifests/1") == (401, "UNAUTHORIZED")


def test_all_goes_through_a_gateway_that_has_a_cache_in_front(world: World, shock: str) -> None:
    gateway = Puller(RegistryApp(RemoteBackend(shock, redirects=False)))
    config, layers = gateway.pull("lab/open", "1")
    assert (config, tuple(map(gzip.decompress, layers))) == (OPEN.config, OPEN.layers)
    answer = gateway.get(first_layer(gateway, "lab/open"))
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["ETag"] == f'"{answer.headers["Docker-Content-Digest"]}"'


def test_several_gateways_and_the_store_itself_have_the_same(world: World, shock: str) -> None:
    pullers = [world.nobody, *(Puller(RegistryApp(RemoteBackend(shock))) for _ in range(2))]
    manifests = [puller.get("/v2/lab/open/manifests/1") for puller in pullers]
    assert len({manifest.data for manifest in manifests}) == 1
    digest = manifests[0].headers["Docker-Content-Digest"]
    fresh = Puller(RegistryApp(RemoteBackend(shock)))
    assert fresh.get(f"/v2/lab/open/manifests/{digest}").data == manifests[0].data
    assert Puller(RegistryApp(RemoteBackend(shock))).get(first_layer(world.nobody, "lab/open")).status_code == 307
    assert fresh.json("/v2/_catalog") == {"repositories": ["lab/open"]}


def test_a_list_of_packages_that_another_gateway_told_of_is_there(
    world: World, shock: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = Image((layer_tar({"var/lib/dpkg/status": b"Package: tool\nVersion: 1\nArchitecture: all\n\n"}),))
    world.pusher("alice").push("lab/listed:1", image)
    subject = world.nobody.get("/v2/lab/listed/manifests/1").headers["Docker-Content-Digest"]
    gateway = Puller(RegistryApp(RemoteBackend(shock)))
    (artifact,) = gateway.json(f"/v2/lab/listed/referrers/{subject}")["manifests"]
    for cache in ("second", "third"):
        monkeypatch.setenv("SKYPORT_CACHE", str(world.folder / cache))
        another = Puller(RegistryApp(RemoteBackend(shock)))
        if cache == "second":
            (layer,) = another.json(f"/v2/lab/listed/manifests/{artifact['digest']}")["layers"]
        assert b"pkg:deb/tool@1" in another.blob("lab/listed", layer)


@pytest.mark.slow
def test_several_tags_of_one_image_are_pushed_at_once(world: World, shock: str) -> None:
    pusher = Pusher(RegistryApp(RemoteBackend(shock)), world.tokens["alice"])
    manifest = pusher.send_image("lab/many", Image((incompressible_layer(MIB),)))
    tags = ["1", "2", "3", "1", "2"]
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda tag: pusher.send("PUT", f"/v2/lab/many/manifests/{tag}", manifest), tags))
    assert [answer.status_code for answer in answers] == [201] * 5, [answer.text for answer in answers]
    assert {world.nobody.get(f"/v2/lab/many/manifests/{tag}").data for tag in tags} == {manifest}
    assert len(world.alice.find("query&type=dockerimage&repository=lab/many")) == 3


def test_an_image_under_other_names_is_as_it_was_pushed(world: World, shock: str) -> None:
    """The Shock copies a file only where its layers are those of the manifest, and what is told is of that file."""
    app = RegistryApp(RemoteBackend(shock, redirects=False))
    pusher = Pusher(app, world.tokens["alice"])
    names = ("lab/first", "lab/the-same-with-a-longer-name", "lab/compressed-otherwise")
    levels = (9, 9, 1)
    pushed = [
        pusher.push(f"{name}:1", OPEN, compress=lambda layer, level=level: gzip.compress(layer, level, mtime=0))
        for name, level in zip(names, levels, strict=True)
    ]
    nodes = {node["attributes"]["name"]: node for node in world.alice.find("query&type=dockerimage")}
    for name, manifest, level in zip(names, pushed, levels, strict=True):
        assert world.nobody.get(f"/v2/{name}/manifests/1", Accept=OCI_MANIFEST).data == manifest
        digest = f"sha256:{sha256(manifest)}"
        config, layers = world.nobody.pull(name, digest, OCI_MANIFEST)
        assert config == OPEN.config
        assert layers == [gzip.compress(layer, level, mtime=0) for layer in OPEN.layers]
        node = nodes[f"{name}:1"]
        told = node["attributes"]["skyport_wf"]
        assert (told["archive"]["size"], told["archive"]["md5"]) == (
            node["file"]["size"],
            node["file"]["checksum"]["md5"],
        )
        assert told["archive_name"] == ("lab/first:1" if name == names[1] else "")


def test_a_token_goes_to_the_shock_as_that_wants_it(world: World, shock: str) -> None:
    recorded = Recording(world.shock)
    token = world.tokens["alice"]
    with running_server(recorded) as server:
        puller = Puller(RegistryApp(RemoteBackend(server.url, auth="OAuth2")), token)
        assert puller.get("/v2/lab/secret/manifests/1").status_code == 200
        assert recorded.authorizations - {None} == {f"OAuth2 {token}"}
        recorded.authorizations.clear()
        basic = Puller(RegistryApp(RemoteBackend(server.url, auth="basic")))
        assert basic.get("/v2/", Authorization="Basic YWxpY2U6c2VjcmV0").status_code == 401
        assert recorded.authorizations == {"Basic YWxpY2U6c2VjcmV0"}


@pytest.mark.parametrize("password", ["secret", "my pass", "pässword:✓", "x" * 500])
def test_a_shock_that_knows_users_by_password(failing_server: FailingServer, password: str) -> None:
    failing_server.answers = [envelope([], total_count=0)]
    puller = Puller(RegistryApp(RemoteBackend(failing_server.url, auth="basic")))
    header = f"Basic {base64.b64encode(f'anna:{password}'.encode()).decode()}"
    token = puller.get("/v2/token", Authorization=header).json["token"]
    assert puller.get("/v2/", Authorization=f"Bearer {token}").status_code == 200
    assert {seen.headers["Authorization"] for seen in failing_server.seen} == {header}


@pytest.mark.parametrize("sent", ["Bearer anna:secret", "Bearer !", f"Bearer {'A' * 99_999}", "Basic YW5uYTo="])
def test_what_to_log_in_with_where_users_have_passwords(failing_server: FailingServer, sent: str) -> None:
    answer = Puller(RegistryApp(RemoteBackend(failing_server.url, auth="basic"))).get("/v2/", Authorization=sent)
    assert answer.status_code == 401
    assert "your user name and password at the Shock" in answer.text
    assert not failing_server.seen


def test_a_shock_that_is_gone_is_a_temporary_failure(world: World) -> None:
    with running_server(world.shock) as server:
        app = RegistryApp(RemoteBackend(server.url))
    assert Puller(app).error("/v2/lab/open/manifests/1") == (503, "UNAVAILABLE")
    assert Puller(app).get("/v2/").headers["Retry-After"] == "5"


def test_something_that_is_no_shock_is_said(failing_server: FailingServer) -> None:
    failing_server.answers = [Answer(200, b"<html>")]
    status, code = Puller(RegistryApp(RemoteBackend(failing_server.url))).error("/v2/")
    assert (status, code) == (500, "UNKNOWN")


def test_no_client_writes_lines_of_its_own_into_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SKYPORT_RETRY_SECONDS", "0")
    with running_server(RegistryApp(RemoteBackend("http://127.0.0.1:1"))) as gateway:
        path = "/v2/lab/open/manifests/1%0askyport-wf%20says%20so"
        answer = requests.get(gateway.url + path, headers={"Authorization": "Bearer anonymous"}, timeout=10)
    assert answer.status_code == 503
    assert any("manifests/1\\nskyport-wf says so: " in message for message in caplog.messages)
    assert not any("\n" in message for message in caplog.messages)


@pytest.mark.slow
def test_a_blob_that_breaks_off_does_not_end_well(world: World, shock: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The file is cut while it is sent.
    monkeypatch.setattr("skyport_wf.store.wsgi.downloads._has_size", lambda file, size: True)
    image = Image((incompressible_layer(3 * MIB),))
    publish(world.alice, world.folder, "lab/large:1", image)
    (stored,) = [
        path
        for path in (world.folder / "data").rglob("*")
        if path.is_file() and path.stat().st_size > 2 * MIB and path.open("rb").read(2) == b"\x1f\x8b"
    ]
    with running_server(RegistryApp(RemoteBackend(shock, redirects=False))) as gateway:
        path = first_layer(Puller(RegistryApp(RemoteBackend(shock))), "lab/large")
        stored.chmod(0o600)
        os.truncate(stored, 2 * MIB)
        with requests.get(gateway.url + path, timeout=10, stream=True) as answer:
            assert answer.status_code == 200
            with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
                assert answer.content == b""


@pytest.mark.slow
def test_what_is_pushed_to_a_gateway_is_published_on_the_shock(world: World, shock: str) -> None:
    app = RegistryApp(RemoteBackend(shock))
    image = Image((BASE, layer_tar({"new": b""})))
    manifest = Pusher(app, world.tokens["alice"]).push("lab/pushed:1", image)
    for puller in (world.nobody, Puller(RegistryApp(RemoteBackend(shock, redirects=False)))):
        assert puller.get("/v2/lab/pushed/manifests/1", Accept=OCI_MANIFEST).data == manifest
        assert puller.pull("lab/pushed", "1")[0] == image.config
    assert Pusher(app).send("POST", "/v2/lab/pushed/blobs/uploads/").status_code == 401
    # All of it is there by now, so nothing is sent but the manifest.
    answer = Pusher(app, world.tokens["bob"]).send("PUT", "/v2/lab/pushed/manifests/2", manifest)
    assert answer.status_code == 201, answer.text
    answer = Pusher(app, world.tokens["bob"]).try_push("lab/pushed:1", OPEN)
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (409, "DENIED")
    assert list((world.folder / "cache/registry/pushed").rglob("*.archive")) == []


@pytest.mark.slow
def test_a_large_push_through_a_gateway_goes_on_where_it_was_interrupted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skyport_wf.registry.push.ShockSettings", lambda: ShockSettings(parts_above=1, part_size=1))
    image = Image((incompressible_layer(5 * MIB),))
    interrupted = Interrupted(world.shock, after=3)
    with running_server(interrupted) as server:
        pusher = Pusher(RegistryApp(RemoteBackend(server.url)), world.tokens["alice"])
        assert pusher.try_push("lab/large:1", image).status_code == 503
        assert world.nobody.get("/v2/lab/large/manifests/1").status_code == 404
        sent, interrupted.after = interrupted.parts, 1000
        pusher.push("lab/large:1", image)
    # There are five large parts, of which most were not sent again.
    assert sent == 3
    assert interrupted.parts - sent < 5
    assert world.nobody.pull("lab/large", "1")[0] == image.config


class Interrupted:
    """A Shock whose answers stop after some parts of files."""

    def __init__(self, app: Any, *, after: int) -> None:
        self._app = app
        self.after = after
        self.parts = 0
        self._stored = 0
        self._changed = threading.Condition()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] != "PUT" or int(environ.get("CONTENT_LENGTH") or 0) < 10_000:
            return self._app(environ, start_response)
        # Parts come several at once.
        with self._changed:
            arrives = self.parts < self.after
            self.parts += arrives
            if not arrives:
                # The client takes back what is on its way when it sees this.
                assert self._changed.wait_for(lambda: self._stored == self.parts, PATIENCE)
                start_response("503 Service Unavailable", [("Content-Length", "0")])
                return []
        answer = self._app(environ, start_response)
        with self._changed:
            self._stored += 1
            self._changed.notify_all()
        return answer
