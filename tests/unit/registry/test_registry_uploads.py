"""Blobs that are pushed, before a manifest names them: in pieces, at once, too many, never finished."""

import gzip
import hashlib
import io
import socket
from collections.abc import Callable

import pytest

from skyport_wf.registry import staging
from skyport_wf.registry.app import RegistryApp
from skyport_wf.registry.backend import RemoteBackend
from skyport_wf.registry.refusals import UploadInvalidError
from skyport_wf.store.files import Staging
from skyport_wf.store.refusals import FullError
from tests.support.own_server import running_server
from tests.support.registry import Pusher
from tests.unit.registry.conftest import IMAGE, NAME, TOOL, World


def test_a_blob_in_chunks_as_a_stream_and_at_once(world: World) -> None:
    pusher, blob = world.pusher("alice"), bytes(range(256)) * 40
    digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
    started = pusher.send("POST", f"/v2/{NAME}/blobs/uploads/")
    assert (started.status_code, started.headers["Range"]) == (202, "0-0")
    where = started.headers["Location"]
    # Of one byte it would be the same.
    assert "Range" not in pusher.send("GET", where).headers
    first = pusher.send("PATCH", where, blob[:100], Content_Range="0-99")
    assert (first.status_code, first.headers["Range"]) == (202, "0-99")
    # Out of order, or of another length than it says.
    for chunk_range in ("0-99", "101-200", "100-150", "x", "200-100"):
        assert pusher.send("PATCH", where, blob[100:200], Content_Range=chunk_range).status_code == 416
    # What is there already counts, wherever the client was interrupted.
    shown = pusher.send("GET", where)
    assert (shown.status_code, shown.headers["Range"]) == (204, "0-99")
    assert pusher.send("PATCH", where, blob[100:500]).headers["Range"] == "0-499"
    done = pusher.send("PUT", f"{where}?digest={digest}", blob[500:], Content_Range=f"500-{len(blob) - 1}")
    assert (done.status_code, done.headers["Location"]) == (201, f"/v2/{NAME}/blobs/{digest}")
    assert pusher.get(f"/v2/{NAME}/blobs/{digest}").data == blob
    assert pusher.get(f"/v2/{NAME}/blobs/{digest}", Range="bytes=3-9").data == blob[3:10]
    assert pusher.send("PATCH", where, b"x").status_code == 404
    at_once = pusher.send("POST", f"/v2/{NAME}/blobs/uploads/?digest={digest}", blob)
    assert at_once.status_code == 201
    # Nobody else has it, or its upload.
    for other in (world.nobody, world.pusher("bob"), world.pusher("admin")):
        assert other.get(f"/v2/{NAME}/blobs/{digest}").status_code == 404
    upload = pusher.send("POST", f"/v2/{NAME}/blobs/uploads/").headers["Location"]
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        assert world.pusher("bob").send(method, f"{upload}?digest={digest}").status_code == 404
    assert pusher.send("DELETE", upload).status_code == 204
    assert pusher.send("GET", upload).status_code == 404


def test_a_blob_of_another_digest_is_refused_and_gone(world: World) -> None:
    pusher = world.pusher("alice")
    wrong = f"sha256:{'7' * 64}"
    where = pusher.send("POST", f"/v2/{NAME}/blobs/uploads/").headers["Location"]
    assert pusher.error(f"{where}?digest={wrong}", method="PUT") == (400, "DIGEST_INVALID")
    assert pusher.send("GET", where).status_code == 404
    layer = gzip.compress(TOOL)
    for chunks in ([layer], [layer[:50], layer[50:]], [layer, layer], [b"x" + layer]):
        for digest in (wrong, f"sha256:{hashlib.sha256(chunks[0]).hexdigest()}"):
            where = pusher.send("POST", f"/v2/{NAME}/blobs/uploads/").headers["Location"]
            for chunk in chunks:
                assert pusher.send("PATCH", where, chunk).status_code == 202
            is_right = digest != wrong and len(chunks) == 1
            assert pusher.send("PUT", f"{where}?digest={digest}").status_code == (201 if is_right else 400)
            assert pusher.send("GET", where).status_code == 404
    for path in world.leftovers():
        path.unlink()
    for digest in ("", "x", "sha512:" + "7" * 128, "sha256:../../x"):
        assert pusher.send("POST", f"/v2/{NAME}/blobs/uploads/?digest={digest}").status_code == 400
    assert world.leftovers() == []


def test_uploads_that_are_never_finished_are_few_and_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "MOST_UPLOADS", 3)
    pusher = world.pusher("alice")
    for _ in range(3):
        assert pusher.send("POST", f"/v2/{NAME}/blobs/uploads/").status_code == 202
    assert pusher.error(f"/v2/{NAME}/blobs/uploads/", method="POST") == (429, "TOOMANYREQUESTS")
    # Others are not concerned.
    assert world.pusher("bob").send("POST", f"/v2/{NAME}/blobs/uploads/").status_code == 202
    monkeypatch.setattr(staging, "UPLOAD_SECONDS", -1)
    assert pusher.send("POST", f"/v2/{NAME}/blobs/uploads/").status_code == 202
    assert len(world.leftovers()) == 1


