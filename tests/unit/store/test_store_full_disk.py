"""A disk that is full to its last byte: what can still be done, and how the rest is said."""

import os
import random
import subprocess
import threading
import time

import pytest
import requests

from skyport_wf.cli.main import main
from skyport_wf.store.garbage import collect_garbage
from skyport_wf.store.opening import open_store
from skyport_wf.store.refusals import FullError
from skyport_wf.store.users import add_user, list_users
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.commands import SKYPORT
from tests.support.docker_archives import Image, canonical, layer_tar
from tests.support.own_server import running_server
from tests.support.small_disk import fill, small_disk
from tests.support.store_people import Person
from tests.support.store_processes import Running, stage_and_wait
from tests.support.timing import wait_until

SIZE = 16 * 1024 * 1024
CONTENT = os.urandom(100_000)
IMAGE = {"type": "dockerimage", "name": "lab/x:1", "repository": "lab/x", "tag": "1", "id": "sha256:" + "5" * 64}


@pytest.fixture
def data(tmp_path):
    """A store on a small disk, with a node of alice's, and two files that a crash left."""
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk", size=SIZE) as disk:
        data = disk / "data"
        with open_store(data) as store:
            alice = Person(ShockApp(store), add_user(store.database, "alice", token="alices-token"))
            node = alice.upload(CONTENT, IMAGE)["id"]
            assert alice.put(f"/node/{node}/acl/public_read").status_code == 200
        with Running(stage_and_wait, data) as writer:
            assert writer.hear() == "waiting"
        yield data


def _skyport(data, *arguments):
    """Run the command, as a user would."""
    variables = {**os.environ, "SKYPORT_DATA": str(data), "SHOCK_URL": "", "SKYPORT_RETRY_SECONDS": "60"}
    began = time.monotonic()
    done = subprocess.run(
        [SKYPORT, *arguments], env=variables, cwd="/", capture_output=True, text=True, timeout=120, check=False
    )
    assert "Traceback" not in done.stderr
    assert time.monotonic() - began < 55, "a full disk was asked again"
    return done


