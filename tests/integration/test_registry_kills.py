"""Pushes that are interrupted: server or client killed at any point publish nothing half, and leave what expires."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from skyport_wf.shock.client import ShockClient
from tests.support.docker_archives import Image
from tests.support.lab import MIB, ServedShock, incompressible_layer, make_user
from tests.support.registry import OCI_MANIFEST
from tests.support.timing import PATIENCE

pytestmark = pytest.mark.slow


class Client:
    """Someone who pushes over the network."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.token = token
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token}"

    def send(self, method: str, path: str, **arguments: Any) -> requests.Response:
        return self._session.request(method, self.url + path, timeout=PATIENCE, **arguments)

    def push_blob(self, blob: bytes, digest: str) -> None:
        assert self.send("POST", f"/v2/lab/tool/blobs/uploads/?digest={digest}", data=blob).status_code == 201

    def push(self, image: Image) -> requests.Response:
        """Push an image whose layers are plain tars."""
        for layer, digest in zip(image.layers, image.diff_ids, strict=True):
            if self.send("HEAD", f"/v2/lab/tool/blobs/{digest}").status_code != 200:
                self.push_blob(layer, digest)
        self.push_blob(image.config, image.image_id)
        layers = [
            {"mediaType": "application/vnd.oci.image.layer.v1.tar", "size": len(layer), "digest": digest}
            for layer, digest in zip(image.layers, image.diff_ids, strict=True)
        ]
        config = {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "size": len(image.config),
            "digest": image.image_id,
        }
        manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers}
        return self.send("PUT", "/v2/lab/tool/manifests/1.0", data=json.dumps(manifest).encode())


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ServedShock, Client]]:
    token = make_user(tmp_path / "store", "alice")
    monkeypatch.setenv("SKYPORT_CACHE", str(tmp_path / "cache"))
    with ServedShock(tmp_path / "store") as server:
        yield server, Client(server.url, token)


@pytest.mark.parametrize("after", [0.0, 0.05, 0.15, 0.3, 0.6])
def test_a_server_that_is_killed_while_it_publishes(site: tuple[ServedShock, Client], after: float) -> None:
    server, client = site
    image = Image((incompressible_layer(8 * MIB),))
    killer = threading.Timer(after, server.kill)
    killer.start()
    try:
        answered = client.push(image).status_code
    except requests.RequestException:
        answered = 0
    killer.join()
    server.start()
    everyone = ShockClient(server.url)
    published = everyone.query({"type": "dockerimage", "name": "lab/tool:1.0"})
    assert len(published) == 1 if answered == 201 else len(published) <= 1
    for node in published:
        assert node.file.complete
        assert requests.get(f"{server.url}/v2/lab/tool/manifests/1.0", timeout=PATIENCE).status_code == 200
    # The same push again ends well, whatever the first has left.
    assert client.push(image).status_code == 201
    (node,) = everyone.query({"type": "dockerimage", "name": "lab/tool:1.0"})
    assert not node.expires
    owner = ShockClient(server.url, token=client.token)
    assert all(other.expires for other in owner.query({"name": "lab/tool:1.0"}) if other.id != node.id)


def test_a_client_that_goes_away_in_the_middle_of_a_blob(site: tuple[ServedShock, Client]) -> None:
    server, client = site
    layer = incompressible_layer(4 * MIB)
    where = client.send("POST", "/v2/lab/tool/blobs/uploads/").headers["Location"]
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as connection:
        head = f"PATCH {where} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(layer)}\r\n"
        head += f"Authorization: Bearer {client.token}\r\n\r\n"
        connection.sendall(head.encode() + layer[: 2 * MIB])
    # What arrived is there, and the rest follows, as soon as the server has noticed.
    image = Image((layer,))
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit:
        arrived = int(client.send("GET", where).headers.get("Range", "0--1").partition("-")[2]) + 1
        assert arrived <= 2 * MIB
        if arrived > 1:
            follows = {"Content-Range": f"{arrived}-{len(layer) - 1}"}
            rest = client.send("PUT", f"{where}?digest={image.diff_ids[0]}", data=layer[arrived:], headers=follows)
            if rest.status_code == 201:
                break
            assert rest.status_code == 416, rest.text
        time.sleep(0.02)
    else:
        pytest.fail("the upload does not go on")
    assert client.push(image).status_code == 201
