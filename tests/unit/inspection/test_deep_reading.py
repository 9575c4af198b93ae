"""`verify --deep`: what is damaged is found wherever it lies, and what was copied is read."""

import errno
import gzip
import json
import os
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from skyport_wf.cli.main import main
from skyport_wf.errors import AlteredError
from skyport_wf.progress import UNSEEN
from skyport_wf.shock.client import ShockClient
from skyport_wf.store.files import FileStore
from skyport_wf.store.opening import open_store
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.docker_archives import Image, canonical, layer_tar
from tests.support.failing_server import NODE, Answer, FailingServer
from tests.support.own_server import running_server

NAME = "lab/tool:1.0"
IMAGE = Image((layer_tar({"file": bytes(range(256)) * 200}),))


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Publish an image, and return the file of its node."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "image.tar").write_bytes(canonical(IMAGE, NAME))
    (tmp_path / "images.yaml").write_text(f"images: [{{name: '{NAME}', archive: image.tar}}]\n")
    assert main(["publish", "--all", "--quiet"]) == 0
    return stored_file()


def stored_file() -> Path:
    files = [path for path in Path(os.environ["SKYPORT_DATA"]).rglob("*") if path.is_file()]
    (found,) = [path for path in files if path.read_bytes().startswith(b"\x1f\x8b")]
    return found


def verified(capsys: pytest.CaptureFixture[str], *options: str, code: int = 3) -> str:
    capsys.readouterr()
    assert main(["verify", *options]) == code
    return capsys.readouterr().out


def test_all_is_right(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "every byte of its file read" in verified(capsys, "--deep", code=0)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "a bit": lambda data: data[:300] + bytes([data[300] ^ 1]) + data[301:],
    "the end": lambda data: data[:-1] + b"x",
    "cut off": lambda data: data[:-100],
    "nothing left": lambda data: b"",
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file(published: Path, capsys: pytest.CaptureFixture[str], damage: str) -> None:
    published.chmod(0o600)
    published.write_bytes(DAMAGES[damage](published.read_bytes()))
    verified(capsys, code=0)
    found = verified(capsys, "--deep")
    assert NAME in found
    assert f"Retire it (skyport-wf retire {NAME}) and publish it again" in found


def test_a_file_that_is_gone(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    published.unlink()
    assert "publish it again" in verified(capsys, "--deep")
    assert main(["files", NAME]) == 1
    said = capsys.readouterr().err
    assert said.startswith("skyport-wf: the embedded Shock refuses GET /node/")
    assert f"is damaged: the file is missing ({published}). Restore it from a backup, or retire the image" in said
    assert "`skyport-wf gc --check` finds all" in said


@pytest.mark.parametrize("damage", ["cut off", "gone"])
def test_a_file_that_a_server_has_lost_hides_no_other_image(
    published: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    other = Image((layer_tar({"file": b"other"}),))
    Path("other.tar").write_bytes(canonical(other, "lab/whole:1"))
    Path("images.yaml").write_text("images: [{name: 'lab/whole:1', archive: other.tar}]\n")
    assert main(["publish", "--all", "--quiet"]) == 0
    os.truncate(published, 100) if damage == "cut off" else published.unlink()
    monkeypatch.setenv("SKYPORT_RETRY_SECONDS", "30")
    with open_store(Path(os.environ["SKYPORT_DATA"])) as store, running_server(ShockApp(store)) as server:
        monkeypatch.setenv("SHOCK_URL", server.url)
        found = verified(capsys, "--deep")
        words = "the file has 100 bytes instead of" if damage == "cut off" else "the file is missing"
        assert f"with HTTP 500: the node is damaged: {words}" in found
        assert f"Retire it (skyport-wf retire {NAME}) and publish it again" in found
        assert "lab/whole:1" in found
        assert main(["pull", NAME, "--output", "copy.tar.gz"]) == 1
        assert f"the node is damaged: {words}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id": "sha256:" + "1" * 64}, "the image id of its file is"),
        ({"archive_sha256": "sha256:" + "2" * 64}, "the uncompressed SHA-256 of its file is"),
        ({"sha256": "sha256:" + "3" * 64}, "the SHA-256 of its file is"),
    ],
)
def test_another_file_than_is_said(
    published: Path, shock: ShockClient, capsys: pytest.CaptureFixture[str], change: dict[str, str], words: str
) -> None:
    (node,) = shock.query({"type": "dockerimage"})
    attributes: Any = node.attributes
    told = attributes if "id" in change else attributes["skyport_wf"]["archive"]
    told.update(change)
    shock.replace_attributes(node.id, attributes)
    assert words in verified(capsys, "--deep")


