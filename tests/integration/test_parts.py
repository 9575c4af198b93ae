"""Archives in parts: killed and begun again, only what is missing is sent; what cannot become right is given up."""

import json
import os
import random
import re
import signal
import subprocess
from collections.abc import Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from skyport_wf.cli.main import main
from skyport_wf.image_list.spec import ShockSettings
from skyport_wf.progress import UNSEEN
from skyport_wf.publication.attributes import UPLOAD_TYPE
from skyport_wf.publication.connection import open_shock
from skyport_wf.records.files import read_record
from skyport_wf.records.records import SaveRecord
from skyport_wf.shock.client import ShockClient
from skyport_wf.shock.node import Node
from skyport_wf.steps.upload import upload
from skyport_wf.store.opening import open_store
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from skyport_wf.transfer import parts_node
from skyport_wf.transfer.parts import plan_parts, range_of_file
from skyport_wf.transfer.parts_upload import PartsUpload
from skyport_wf.transfer.unfinished import ProgressFile
from tests.support.commands import Command
from tests.support.engine import write_image_context
from tests.support.fault_proxy import Fault, FaultProxy, kill_at
from tests.support.lab import MIB, NAME, Lab, ServedShock, incompressible_layer, make_user, served, the_published_node
from tests.support.own_server import running_server
from tests.support.small_disk import small_disk
from tests.support.timing import PATIENCE

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PART = MIB
SETTINGS = "parts_above: 2, part_size: 1, connections: 4"
DEEP = b'{"record": "skyport-wf parts 1", "x": ' + b"[" * 100_000
"""What a reader that follows each bracket dies of."""
UPLOAD = ["upload", "save.json", "--record", "upload.json"]


@pytest.mark.parametrize("size", [1, MIB, 4 * MIB, 4 * MIB + 1, 9 * MIB - 1, 5000 * MIB, 5001 * MIB])
def test_parts_cover_the_archive(size: int) -> None:
    parts = plan_parts(size, ShockSettings(part_size=4))
    assert [part.number for part in parts] == list(range(1, len(parts) + 1))
    assert [part.start for part in parts] == [sum(part.size for part in parts[:number]) for number in range(len(parts))]
    assert sum(part.size for part in parts) == size
    assert len(parts) <= 1000
    assert min(part.size for part in parts) > 0


def owner(server: ServedShock, lab: Lab) -> ShockClient:
    return ShockClient(server.url, token=lab.variables["KB_AUTH_TOKEN"])


def uploads(server: ServedShock, lab: Lab) -> list[Node]:
    return owner(server, lab).query({"type": UPLOAD_TYPE})


def kill_upload(lab: Lab, proxy: FaultProxy, byte: int) -> None:
    kill_at(proxy, byte, lambda: lab.start(*UPLOAD, SHOCK_URL=proxy.url))


def test_killed_again_and_again_it_sends_only_what_is_missing(tmp_path: Path) -> None:
    with served(tmp_path) as (server, lab), FaultProxy(server.url) as proxy:
        image = lab.write(incompressible_layer(40 * MIB), settings=SETTINGS)
        digests = lab.save(server.url)
        for at in (3 * MIB, 7 * MIB + 1, 5 * MIB - 1, 500, 12 * MIB):
            kill_upload(lab, proxy, at)
            (node,) = uploads(server, lab)
            assert node.expires
            assert not owner(server, lab).read_access(node.id).public.read
        done = lab.upload(proxy.url)
        assert done.code == 0, done.log
        assert f"to node {node.id} in 4" in done.log
        # Each of the five deaths costs at most the parts that were under way.
        assert proxy.sent < digests["size"] + 5 * 4 * PART + 100_000
        assert [one.id for one in uploads(server, lab)] == [node.id]
        assert lab.register(proxy.url).code == 0
        assert the_published_node(server.url, image, digests).id == node.id
        assert sorted(path.name for path in lab.folder.glob("upload.json*")) == ["upload.json"]


