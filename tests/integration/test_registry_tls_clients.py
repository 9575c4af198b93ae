"""Clients of registries that are no engine's and need none: ch-image, which wants TLS, and oras for Python."""

import gzip
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import oras.client
import pytest

from skyport_wf.registry.app import RegistryApp, ShockWithRegistry
from skyport_wf.registry.backend import EmbeddedBackend
from skyport_wf.store.opening import open_store
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.docker_archives import Image, layer_tar
from tests.support.http_server import Authority, http_server, make_authority
from tests.support.registry import publish
from tests.support.store_people import Person
from tests.support.timing import PATIENCE

pytestmark = pytest.mark.slow

BASE = layer_tar({"bin/bash": b"bash", "data/deep/file": b"below"})
TOP = layer_tar({"data/deep/file": b"what the image holds"})
IMAGE = Image((BASE, TOP))
NAME = "my-lab/tool"


class Registry(NamedTuple):
    """A registry with TLS that has the image."""

    host: str
    authority: Authority
    token: str
    """A user's."""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("tls")
    patch = pytest.MonkeyPatch()
    patch.setenv("SKYPORT_CACHE", str(folder / "cache"))
    with open_store(folder / "data") as store:
        shock, authority = ShockApp(store), make_authority(folder / "authority")
        token = add_user(store.database, "alice")
        publish(Person(shock, token), folder, f"{NAME}:1.0", IMAGE)
        with http_server(ShockWithRegistry(shock, RegistryApp(EmbeddedBackend(shock))), authority) as port:
            yield Registry(f"127.0.0.1:{port}", authority, token)
    patch.undo()


def test_ch_image(registry: Registry, tmp_path: Path) -> None:
    variables = {
        "HOME": str(tmp_path),
        "USER": "alice",
        # Its Python is the system's.
        "PATH": os.defpath,
        "CH_IMAGE_STORAGE": str(tmp_path / "storage"),
        "REQUESTS_CA_BUNDLE": str(registry.authority.certificates),
    }
    command = ["ch-image", "--no-cache", "pull", f"{registry.host}/{NAME}:1.0", "mine"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "storage/img/mine/data/deep/file").read_text() == "what the image holds"
    assert (tmp_path / "storage/img/mine/bin/bash").read_text() == "bash"


def test_oras(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(registry.authority.certificates))
    monkeypatch.setenv("HOME", str(tmp_path))
    client = oras.client.OrasClient(hostname=registry.host)
    address = f"{registry.host}/{NAME}"
    assert client.get_tags(address) == ["1.0"]
    manifest = client.get_manifest(f"{address}:1.0")
    assert manifest["config"]["digest"] == IMAGE.image_id
    pulled = client.pull(target=f"{address}:1.0", outdir=str(tmp_path / "pulled"))
    assert [gzip.decompress(Path(path).read_bytes()) for path in pulled] == [BASE, TOP]
    # What is no image is refused, with the reason.
    (tmp_path / "notes.txt").write_text("no image")
    client.login(hostname=registry.host, username="alice", password=registry.token)
    with pytest.raises(ValueError, match="BAD REQUEST"):
        client.push(
            target=f"{registry.host}/my-lab/notes:1", files=[str(tmp_path / "notes.txt")], disable_path_validation=True
        )
    assert (
        "it is not an image but 'application/vnd.unknown.config.v1+json', and AWE has a use for nothing else"
        in caplog.text
    )