def test_blobs_that_no_manifest_takes_go(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pusher = world.pusher("alice")
    pusher.send_image(NAME, IMAGE)
    assert world.leftovers()
    monkeypatch.setattr(staging, "BLOB_SECONDS", -1)
    staging.expire()
    assert world.leftovers() == []


def test_an_upload_in_one_request_that_breaks_off_leaves_nothing(world: World) -> None:
    request = f"POST /v2/{NAME}/blobs/uploads/?digest=sha256:{'7' * 64} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
    with running_server(world.app) as server, socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(f"{request}Authorization: Bearer {world.tokens['alice']}\r\n\r\nabc".encode())
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1000):
            pass
        assert world.leftovers() == []


class Interleaved:
    """What a slow client sends: between its two pieces, another request does something."""

    def __init__(self, pieces: tuple[bytes, bytes], between: Callable[[], object]) -> None:
        self._pieces, self._between = list(pieces), between

    def read(self, size: int, /) -> bytes:
        if len(self._pieces) == 1:
            self._between()
        return self._pieces.pop(0) if self._pieces else b""


@pytest.mark.usefixtures("world")
def test_what_comes_late_is_not_added_to_a_blob_that_is_finished() -> None:
    mine = staging.Staging("token")
    digest = f"sha256:{hashlib.sha256(b'first').hexdigest()}"
    opened = mine.open_upload()
    with pytest.raises(UploadInvalidError):
        opened.append(Interleaved((b"first", b"late"), lambda: mine.upload(opened.identity).finish(digest)))
    blob = mine.blob(digest)
    assert blob
    assert blob.read_bytes() == b"first"


@pytest.mark.usefixtures("world")
def test_of_two_requests_that_add_to_an_upload_at_once_one_goes_on() -> None:
    mine = staging.Staging("token")
    opened = mine.open_upload()
    with pytest.raises(UploadInvalidError):
        opened.append(
            Interleaved((b"first", b"late"), lambda: mine.upload(opened.identity).append(io.BytesIO(b", second")))
        )
    assert opened.path.read_bytes() == b"first, second"
    mine.upload(opened.identity).finish(f"sha256:{hashlib.sha256(b'first, second').hexdigest()}")


def test_a_blob_that_is_too_large_or_a_disk_that_is_full(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pusher = world.pusher("alice")
    monkeypatch.setattr(staging, "LARGEST_BLOB", 1000)
    where = pusher.send("POST", f"/v2/{NAME}/blobs/uploads/").headers["Location"]
    assert pusher.send("PATCH", where, bytes(1001)).status_code == 413
    assert world.leftovers() == []
    monkeypatch.setattr(staging, "KEPT_FREE", 10**18)
    assert pusher.error(f"/v2/{NAME}/blobs/uploads/", method="POST") == (429, "TOOMANYREQUESTS")


def test_manifests_do_not_fill_the_disk(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pusher = world.pusher("alice")
    content = pusher.send_image(NAME, IMAGE)
    path = f"/v2/{NAME}/manifests/sha256:{hashlib.sha256(content).hexdigest()}"
    monkeypatch.setattr(staging, "MOST_FILES", len(world.leftovers()))
    assert pusher.send("PUT", path, content).status_code == 429
    # What has expired makes room.
    monkeypatch.setattr(staging, "BLOB_SECONDS", -1)
    assert pusher.send("PUT", path, content).status_code == 201
    monkeypatch.setattr(staging, "KEPT_FREE", 10**18)
    assert pusher.send("PUT", path, content).status_code == 429


@pytest.mark.parametrize("compress", [gzip.compress, bytes], ids=["gzip", "plain"])
def test_a_push_that_writes_here_needs_room(
    compress: Callable[[bytes], bytes], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_server(world.shock) as server:
        # A gateway sends the archive from a file; a layer that is not gzip is compressed into one.
        app = RegistryApp(RemoteBackend(server.url)) if compress is gzip.compress else world.app
        pusher = Pusher(app, world.tokens["alice"])
        manifest = pusher.send_image(NAME, IMAGE, compress=compress)
        monkeypatch.setattr(staging, "KEPT_FREE", 10**18)
        answer = pusher.send("PUT", f"/v2/{NAME}/manifests/1.0", manifest)
        assert (answer.status_code, answer.json["errors"][0]["code"]) == (429, "TOOMANYREQUESTS")
        monkeypatch.setattr(staging, "KEPT_FREE", 0)
        assert pusher.send("PUT", f"/v2/{NAME}/manifests/1.0", manifest).status_code == 201


@pytest.mark.parametrize("is_gateway", [False, True])
def test_a_shock_whose_disk_is_full(is_gateway: bool, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(self: Staging, data: bytes) -> int:
        raise FullError(world.folder, 1000, len(data))

    monkeypatch.setattr(Staging, "write", write)
    with running_server(world.shock) as server:
        app = RegistryApp(RemoteBackend(server.url)) if is_gateway else world.app
        answer = Pusher(app, world.tokens["alice"]).try_push(f"{NAME}:1.0", IMAGE)
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (429, "TOOMANYREQUESTS"), answer.text
    assert "disk is full" in answer.text
    assert str(world.folder) not in answer.text


def test_who_pushes_is_told_no_folders_of_the_server(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYPORT_CACHE", "/proc/nowhere")
    answer = world.pusher("alice").send("POST", f"/v2/{NAME}/blobs/uploads/")
    assert answer.status_code == 500
    assert "SKYPORT_CACHE" in answer.text
    assert "/proc/nowhere" not in answer.text