def test_killed_after_the_last_part_nothing_is_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(tmp_path) as (server, lab), FaultProxy(server.url) as proxy:
        lab.write(incompressible_layer(5 * MIB), settings=SETTINGS)
        lab.save(server.url)
        save = read_record(lab.folder / "save.json", SaveRecord)
        assert save.saved
        monkeypatch.setenv("SHOCK_URL", proxy.url)
        monkeypatch.setenv("KB_AUTH_TOKEN", lab.variables["KB_AUTH_TOKEN"])
        # What the command has done when it is killed before it writes its record.
        with open_shock(save.build.shock) as shock:
            parts = PartsUpload(
                shock, save.build, range_of_file(lab.folder / "image.tar.gz"), save.saved.digests,
                progress_file=ProgressFile(lab.folder / "upload.json.progress"),
            )  # fmt: skip
            node = parts.finish(None, UNSEEN)
        sent = proxy.sent
        assert lab.upload(proxy.url).code == 0
        assert proxy.sent - sent < 20_000
        assert [one.id for one in uploads(server, lab)] == [node.id]


def test_progress_of_another_archive_is_not_gone_on_with(tmp_path: Path) -> None:
    with served(tmp_path) as (server, lab), FaultProxy(server.url) as proxy:
        lab.write(incompressible_layer(10 * MIB, seed=1), settings=SETTINGS)
        lab.save(server.url)
        kill_upload(lab, proxy, 5 * MIB)
        image = lab.write(incompressible_layer(10 * MIB, seed=2), settings=SETTINGS)
        digests = lab.save(server.url)
        done = lab.upload(proxy.url)
        assert done.code == 0, done.log
        assert re.search(r"in \d+ parts, it has 0", done.log)
        assert lab.register(proxy.url).code == 0
        the_published_node(server.url, image, digests)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"record": "something else"}', b"\xff\x00", DEEP])
def test_a_damaged_progress_file_is_no_trouble(tmp_path: Path, content: bytes) -> None:
    with served(tmp_path) as (server, lab):
        lab.write(incompressible_layer(3 * MIB), settings=SETTINGS)
        lab.save(server.url)
        (lab.folder / "upload.json.progress").write_bytes(content)
        assert lab.upload(server.url).code == 0


def test_an_upload_that_vanished_begins_anew(tmp_path: Path) -> None:
    with served(tmp_path) as (server, lab), FaultProxy(server.url) as proxy:
        lab.write(incompressible_layer(10 * MIB), settings=SETTINGS)
        lab.save(server.url)
        kill_upload(lab, proxy, 5 * MIB)
        (node,) = uploads(server, lab)
        owner(server, lab).delete(node.id)
        assert lab.upload(proxy.url).code == 0
        assert [one.id for one in uploads(server, lab)] != [node.id]


def test_a_node_that_was_registered_since_is_not_touched(tmp_path: Path) -> None:
    with served(tmp_path) as (server, lab), FaultProxy(server.url) as proxy:
        lab.write(incompressible_layer(10 * MIB), settings=SETTINGS)
        lab.save(server.url)
        kill_upload(lab, proxy, 5 * MIB)
        kept = (lab.folder / "upload.json.progress").read_bytes()
        assert lab.upload(proxy.url).code == 0
        assert lab.register(proxy.url).code == 0
        (lab.folder / "upload.json.progress").write_bytes(kept)
        (published,) = ShockClient(server.url).query({"type": "dockerimage"})
        assert lab.run("retire", "lab/tool:1.0", SHOCK_URL=proxy.url).code == 0
        assert lab.upload(proxy.url).code == 0
        (again,) = uploads(server, lab)
        assert again.id != published.id


def test_a_part_that_arrives_damaged(tmp_path: Path) -> None:
    with served(tmp_path) as (server, lab), FaultProxy(server.url, [Fault("flip", 3 * MIB)]) as proxy:
        image = lab.write(incompressible_layer(8 * MIB), settings=SETTINGS)
        digests = lab.save(server.url)
        done = lab.upload(proxy.url)
        assert done.code == 0
        assert "arrived damaged" in done.log
        assert "Starting anew" in done.log
        assert len(uploads(server, lab)) == 1
        assert lab.register(proxy.url).code == 0
        the_published_node(server.url, image, digests)


def test_parts_that_the_server_cannot_join(tmp_path: Path) -> None:
    with served(tmp_path) as (server, lab):
        lab.write(incompressible_layer(8 * MIB), settings=SETTINGS)
        lab.save(server.url)

        def lose_a_part() -> None:
            stored = max((tmp_path / "store/files").rglob("*"), key=lambda path: path.is_file() and path.stat().st_size)
            stored.unlink()

        with FaultProxy(server.url, [Fault("call", 7 * MIB, lose_a_part)]) as proxy:
            done = lab.upload(proxy.url)
        assert done.code == 0
        assert "could not join the parts" in done.log
        assert "Starting anew" in done.log
        assert len(uploads(server, lab)) == 1


