"""A store on a file system that nobody can write: it is read as ever, and writers hear why they cannot."""

import json
import os
import random
from contextlib import closing
from uuid import uuid4

import pytest
import requests

from skyport_wf.cli.main import main
from skyport_wf.store.opening import open_store
from skyport_wf.store.users import add_user, list_users
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.docker_archives import Image, canonical, layer_tar
from tests.support.own_server import running_server
from tests.support.small_disk import read_only
from tests.support.store_people import Person

IMAGE = {"type": "dockerimage", "name": "lab/x:1"}
CONTENT = os.urandom(100_000)


@pytest.fixture
def data(tmp_path):
    """The folder of a store with alice's image, which nobody has open."""
    data = tmp_path / "data"
    with open_store(data) as store:
        Person(ShockApp(store), add_user(store.database, "alice", token="alices-token")).upload(CONTENT, IMAGE)
    return data


@pytest.fixture
def place(tmp_path):
    """Where a folder can be shown that nobody can write there."""
    place = tmp_path / "read-only"
    place.mkdir()
    return place


def leave_open(data):
    """Add a user, bob, and end without closing the database, as a crash does."""
    pid = os.fork()
    if not pid:
        try:
            add_user(open_store(data).database, "bob")
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert (data / "shock.sqlite-wal").stat().st_size


def test_commands_read_and_those_that_write_say_why_they_cannot(tmp_path, place, monkeypatch, capsys):
    for name in ("old", "done", "new"):
        layer = layer_tar({"noise": random.Random(name).randbytes(20_000)})
        (tmp_path / f"{name}.tar").write_bytes(canonical(Image((layer,)), f"lab/{name}:1"))
    listed = "".join(f"- {{name: 'lab/{name}:1', archive: {name}.tar}}\n" for name in ("old", "done", "new"))
    (tmp_path / "images.yaml").write_text(f"images:\n{listed}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SKYPORT_DATA", str(tmp_path / "data"))
    assert main(["publish", "lab/old:1", "lab/done:1", "--lock", "images.lock.json"]) == 0
    assert main(["retire", "lab/old:1"]) == 0
    node = json.loads((tmp_path / "images.lock.json").read_bytes())["images"]["lab/done:1"]["node"]
    orphan = tmp_path / "data/staging" / str(uuid4())
    orphan.write_bytes(b"left")
    with read_only(tmp_path / "data", place):
        monkeypatch.setenv("SKYPORT_DATA", str(place))
        for command, code, told in (
            (["ls"], 0, "lab/done:1"),
            (["status"], 3, "lab/done:1"),
            (["resolve", "lab/done:1"], 0, "sha256:"),
            (["pull", "lab/done:1", "--output", "pulled.tar"], 0, "pulled.tar holds lab/done:1"),
            (["verify"], 3, "lab/done:1  ok"),
            (["receipt", "lab/done:1", "--record", "receipt.json"], 0, "lab/done:1"),
            (["du"], 0, "lab/done"),
            (["gc"], 3, orphan.name),
            (["gc", "--check"], 0, "all as they were written"),
            (["user", "ls"], 0, "USER"),
        ):
            capsys.readouterr()
            assert main(command) == code, (command, capsys.readouterr())
            printed = capsys.readouterr()
            assert told in printed.out, command
            assert "skyport-wf:" not in printed.err, command
        for command in (
            ["publish", "lab/new:1"], ["publish", "--all", "-n"], ["tag", "lab/done:1", "lab/new:1"],
            ["tag", "lab/done:1", "lab/new:1", "-n"], ["retire", "lab/done:1"], ["retire", "lab/done:1", "-n"],
            ["retire", "--node", node, "-n"], ["adopt", "lab/done:1", "--as", "lab/new:1", "-n"],
            ["delete", "*", "--force", "--remove"], ["gc", "--remove"], ["user", "add", "bob"],
        ):  # fmt: skip
            assert main(command) == 1, command
            printed = capsys.readouterr()
            said = " ".join((printed.out + printed.err).split())
            assert f"the store in {place} is on a read-only file system: it can be read, not written." in said
            assert "Traceback" not in said
            assert "sending" not in said
        # That is of no matter where nothing is to be done.
        assert main(["publish", "lab/done:1", "-n"]) == 0
    assert orphan.exists()


def test_one_that_was_never_written_is_empty(tmp_path, place, capsys):
    (tmp_path / "nothing").mkdir()
    with read_only(tmp_path / "nothing", place):
        with open_store(place) as store:
            assert Person(ShockApp(store), None).find("query") == []
        for command in (["user", "add", "bob"], ["serve", "--port", "0"]):
            assert main([*command, "--data", str(place)]) == 1
            assert f"the store in {place} is on a read-only file system" in capsys.readouterr().err


def test_what_someone_writes_elsewhere_meanwhile_is_read(data, place):
    with read_only(data, place), open_store(place) as reader:
        for user in ("bob", "carol", "dave"):
            with open_store(data) as writer:
                add_user(writer.database, user)
                assert user in {user.name for user in list_users(reader.database)}
            assert user in {user.name for user in list_users(reader.database)}


def test_what_a_crash_left_is_read_where_that_can_be(data, place):
    leave_open(data)
    with read_only(data, place), open_store(place) as reader:
        assert {user.name for user in list_users(reader.database)} == {"alice", "bob"}


def test_one_that_was_not_closed_says_so_where_it_cannot_be_read(data, place, capsys):
    leave_open(data)
    (data / "shock.sqlite-shm").unlink()
    with read_only(data, place):
        assert main(["user", "ls", "--data", str(place)]) == 1
        said = capsys.readouterr().err
        assert f"{place}/shock.sqlite was not closed by who wrote to it last" in said
    with open_store(data) as store:
        assert {user.name for user in list_users(store.database)} == {"alice", "bob"}
    with read_only(data, place):
        assert main(["user", "ls", "--data", str(place)]) == 0


def test_a_server_of_one_can_be_read(data, place, caplog):
    headers = {"Authorization": "OAuth alices-token"}
    with (
        read_only(data, place), open_store(place) as store, running_server(ShockApp(store)) as server,
        closing(requests.Session()) as session,
    ):  # fmt: skip
        (node,) = session.get(f"{server.url}/node", headers=headers).json()["data"]
        assert session.get(f"{server.url}/node/{node['id']}?download", headers=headers).content == CONTENT
        refused = session.post(f"{server.url}/node", data=b"x", headers=headers)
        assert refused.status_code == 400
        (message,) = refused.json()["error"]
        assert message == "the server's store is on a read-only file system: it can be read, not written"
        store.maintain()
    assert "Traceback" not in caplog.text
