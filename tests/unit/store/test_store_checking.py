"""Damage on the disk is found, and not spread."""

import argparse
import json
import os
import random
import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest
from werkzeug.test import Client

from skyport_wf.cli.gc import add_arguments
from skyport_wf.cli.main import main
from skyport_wf.store.checking import check_files
from skyport_wf.store.garbage import collect_garbage
from skyport_wf.store.opening import open_store
from skyport_wf.store.refusals import DamagedError
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.store_people import Person

IMAGE = {"type": "dockerimage", "name": "lab/x:1"}


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = [
    (flip, "the file has other bytes: their MD5 is "),
    (lambda path: os.truncate(path, 5), "the file has 5 bytes instead of 100000"),
    (lambda path: path.unlink(), "the file is missing"),
    *(
        (lambda path, replace=replace: (path.unlink(), replace(path)), "something else is in the place of the file")
        for replace in (Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero"))
    ),
]


@pytest.fixture
def image(alice):
    return alice.upload(os.urandom(100_000), IMAGE)["id"]


@pytest.fixture
def path(image, store):
    (found,) = check_files(store)
    return found.path


@pytest.mark.parametrize("replace", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_something_else_in_the_place_of_a_file_is_a_file_that_is_gone(replace, alice, image, path, store):
    path.unlink()
    replace(path)
    # There is a node, so no 404; and whoever asks in this process does not ask again, as after a 500.
    refused = alice.get(f"/node/{image}?download")
    assert refused.status_code == 400
    damage = "is damaged: something else is in the place of the file"
    (said,) = refused.json()["error"]
    assert said.startswith(f"node {image} {damage} ({path}). Restore it from a backup")
    served = Client(ShockApp(store)).get(f"/node/{image}?download", environ_overrides={"REMOTE_USER": "alice"})
    assert (served.status_code, served.get_json()["error"]) == (500, [f"the node {damage}"])
    assert alice.call("POST", "/node", files={"copy_data": (None, image)}).status_code == 400
    stray = store.folder.files / "ab" / "stray"
    stray.mkdir(parents=True)
    assert collect_garbage(store, remove=True) == ()
    assert stray.is_dir()


def test_a_whole_store_is_whole(alice, image, store):
    alice.upload()
    alice.upload(b"")
    parts = alice.upload(parts="2", file_name="big")["id"]
    alice.put(f"/node/{parts}", files={"2": ("second", b"part")})
    found = list(check_files(store))
    assert [file.damage for file in found] == ["", "", ""]
    assert sorted(file.name for file in found) == ["big part 2", "file.bin", "lab/x:1"]


@pytest.mark.parametrize(("damage", "said"), DAMAGES)
def test_damage_is_found_with_node_name_and_path(damage, said, alice, image, path, store):
    copy = alice.upload(copy_data=image)["id"]
    whole = alice.upload(b"whole")["id"]
    damage(path)
    found = {file.node: file for file in check_files(store)}
    assert set(found) == {image, copy, whole}
    assert found[image].damage == found[copy].damage
    assert found[image].damage.startswith(said)
    assert (found[image].name, found[copy].name, found[image].path) == ("lab/x:1", "file.bin", path)
    assert found[whole].damage == ""


def test_a_file_that_may_not_be_read_is_no_damage(folder_of_nobody, capsys):
    """As in a store that is shared with a group, where another user has closed it."""
    data = folder_of_nobody / "data"
    with open_store(data) as store:
        Person(ShockApp(store), add_user(store.database, "alice")).upload(b"content")
        (file,) = check_files(store)
        data.chmod(0o2770)
        store.folder.check()
        file.path.chmod(0)
    assert main(["gc", "--check", "--data", str(data)]) == 1
    done = capsys.readouterr()
    assert done.out == ""
    owner = file.path.owner()
    assert done.err.startswith(
        f"skyport-wf: you may not use {file.path}, of the store that the group shares: {owner} has"
    )


def test_a_damaged_part_is_found(alice, store):
    node = alice.upload(parts="2", file_name="big")["id"]
    alice.put(f"/node/{node}", files={"2": ("second", b"part")})
    (part,) = check_files(store)
    flip(part.path)
    (found,) = check_files(store)
    assert (found.node, found.name) == (node, "big part 2")
    assert found.damage.startswith("the file has other bytes")


def test_a_node_deleted_meanwhile_is_no_damage(alice, image, store):
    other = alice.upload(b"other")["id"]
    files = check_files(store)
    first = next(files).node
    alice.delete(f"/node/{other if first == image else image}")
    assert list(files) == []


@pytest.mark.parametrize(("damage", "said"), DAMAGES)
def test_what_is_damaged_is_not_copied(damage, said, alice, image, path, store):
    empty = alice.upload()["id"]
    damage(path)
    for refused in (
        alice.call("POST", "/node", files={"copy_data": (None, image)}),
        alice.put(f"/node/{empty}", files={"copy_data": (None, image)}),
    ):
        assert refused.status_code == 400
        assert refused.json()["error"][0].startswith(f"copy_data node is damaged: {said}")
    assert len(alice.find("query")) == 2
    assert alice.get(f"/node/{empty}").json()["data"]["file"]["size"] == 0


def test_nobody_hears_of_damage_to_what_they_may_not_read(bob, image, path):
    flip(path)
    refused = bob.call("POST", "/node", files={"copy_data": (None, image)})
    assert (refused.status_code, refused.json()["error"]) == (400, ["copy_data_node auth error"])


def test_the_command_lists_what_is_damaged(alice, image, path, store, capsys):
    alice.upload(b"whole")
    data = ["--data", str(store.folder.path)]
    assert main(["gc", "--check", *data]) == 0
    assert capsys.readouterr().out == "2 files of nodes, 100.0 kB, read: all as they were written\n"
    flip(path)
    assert main(["gc", "--check", *data]) == 3
    shown = capsys.readouterr().out
    assert all(word in shown for word in (image, "lab/x:1", str(path), "other bytes", "1 damaged or missing"))
    assert main(["gc", "--check", "--json", *data]) == 3
    told = json.loads(capsys.readouterr().out)
    assert told["checked"] == 2
    assert [(file["node"], file["path"]) for file in told["damaged"]] == [(image, str(path))]


def test_checking_and_removing_exclude_each_other():
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_arguments(parser)
    with pytest.raises(argparse.ArgumentError, match="not allowed with"):
        parser.parse_args(["--check", "--remove"])


@pytest.fixture
def closed(tmp_path):
    """The folder of a store with an image that nobody uses, so that its database is in one file."""
    data = tmp_path / "closed"
    with open_store(data) as store:
        Person(ShockApp(store), add_user(store.database, "alice")).upload(os.urandom(100_000), IMAGE)
    return data


def change_index(data):
    """Change one letter of a file's name where the index has it, and nowhere else."""
    path = data / "shock.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        (name,) = connection.execute("SELECT content_id FROM node").fetchone()
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'node_content'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    content = bytearray(path.read_bytes())
    content[content.index(name.encode(), (page - 1) * size, page * size)] ^= 1
    path.write_bytes(content)


def overwrite_middle(data):
    path = data / "shock.sqlite"
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 3000] = random.Random(1).randbytes(3000)
    path.write_bytes(content)


def overwrite_start(data):
    (data / "shock.sqlite").write_bytes(b"no database" * 1000)


@pytest.mark.parametrize("damage", [change_index, overwrite_middle, overwrite_start])
def test_a_damaged_database_is_found_and_nothing_removed(damage, closed, capsys):
    damage(closed)
    files = set((closed / "files").glob("*/*"))
    assert len(files) == 1
    said = f"{closed}/shock.sqlite is damaged: "
    arguments = ["gc", "--data", str(closed)]
    assert main([*arguments, "--check"]) == 3
    shown = capsys.readouterr().out
    assert shown.startswith(said)
    assert "Restore it from a backup. Until then leave the files beside it" in shown
    assert main([*arguments, "--check", "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert told["checked"] == 0
    assert [file["path"] for file in told["damaged"]] == [f"{closed}/shock.sqlite"]
    for option in ([], ["--remove"]):
        assert main([*arguments, *option]) == 1
        assert said in capsys.readouterr().err
    assert set((closed / "files").glob("*/*")) == files


def test_a_start_removes_no_file_on_the_word_of_a_damaged_database(closed, caplog):
    (file,) = (closed / "files").glob("*/*")
    change_index(closed)
    # As after a crash just before the file was settled.
    note = closed / "doubtful" / file.name
    note.touch()
    with open_store(closed):
        pass
    assert "the store could not be tidied up" in caplog.text
    assert "is damaged: " in caplog.text
    assert file.exists()
    assert note.exists()


def test_a_start_reads_all_of_the_database_only_before_it_removes_a_file(alice, image, path, store, monkeypatch):
    looks = []
    monkeypatch.setattr(store.database, "require_intact", lambda: looks.append(1))
    store.files.doubt(path.name)
    store.maintain()
    assert looks == []
    assert path.exists()
    for unknown in (uuid4(), uuid4()):
        store.files.doubt(str(unknown))
        orphan = store.files.path(str(unknown))
        orphan.parent.mkdir(exist_ok=True)
        orphan.touch()
    store.maintain()
    assert looks == [1]
    assert list(store.files) == [path]


@pytest.mark.parametrize("name", ["no name", "../shock.sqlite", "/etc/passwd"])
def test_what_is_no_name_of_a_file_is_damage(name, alice, image, path, store):
    with store.database.write() as connection:
        connection.execute("UPDATE node SET content_id = ?", (name,))
    (found,) = check_files(store)
    assert (found.node, found.path) == (image, store.folder.database)
    assert found.damage == f"the database has {name!r} in the place of the file's name"
    assert alice.get(f"/node/{image}?download").status_code == 400
    assert alice.call("POST", "/node", files={"copy_data": (None, image)}).status_code == 400
    assert alice.delete(f"/node/{image}").status_code == 200
    assert store.folder.database.exists()


def test_text_that_is_none_is_damage_of_the_database(alice, image, store):
    with store.database.write() as connection:
        connection.execute("UPDATE node SET content_id = CAST(x'ff' AS TEXT)")
    with pytest.raises(DamagedError, match="is damaged: Could not decode"):
        list(check_files(store))