def test_reading_goes_on(data):
    fill(data.parent)
    with open_store(data, maintain=False) as store:
        alice = Person(ShockApp(store), "alices-token")
        (node,) = alice.find("query&name=lab/x:1")
        assert alice.get(f"/node/{node['id']}?download").content == CONTENT
        assert [user.name for user in list_users(store.database)] == ["alice"]
        readers = [threading.Thread(target=alice.find, args=("query&type=dockerimage",)) for _ in range(4)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        assert len(collect_garbage(store, remove=False)) == 2


@pytest.mark.slow
def test_garbage_makes_room(data):
    fill(data.parent)
    listed = _skyport(data, "gc")
    assert (listed.returncode, "2 files" in listed.stdout) == (3, True)
    removed = _skyport(data, "gc", "--remove")
    assert (removed.returncode, "2 files" in removed.stdout) == (0, True), removed.stderr
    assert os.statvfs(data).f_bavail > 0


@pytest.mark.slow
def test_reading_commands_go_on(data):
    with open_store(data):
        pass
    fill(data.parent)
    assert "lab/x:1" in _skyport(data, "ls").stdout
    assert "sha256:555" in _skyport(data, "resolve", "lab/x:1").stdout
    assert "alice" in _skyport(data, "user", "ls").stdout
    assert os.statvfs(data).f_bavail == 0


@pytest.mark.parametrize("chunked", [False, True])
def test_a_file_that_does_not_fit_is_refused_in_words(data, chunked):
    with open_store(data) as store:
        alice = Person(ShockApp(store), "alices-token")
        head = b'--B\r\nContent-Disposition: form-data; name="upload"; filename="f"\r\n\r\n'
        pieces = [head, *[os.urandom(1_000_000)] * 20, b"\r\n--B--\r\n"]
        body = iter(pieces) if chunked else b"".join(pieces)
        files = set(store.files)
        response = alice.call("POST", "/node", data=body, headers={"Content-Type": "multipart/form-data; boundary=B"})
        assert response.status_code == 507
        (message,) = response.json()["error"]
        assert message.startswith(f"the disk of {data} is full: ")
        assert "MB are needed. Make room there" in message
        if not chunked:
            assert "at least 20.0 MB are needed" in message
        assert set(store.files) == files
        assert len(alice.find("query")) == 1


def test_what_cannot_be_written_changes_nothing(data):
    with open_store(data) as store:
        alice = Person(ShockApp(store), "alices-token")
        (node,) = alice.find("query")
        filler = fill(data.parent)
        for refused in (
            alice.put(f"/node/{node['id']}", files={"attributes": ("a", b'{"k": "%s"}' % (b"x" * 100_000))}),
            alice.call("POST", "/node", files={"tags": (None, "x" * 60_000), "attributes_str": (None, '{"k": 1}')}),
        ):
            assert refused.status_code == 507, refused.text
            assert "is full" in refused.json()["error"][0]
        with pytest.raises(FullError):
            for number in range(1000):
                add_user(store.database, f"user-{number}-{'x' * 100}")
        filler.unlink()
        assert alice.find("query") == [node]
        assert alice.put(f"/node/{node['id']}", files={"tags": (None, "room")}).status_code == 200


PARTS = [random.Random(number).randbytes(1_000_000) for number in range(6)]


def _send_parts(alice, disk, *, room):
    """Return a node whose parts have all arrived, the last when the disk had room for that, and the filler."""
    node = alice.upload(parts=str(len(PARTS)), file_name="x")["id"]
    for number, part in enumerate(PARTS[:-1], start=1):
        assert alice.put(f"/node/{node}", files={str(number): ("part", part)}).status_code == 200
    filler = fill(disk)
    os.truncate(filler, filler.stat().st_size - len(PARTS[-1]) - room)
    assert alice.put(f"/node/{node}", files={str(len(PARTS)): ("part", PARTS[-1])}).status_code == 200
    return node, filler


def _locked(alice, node):
    """Return why the file of a node cannot be read, once that is known; an empty text when it can be."""

    told = []

    def is_known():
        locked = alice.get(f"/node/{node}").json()["data"]["file"]["locked"]
        told.append(locked["error"] if locked else "")
        return locked is None or locked["error"]

    wait_until(is_known)
    # What was said then: to ask is to have it tried again.
    return told[-1]


@pytest.mark.parametrize("again", ["maintenance", "a start", "a question"])
def test_parts_for_which_there_was_no_room_are_joined_later(again, data, caplog):
    with open_store(data) as store:
        alice = Person(ShockApp(store), "alices-token")
        node, filler = _send_parts(alice, data.parent, room=2_000_000)
        said = _locked(alice, node)
        assert said.startswith("the server's disk is full: ")
        assert said.endswith("at least 6.0 MB are needed")
        for _ in range(3):
            store.maintain()
            assert _locked(alice, node).startswith("the server's disk is full: ")
        assert alice.get(f"/node/{node}?download").status_code == 423
        store.joiner.close()
        told = [record for record in caplog.records if node in record.getMessage()]
        assert len(told) == 1
        assert str(data) in told[0].getMessage()
        assert not told[0].exc_info
        filler.unlink()
        if again == "maintenance":
            store.maintain()
        elif again == "a start":
            with open_store(data):
                pass
        else:
            alice.get(f"/node/{node}")
        store.joiner.close()
        assert alice.get(f"/node/{node}").json()["data"]["file"]["locked"] is None
        assert alice.get(f"/node/{node}?download").content == b"".join(PARTS)


def test_a_disk_that_fills_while_parts_are_joined(data, caplog, monkeypatch):
    """Then all of the room is said that joining takes, not what was written before."""
    with open_store(data) as store:
        monkeypatch.setattr(store.files, "require_room", lambda size: None)
        alice = Person(ShockApp(store), "alices-token")
        node, filler = _send_parts(alice, data.parent, room=2_000_000)
        said = _locked(alice, node)
        assert said.startswith("the server's disk is full: ")
        assert said.endswith("at least 6.0 MB are needed")
        # The last question had it tried again, on the full disk.
        store.joiner.close()
        filler.unlink()
        store.maintain()
        store.joiner.close()
        assert alice.get(f"/node/{node}?download").content == b"".join(PARTS)
    assert "Traceback" not in caplog.text


def test_other_failures_of_joining_are_for_good_and_tell_no_folder(data):
    with open_store(data) as store:
        alice = Person(ShockApp(store), "alices-token")
        node = alice.upload(parts="2", file_name="x")["id"]
        assert alice.put(f"/node/{node}", files={"1": ("part", b"1")}).status_code == 200
        for path in store.files:
            path.unlink()
        assert alice.put(f"/node/{node}", files={"2": ("part", b"2")}).status_code == 200
        assert _locked(alice, node) == "the store failed; the server's log says more"
        store.maintain()
        store.joiner.close()
        assert _locked(alice, node) == "the store failed; the server's log says more"


def test_a_client_of_the_server_hears_sizes_and_not_where(data, caplog):
    with open_store(data) as store, running_server(ShockApp(store)) as server:
        headers = {"Authorization": "OAuth alices-token"}
        response = requests.post(f"{server.url}/node", data=os.urandom(20_000_000), headers=headers)
    assert response.status_code == 507
    (message,) = response.json()["error"]
    assert message.startswith("the server's disk is full: ")
    assert "at least 20.0 MB are needed" in message
    assert str(data) in caplog.text


@pytest.mark.slow
def test_images_are_deleted_on_a_full_disk(project, capsys):
    """However often it fills up again."""
    data = project / "disk/data"
    for name in ("done", "again"):
        if name == "again":
            assert main(["publish", "lab/new:1", "--quiet"]) == 0
        filler = project / "disk" / name
        fill(project / "disk").rename(filler)
        image = "lab/done:1" if name == "done" else "lab/new:1"
        (project / "images.lock.json").unlink(missing_ok=True)
        for command in (["retire", image], ["delete", image, "--remove"]):
            capsys.readouterr()
            assert main(command) == 0, (command, capsys.readouterr().err)
        assert os.statvfs(data).f_bavail > 0
        filler.unlink()
    with open_store(data) as store:
        assert list(store.files) == []


def test_what_is_kept_for_deleting_is_no_room_for_anything_else(data):
    with open_store(data) as store:
        alice = Person(ShockApp(store), "alices-token")
        (node,) = alice.find("query")
        fill(data.parent)
        for _ in range(2):
            response = alice.call("POST", "/node", files={"attributes_str": (None, '{"k": "%s"}' % ("x" * 60_000))})
            assert response.status_code == 507
        assert alice.call("DELETE", f"/node/{node['id']}").status_code == 200
        assert alice.find("query") == []


@pytest.mark.slow
def test_a_command_that_writes_says_it_once(data):
    fill(data.parent)
    done = _skyport(data, "user", "add", "bob")
    assert done.returncode == 1
    assert done.stderr.count("is full") == 1
    assert str(data) in done.stderr


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return a project on a disk with room, one of whose images is published in a store on a full one."""
    (tmp_path / "disk").mkdir()
    for name in ("done", "new"):
        layer = layer_tar({"noise": random.Random(name).randbytes(200_000)})
        (tmp_path / f"{name}.tar").write_bytes(canonical(Image((layer,)), f"lab/{name}:1"))
    listed = "".join(f"- {{name: 'lab/{name}:1', archive: {name}.tar}}\n" for name in ("done", "new"))
    (tmp_path / "images.yaml").write_text(f"images:\n{listed}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SKYPORT_DATA", str(tmp_path / "disk/data"))
    monkeypatch.setenv("SKYPORT_RETRY_SECONDS", "60")
    with small_disk(tmp_path / "disk", size=SIZE) as disk:
        assert main(["publish", "lab/done:1", "--record", "receipt.json", "--lock", "images.lock.json"]) == 0
        assert main(["build", "lab/new:1", "--record", "build.json"]) == 0
        assert main(["save", "build.json", "--archive", "new.tar.gz", "--record", "save.json"]) == 0
        fill(disk)
        yield tmp_path


@pytest.mark.slow
def test_commands_on_a_full_store(project, capsys):
    capsys.readouterr()
    for command, code, told in (
        (["plan"], 0, "lab/new:1"),
        (["status"], 3, "lab/new:1"),
        (["verify"], 3, "lab/done:1  ok"),
        (["show", "lab/done:1"], 0, "lab/done:1"),
        (["doctor"], 1, "0.0 GB are free"),
        (["publish", "lab/done:1"], 0, "lab/done:1"),
    ):
        assert main(command) == code, (command, capsys.readouterr())
        printed = capsys.readouterr()
        assert told in printed.out, command
        assert "Traceback" not in printed.err
    for command in (["publish", "lab/new:1"], ["upload", "save.json", "--record", "upload.json"]):
        assert main(command) == 1
        said = capsys.readouterr().err
        assert said.count("is full") == 1, said
        assert f"the disk of {project}/disk/data is full: " in said
        assert "Trying again" not in said
    assert main(["save", "build.json", "--archive", "disk/new.tar.gz", "--record", "save.json"]) == 1
    assert "disk: No space left on device" in capsys.readouterr().err
    assert [path.name for path in (project / "disk").iterdir() if "new" in path.name] == []