def test_the_lock_file_may_say_otherwise(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = json.loads(Path("images.lock.json").read_text())
    lock["images"][NAME]["archive_sha256"] = "sha256:" + "4" * 64
    Path("images.lock.json").write_text(json.dumps(lock))
    assert "the lock file says sha256:4444" in verified(capsys, "--deep")


def test_an_image_that_the_lock_file_lacks_is_read_too(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("images.lock.json").write_text('{"record": "skyport-wf lock 1", "images": {}}')
    assert "publish it again" not in verified(capsys, "--deep")
    published.unlink()
    assert "publish it again" in verified(capsys, "--deep")


@pytest.mark.slow
def test_a_damaged_file_is_not_copied(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Publishing it again sends it anew."""
    published.chmod(0o600)
    published.write_bytes(DAMAGES["a bit"](published.read_bytes()))
    assert main(["retire", NAME]) == 0
    assert main(["publish", "--all", "--quiet"]) == 0
    verified(capsys, "--deep", code=0)


def test_a_file_that_may_not_be_read_is_not_to_be_published_again(
    published: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a store of a group, where another user has not opened it yet."""

    def refuse(*_: object) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied", str(published))

    monkeypatch.setattr(FileStore, "open", refuse)
    found = verified(capsys, "--deep")
    assert "you may not use the store in" in found
    assert "publish it again" not in found


def test_nothing_is_said_of_a_file_that_something_on_the_way_changes(failing_server: FailingServer) -> None:
    """To retire it and publish it again would not help."""
    from skyport_wf.inspection.deep_reading import read_deeply

    client = ShockClient(failing_server.url)
    node = client.find(NODE["id"])
    assert node is not None
    failing_server.answers = [Answer(200, gzip.compress(b"x"), {"Content-Encoding": "gzip"})]
    with pytest.raises(AlteredError, match="in front of"):
        list(read_deeply(client, node, None, UNSEEN))


@pytest.mark.parametrize("cut", [0, 100, 300_000])
def test_a_file_that_another_server_has_lost_the_end_of(
    published: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    """It says how long the file is, sends what it has, and ends: so it looks each time, and hides no other image."""
    monkeypatch.setattr("skyport_wf.store.wsgi.downloads._has_size", lambda file, size: True)
    other = Image((layer_tar({"file": os.urandom(400_000)}),))
    Path("other.tar").write_bytes(canonical(other, "lab/cut:1"))
    Path("images.yaml").write_text("images: [{name: 'lab/cut:1', archive: other.tar}]\n")
    assert main(["publish", "--all", "--quiet"]) == 0
    files = [path for path in Path(os.environ["SKYPORT_DATA"]).rglob("*") if path.is_file()]
    (large,) = [path for path in files if path.read_bytes().startswith(b"\x1f\x8b") and path != published]
    os.truncate(large, cut)
    with open_store(Path(os.environ["SKYPORT_DATA"])) as store, running_server(ShockApp(store)) as server:
        monkeypatch.setenv("SHOCK_URL", server.url)
        found = verified(capsys, "--deep")
    assert re.search(
        r"lab/cut:1 +DIFFERS .*the download of lab/cut:1 broke off after .* It broke off there twice", found
    )
    assert NAME in found


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(published: Path, shock: ShockClient) -> None:
    from skyport_wf.inspection.deep_reading import read_deeply

    big = Image((layer_tar({"zeros": bytes(40 << 20)}),))
    content = gzip.compress(canonical(big, "lab/big:1"), 1)
    told = {"type": "dockerimage", "name": "lab/big:1", "id": big.image_id}
    node = shock.create(lambda: [content], file_name="a", attributes=told, expiration="1D")
    tracemalloc.start()
    assert list(read_deeply(shock, node, None, UNSEEN)) == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 15 << 20