class Forgetful(ShockApp):
    """As if it had been started again while it joined the parts of its first node: it never goes on with that one."""

    forgotten = ""

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "GET" and environ["PATH_INFO"] == f"/node/{self.forgotten}":
            answer = json.loads(b"".join(super().__call__(environ, lambda *_: lambda _: None)))
            if answer["data"]:
                answer["data"]["file"] |= {"checksum": {}, "locked": None}
                body = json.dumps(answer).encode()
                headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
                start_response("200 OK", headers)
                return [body]
        answered = super().__call__(environ, start_response)
        if (environ["REQUEST_METHOD"], environ["PATH_INFO"], self.forgotten) == ("POST", "/node", ""):
            answered = [b"".join(answered)]
            self.forgotten = json.loads(answered[0])["data"]["id"]
        return answered


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["upload", "publish"])
def test_parts_that_the_server_forgot_to_join(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    lab = Lab(tmp_path / "lab")
    image = lab.write(incompressible_layer(2 * MIB + 1), settings=SETTINGS)
    monkeypatch.chdir(lab.folder)
    monkeypatch.setattr(parts_node, "_FORGOTTEN_SECONDS", 0.1)
    with open_store(tmp_path / "store") as store:
        monkeypatch.setenv("KB_AUTH_TOKEN", add_user(store.database, "alice"))
        app = Forgetful(store)
        with running_server(app) as server:
            monkeypatch.setenv("SHOCK_URL", server.url)
            if verb == "upload":
                assert main(["build", NAME, "--record", "build.json"]) == 0
                assert main(["save", "build.json", "--archive", "image.tar.gz", "--record", "save.json"]) == 0
                assert main(UPLOAD) == 0
                assert main(["register", "upload.json", "--record", "receipt.json"]) == 0
            else:
                assert main(PUBLISH) == 0
            log = capsys.readouterr().err
            assert f"could not join the parts of node {app.forgotten}: it has forgotten them" in log
            assert log.count("Starting anew") == 1
            assert the_published_node(server.url, image, lab.receipt()).id != app.forgotten
            owner = ShockClient(server.url, token=os.environ["KB_AUTH_TOKEN"])
            assert owner.find(app.forgotten) is None
            assert owner.query({"type": UPLOAD_TYPE}) == []


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["upload", "publish"])
def test_a_server_without_room_to_join_is_said_and_gone_on_with(tmp_path: Path, verb: str) -> None:
    (tmp_path / "store").mkdir()
    with small_disk(tmp_path / "store", size=16 * MIB) as disk, served(tmp_path) as (server, lab):
        image = lab.write(incompressible_layer(10 * MIB), settings=SETTINGS)
        if verb == "upload":
            lab.save(server.url)
        command = UPLOAD if verb == "upload" else PUBLISH
        with FaultProxy(server.url) as proxy:
            for _ in range(2):
                done = lab.run(*command, SHOCK_URL=proxy.url)
                assert done.code == 1, done.log
                (node,) = owner(server, lab).query({"type": UPLOAD_TYPE})
                said = f"could not join the parts of node {node.id}: the server's disk is full: "
                assert done.log.count(said) == 1
                assert "are needed. The parts are there: make room" in done.log
                assert ".." not in done.log.replace("...", "")
                assert "Starting anew" not in done.log
                assert str(disk) not in done.log
            sent = proxy.sent
            subprocess.run(["mount", "-o", f"remount,size={64 * MIB}", disk], check=True)
            done = lab.run(*command, SHOCK_URL=proxy.url)
            assert done.code == 0, done.log
            assert proxy.sent - sent < 100_000
            if verb == "upload":
                assert lab.register(proxy.url).code == 0
        assert the_published_node(server.url, image, lab.receipt()).id == node.id


def test_an_archive_that_shrinks_or_goes_meanwhile(tmp_path: Path) -> None:
    with served(tmp_path) as (server, lab):
        lab.write(incompressible_layer(8 * MIB), settings=SETTINGS)
        lab.save(server.url)
        archive = lab.folder / "image.tar.gz"
        with FaultProxy(server.url, [Fault("call", 2 * MIB, lambda: os.truncate(archive, 6 * MIB))]) as proxy:
            done = lab.upload(proxy.url)
        assert done.code == 1
        assert "became shorter" in done.log


def test_progress_is_told_once_for_each_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(tmp_path) as (server, lab):
        lab.write(incompressible_layer(8 * MIB), settings=SETTINGS)
        digests = lab.save(server.url)
        monkeypatch.setenv("KB_AUTH_TOKEN", lab.variables["KB_AUTH_TOKEN"])
        told: list[int] = []
        with FaultProxy(server.url, [Fault("reset", 3 * MIB), Fault("drop", 5 * MIB)]) as proxy:
            monkeypatch.setenv("SHOCK_URL", proxy.url)
            save = read_record(lab.folder / "save.json", SaveRecord)
            with open_shock(save.build.shock) as shock:
                upload(save, lab.folder / "image.tar.gz", shock, progress=told.append)
        assert sum(told) == digests["size"]
        assert len(told) == 9


def test_interrupted_it_does_not_wait_for_a_server_that_is_silent(tmp_path: Path) -> None:
    with served(tmp_path) as (server, lab), FaultProxy(server.url) as proxy:
        image = lab.write(incompressible_layer(20 * MIB), settings=SETTINGS)
        digests = lab.save(server.url)
        started: Future[Command] = Future()

        def interrupt() -> None:
            started.result(PATIENCE).send_signal(signal.SIGINT)
            started.result().wait()

        proxy.plan(*(Fault("call", (7 + number) * MIB, interrupt) for number in range(4)))
        with lab.start(*UPLOAD, SHOCK_URL=proxy.url) as command:
            started.set_result(command)
            _, log = command.communicate()
        assert command.returncode == 130, log
        assert "Traceback" not in log
        proxy.plan()
        assert lab.upload(proxy.url).code == 0
        assert proxy.sent < digests["size"] + 4 * PART + 100_000
        assert lab.register(proxy.url).code == 0
        the_published_node(server.url, image, digests)


PUBLISH = ["publish", "lab/tool:1.0", "--record", "receipt.json"]


def test_a_killed_publish_goes_on_where_it_was(tmp_path: Path) -> None:
    """Its archive comes as a stream, and nothing of it is on this disk."""
    with served(tmp_path) as (server, lab), FaultProxy(server.url) as proxy:
        image = lab.write(incompressible_layer(20 * MIB), settings=SETTINGS)
        for at in (5 * MIB, 6 * MIB + 1, 500):
            kill_at(proxy, at, lambda: lab.start(*PUBLISH, SHOCK_URL=proxy.url))
            (node,) = uploads(server, lab)
            assert node.expires
            assert not owner(server, lab).read_access(node.id).public.read
        before = proxy.sent
        done = lab.run(*PUBLISH, SHOCK_URL=proxy.url)
        assert done.code == 0, done.log
        told = re.search(rf"to node {node.id} in parts, it has (\d+)", done.log)
        assert told, done.log
        assert int(told[1]) >= 9
        assert proxy.sent - before < (21 - int(told[1])) * PART + 100_000
        # Each death costs the part that was under way.
        assert proxy.sent < 20 * MIB + 3 * PART + 200_000
        receipt = lab.receipt()
        assert the_published_node(server.url, image, receipt).id == node.id
        assert uploads(server, lab) == []


def test_a_publish_that_was_killed_after_its_upload_sends_nothing_again(tmp_path: Path) -> None:
    """Whether the archive went in parts, in one piece, or by way of a file."""
    with served(tmp_path) as (server, lab), FaultProxy(server.url) as proxy:
        for way, settings in {"parts": SETTINGS, "one piece": "parts_above: 100"}.items():
            image = lab.write(incompressible_layer(5 * MIB, seed=len(way)), settings=settings, fields="replace: true")
            # The claim of the name is the first that is said of it after the upload.
            app_saw = proxy.sent
            kill_when_uploaded(server, lab, proxy)
            (node,) = uploads(server, lab)
            assert node.file.complete
            assert proxy.sent - app_saw > 5 * MIB
            before = proxy.sent
            done = lab.run(*PUBLISH, SHOCK_URL=proxy.url)
            assert done.code == 0, done.log
            assert f"was sent already (node {node.id})" in done.log
            assert proxy.sent - before < 30_000
            assert the_published_node(server.url, image, lab.receipt()).id == node.id


def kill_when_uploaded(server: ServedShock, lab: Lab, proxy: FaultProxy) -> None:
    """Start `publish`, and kill it with the first bytes that it sends once its upload is whole."""
    victim: Future[Command] = Future()

    def kill_if_uploaded() -> None:
        if any(node.file.complete for node in uploads(server, lab)):
            victim.result(PATIENCE).kill()
        else:
            proxy.plan(Fault("call", 300, kill_if_uploaded))

    proxy.plan(Fault("call", 5 * MIB, kill_if_uploaded))
    with lab.start(*PUBLISH, SHOCK_URL=proxy.url) as command:
        victim.set_result(command)
        command.communicate()
    assert command.returncode == -signal.SIGKILL


def test_an_upload_of_another_user_is_not_gone_on_with(tmp_path: Path) -> None:
    """He could change it later. It says that it is the same image, and everyone may write it."""
    with served(tmp_path) as (server, lab):
        image = lab.write(incompressible_layer(5 * MIB), settings=SETTINGS)
        assert lab.run(*PUBLISH, SHOCK_URL=server.url).code == 0
        published = the_published_node(server.url, image, lab.receipt())
        mallory = ShockClient(server.url, token=make_user(tmp_path / "store", "mallory"))
        source = (published.attributes or {})["skyport_wf"]["source"]["digest"]
        told = {"type": UPLOAD_TYPE, "name": "lab/tool:1.0", "source_digest": source, "part_size": PART}
        with mallory.download(published.id) as stream:
            archive = stream.read()
        traps = [
            mallory.create_for_parts(None, file_name="x", attributes=told, expiration="1D").id,
            mallory.create(lambda: [archive], file_name="x", attributes=told, expiration="1D").id,
        ]
        for trap in traps:
            for right in ("read", "write", "delete"):
                mallory._ask("PUT", f"/node/{trap}/acl/public_{right}")
        assert lab.run("retire", "lab/tool:1.0", SHOCK_URL=server.url).code == 0
        owner(server, lab).delete(published.id)
        done = lab.run(*PUBLISH, SHOCK_URL=server.url)
        assert done.code == 0, done.log
        assert "it has 0" in done.log
        assert the_published_node(server.url, image, lab.receipt()).id not in traps
        for trap in traps:
            node = mallory.find(trap)
            assert node
            assert not node.part_md5s


def test_what_was_retired_is_copied_on_the_server_by_publish_too(tmp_path: Path) -> None:
    with served(tmp_path) as (server, lab), FaultProxy(server.url) as proxy:
        image = lab.write(incompressible_layer(5 * MIB), settings=SETTINGS)
        assert lab.run(*PUBLISH, SHOCK_URL=proxy.url).code == 0
        assert lab.run("retire", "lab/tool:1.0", SHOCK_URL=proxy.url).code == 0
        before = proxy.sent
        done = lab.run(*PUBLISH, SHOCK_URL=proxy.url)
        assert "has these bytes already" in done.log
        assert proxy.sent - before < 30_000
        the_published_node(server.url, image, lab.receipt())


@pytest.mark.usefixtures("engine")
def test_a_killed_publish_of_a_built_image_goes_on_too(tmp_path: Path, namespace: str) -> None:
    """An engine's export of an image is made into the same archive each time."""
    name = f"{namespace}/tool:1.0"
    with served(tmp_path) as (server, lab), FaultProxy(server.url) as proxy:
        write_image_context(lab.folder / "image", data=namespace)
        (lab.folder / "image/data/noise").write_bytes(random.Random(1).randbytes(6 * MIB))
        lab.write_list(f"name: '{name}', dockerfile: image/Dockerfile", shock=f"url: embedded, {SETTINGS}")
        kill_at(proxy, 4 * MIB, lambda: lab.start("publish", name, SHOCK_URL=proxy.url))
        (node,) = uploads(server, lab)
        done = lab.run("publish", name, "--record", "receipt.json", SHOCK_URL=proxy.url)
        assert done.code == 0, done.log
        # The server may still have been taking the last one.
        assert re.search(rf"to node {node.id} in parts, it has [34]$", done.log, re.MULTILINE), done.log
        size = lab.receipt()["size"]
        assert size > 6 * MIB
        assert proxy.sent < size + PART + 200_000
        assert lab.receipt()["node"] == node.id
