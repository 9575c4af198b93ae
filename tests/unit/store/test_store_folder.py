"""The folder of a store: who makes it, who may read it, and that a lost database is not taken for an empty one."""

import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing

import pytest
import requests

from skyport_wf.cli.main import main
from skyport_wf.store.garbage import collect_garbage
from skyport_wf.store.opening import open_store
from skyport_wf.store.refusals import StoreError
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from skyport_wf.store.wsgi.transport import WSGITransport
from skyport_wf.user_folders import default_data
from tests.support.commands import SKYPORT
from tests.support.docker_archives import Image, canonical, layer_tar
from tests.support.own_server import running_server
from tests.support.store_people import EMBEDDED_URL, Person
from tests.support.store_processes import Running, use_as
from tests.support.timing import PATIENCE

ALICE, BOB, GROUP = 12_001, 12_002, 12_100
UUID = "01234567-89ab-4cde-8f01-23456789abcd"


@pytest.fixture
def umask():
    former = os.umask(0o022)
    yield
    os.umask(former)


def _modes(folder):
    """Return the mode of everything in the folder, by its path there."""
    return {str(path.relative_to(folder)): oct(stat.S_IMODE(path.lstat().st_mode)) for path in folder.rglob("*")}


def _as(user, data):
    """Use the store as an ordinary user of the group, and return what that user says."""
    if os.geteuid():
        pytest.skip("only root can be another user")
    with Running(use_as, data, user, GROUP) as running:
        return running.hear_all()


class TestWhoMayRead:
    def test_everything_in_a_folder_that_others_may_read_is_closed_to_them(self, tmp_path, umask):
        data = tmp_path / "data"
        data.mkdir(mode=0o755)
        with open_store(data) as store:
            alice = Person(ShockApp(store), add_user(store.database, "alice"))
            alice.upload(b"secret")
            alice.upload(parts="2")
            with store.files.stage():
                modes = _modes(data)
        assert {"shock.sqlite", "shock.sqlite-wal", "shock.sqlite-shm", "files", "staging", "write.lock"} < set(modes)
        assert {mode for name, mode in modes.items() if (data / name).is_file()} == {"0o600"}
        assert {mode for name, mode in modes.items() if (data / name).is_dir()} == {"0o700"}
        assert oct(stat.S_IMODE(data.stat().st_mode)) == "0o755"

    def test_an_open_store_is_closed_when_it_is_used_next(self, tmp_path, umask):
        data = tmp_path / "data"
        with open_store(data) as store:
            Person(ShockApp(store), add_user(store.database, "alice")).upload(b"secret")
        data.chmod(0o755)
        for path in data.iterdir():
            path.chmod(0o755 if path.is_dir() else 0o644)
        open_store(data).close()
        assert {mode for name, mode in _modes(data).items() if "/" not in name} == {"0o600", "0o700"}

    @pytest.mark.parametrize("mode", [0o777, 0o2777, 0o775, 0o770])
    def test_a_folder_in_which_others_could_replace_the_store_is_refused(self, mode, tmp_path):
        data = tmp_path / "data"
        data.mkdir()
        data.chmod(mode)
        with pytest.raises(StoreError, match=rf"may write into {data}.*chmod 700.*2770"):
            open_store(data)
        assert list(data.iterdir()) == []

    def test_what_is_wrong_with_it_is_said_in_process_and_kept_from_clients(self, tmp_path):
        """400: whoever gets a 500 asks again."""
        data = tmp_path / "data"
        data.mkdir()
        alice = requests.Session()
        with open_store(data) as store:
            data.chmod(0o777)
            alice.mount(EMBEDDED_URL, WSGITransport(ShockApp(store), remote_user="alice"))
            refused = alice.post(f"{EMBEDDED_URL}/node")
            assert (refused.status_code, f"everyone may write into {data}" in refused.text) == (400, True)
            with running_server(ShockApp(store, anonymous=frozenset({"write"}))) as server:
                failed = requests.post(f"{server.url}/node")
            assert (failed.status_code, str(data) in failed.text) == (500, False)

    def test_a_folder_like_tmp_will_do(self, tmp_path):
        data = tmp_path / "data"
        data.mkdir()
        data.chmod(0o1777)
        with open_store(data) as store:
            add_user(store.database, "alice")

    def test_a_folder_of_a_group_is_shared_by_its_members(self, tmp_path):
        tmp_path.chmod(0o755)
        data = tmp_path / "data"
        data.mkdir()
        if not os.geteuid():
            os.chown(data, ALICE, GROUP)
        data.chmod(0o2770)
        said = [_as(user, data) for user in (ALICE, BOB, ALICE, BOB)]
        assert said == [["1 node"]] * 4
        modes = _modes(data)
        assert {mode for name, mode in modes.items() if (data / name).is_file()} == {"0o660"}
        assert {mode for name, mode in modes.items() if (data / name).is_dir()} == {"0o2770"}

    @pytest.mark.parametrize("mode", [0o700, 0o755])
    def test_another_users_store_is_refused_in_words(self, mode, tmp_path):
        tmp_path.chmod(0o755)
        data = tmp_path / "data"
        data.mkdir()
        if not os.geteuid():
            os.chown(data, ALICE, GROUP)
        data.chmod(mode)
        assert _as(ALICE, data) == ["1 node"]
        (said,) = _as(BOB, data)
        assert said.startswith(f"you may not use the store in {data}: its owner has not opened it to you.")
        assert "SKYPORT_DATA" in said

    def test_a_store_that_cannot_be_made_is_nobody_elses(self, tmp_path):
        tmp_path.chmod(0o755)
        (tmp_path / "closed").mkdir(mode=0o555)
        data = tmp_path / "closed/data"
        (said,) = _as(BOB, data)
        assert said.startswith(f"the embedded Shock cannot keep its data in {data}: you may not make that folder.")
        assert "SKYPORT_DATA" in said


class TestAStoreThatIsSharedLater:
    @pytest.fixture
    def data(self, tmp_path):
        """A store of Alice's with a file, of which its group has just been given the folder."""
        tmp_path.chmod(0o755)
        data = tmp_path / "data"
        with open_store(data) as store:
            Person(ShockApp(store), add_user(store.database, "carol")).upload(b"kept")
        (data / "staging" / UUID).touch(mode=0o600)
        if not os.geteuid():
            for path in (data, *data.rglob("*")):
                os.chown(path, ALICE, GROUP)
        data.chmod(0o2770)
        return data

    def test_it_is_open_once_its_owner_has_used_it(self, data):
        (said,) = _as(BOB, data)
        assert said.startswith(f"you may not use {data}/")
        assert f"to the group. Have them run `chmod -R g+rwX {data}`." in said
        assert [_as(user, data) for user in (ALICE, BOB)] == [["1 node"]] * 2
        modes = _modes(data)
        assert {mode for name, mode in modes.items() if (data / name).is_file()} == {"0o660"}
        assert {mode for name, mode in modes.items() if (data / name).is_dir()} == {"0o2770"}

    def test_a_crash_in_between_leaves_it_to_be_done_again(self, data, monkeypatch):
        def crash(*_):
            raise SystemExit

        with monkeypatch.context() as patched, pytest.raises(SystemExit):
            patched.setattr(os, "fchmod", crash)
            open_store(data)
        open_store(data).close()
        assert {mode for name, mode in _modes(data).items() if name.startswith("files")} == {"0o660", "0o2770"}

    def test_no_link_is_followed(self, data, tmp_path):
        """Whoever may write into the folder could have put one there."""
        secret = tmp_path / "secret"
        secret.mkdir(mode=0o700)
        (secret / "key").touch(mode=0o600)
        (data / "files" / "ab").symlink_to(secret)
        (folder,) = {path.parent for path in (data / "files").glob("*/*") if path.parent.name != "ab"}
        (folder / "key").symlink_to(secret / "key")
        open_store(data).close()
        assert _modes(tmp_path)["secret"] == "0o700"
        assert _modes(tmp_path)["secret/key"] == "0o600"


class TestWhoMakesIt:
    def test_reading_makes_nothing(self, tmp_path):
        data = tmp_path / "data"
        with open_store(data) as store:
            app = ShockApp(store)
            nobody = Person(app, None)
            nobody.session.mount(EMBEDDED_URL, WSGITransport(app, remote_user="carol"))
            assert nobody.find("query&type=dockerimage") == []
            assert nobody.get("/").status_code == 200
            assert nobody.get(f"/node/{UUID}").status_code == 404
        assert not data.exists()

    def test_the_first_write_makes_it(self, tmp_path):
        with open_store(tmp_path / "a/b") as store:
            assert Person(ShockApp(store, anonymous=frozenset({"write"})), None).upload(b"x")["file"]["size"] == 1
        assert len(list((tmp_path / "a/b/files").glob("*/*"))) == 1

    @pytest.mark.parametrize(
        "command", [["gc"], ["gc", "--remove"], ["gc", "--check"], ["user", "ls"], ["user", "token", "x"]]
    )
    @pytest.mark.parametrize("named", ["variable", "option"])
    def test_commands_that_need_a_store_do_not_make_one(self, command, named, tmp_path, monkeypatch, capsys):
        data = tmp_path / "mistyped"
        if named == "variable":
            monkeypatch.setenv("SKYPORT_DATA", str(data))
        else:
            command = [*command, "--data", str(data)]
        assert main(command) == 1
        assert f"there is no store in {data}. " in capsys.readouterr().err
        assert not data.exists()

    def test_a_user_can_be_added_to_a_new_store_which_is_said(self, tmp_path, capsys):
        data = ["--data", str(tmp_path / "new")]
        assert main(["user", "add", "alice", *data]) == 0
        assert main(["user", "add", "bob", *data]) == 0
        first, second = capsys.readouterr().out.splitlines()
        assert first.startswith("added alice to a new store; the token")
        assert second.startswith("added bob; the token")

    @pytest.mark.parametrize("command", [["gc"], ["user", "ls"], ["user", "add", "x"], ["serve", "--port", "0"]])
    @pytest.mark.parametrize("value", ["relative/shock", "."])
    def test_a_relative_folder_is_refused(self, value, command, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("SKYPORT_DATA", value)
        assert main(command) == 2
        assert f"the variable SKYPORT_DATA is '{value}'. Give it an absolute path" in capsys.readouterr().err
        assert list(tmp_path.iterdir()) == []

    def test_the_folder_is_named_by_the_variable(self, monkeypatch, tmp_path):
        monkeypatch.setenv("SKYPORT_DATA", str(tmp_path / "x"))
        assert default_data() == tmp_path / "x"
        monkeypatch.delenv("SKYPORT_DATA")
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
        assert default_data() == tmp_path / "skyport-wf"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda data: data.write_text("x"), "is no folder. Choose another one with SKYPORT_DATA"),
        (lambda data: data.symlink_to(data), "is no folder"),
        (lambda data: (data.mkdir(), data.chmod(0o777)), "everyone may write into"),
        (lambda data: (data / "shock.sqlite").mkdir(parents=True), "shock.sqlite is no file"),
        (lambda data: (data.mkdir(), os.mkfifo(data / "shock.sqlite")), "shock.sqlite is no file"),
        (lambda data: (data.mkdir(), others_database(data)), "shock.sqlite is the database of another program"),
    ],
)
def test_who_reads_hears_what_who_writes_would(spoil, said, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SKYPORT_DATA", str(tmp_path / "data"))
    spoil(tmp_path / "data")
    for command in (["ls"], ["user", "ls"], ["user", "add", "x"], ["doctor"]):
        assert main(command) == 1
        done = capsys.readouterr()
        assert said in done.out + done.err


def others_database(data):
    with closing(sqlite3.connect(data / "shock.sqlite")) as connection:
        connection.execute("CREATE TABLE node (x)")


class TestALostDatabase:
    @pytest.fixture
    def data(self, tmp_path):
        """A store with two files, whose database is gone."""
        data = tmp_path / "data"
        with open_store(data) as store:
            alice = Person(ShockApp(store), add_user(store.database, "alice"))
            alice.upload(b"one")
            alice.upload(b"two")
        for path in data.glob("shock.sqlite*"):
            shutil.move(path, tmp_path / path.name)
        return data

    def test_it_is_said_and_no_other_is_made(self, data, capsys):
        for command in (["gc", "--remove"], ["user", "add", "x"], ["user", "ls"], ["serve", "--port", "0"]):
            assert main([*command, "--data", str(data)]) == 1
            assert f"{data}/shock.sqlite is missing, while the files of nodes are there" in capsys.readouterr().err
        assert len(list((data / "files").glob("*/*"))) == 2
        assert not (data / "shock.sqlite").exists()

    def test_an_empty_one_is_as_bad_as_none(self, data, capsys):
        (data / "shock.sqlite").touch()
        for command in (["gc", "--remove"], ["user", "add", "x"]):
            assert main([*command, "--data", str(data)]) == 1
            assert f"{data}/shock.sqlite is empty, while the files of nodes are there" in capsys.readouterr().err

    def test_files_that_are_older_than_the_database_are_not_removed(self, data, tmp_path):
        for path in (data / "files").glob("*/*"):
            os.utime(path, (1_700_000_000, 1_700_000_000))
        # A database of another store in the place of the lost one.
        with open_store(tmp_path / "other") as other:
            add_user(other.database, "alice")
        shutil.copy(tmp_path / "other/shock.sqlite", data / "shock.sqlite")
        with open_store(data) as store:
            assert len(collect_garbage(store, remove=False)) == 2
            with pytest.raises(StoreError, match=r"after 2 files that it does not know.*Nothing was removed"):
                collect_garbage(store, remove=True)
        assert len(list((data / "files").glob("*/*"))) == 2

    def test_the_database_put_back_has_everything(self, data, tmp_path):
        shutil.copy(tmp_path / "shock.sqlite", data / "shock.sqlite")
        with open_store(data) as store:
            assert collect_garbage(store, remove=True) == ()

    def test_a_store_of_before_this_was_noted_is_cleaned_as_ever(self, tmp_path):
        data = tmp_path / "data"
        with open_store(data) as store:
            add_user(store.database, "alice")
        with sqlite3.connect(data / "shock.sqlite") as connection:
            connection.executescript("DROP TABLE store; DROP TABLE link; PRAGMA user_version = 2")
        connection.close()
        orphan = data / "files/01" / UUID
        orphan.parent.mkdir()
        orphan.write_bytes(b"orphan")
        os.utime(orphan, (1_700_000_000, 1_700_000_000))
        with open_store(data) as store:
            assert [found.path for found in collect_garbage(store, remove=True)] == [orphan]
            add_user(store.database, "bob")
            assert store.database.created_on() == ""


@pytest.mark.slow
def test_a_process_that_may_open_no_more_files_is_told_so(tmp_path):
    """Whatever it is that needs one more, and with a store that is there or not."""
    (tmp_path / "image.tar").write_bytes(canonical(Image((layer_tar({"bin/bash": bytes(3_000_000)}),)), "lab/tool:1"))
    (tmp_path / "images.yaml").write_text("images: [{name: 'lab/tool:1', archive: image.tar}]\n")
    script = 'ulimit -n "$1"; shift; exec "$@"'
    told = set()
    for most in range(6, 14):
        for verb in ("publish", "ls"):
            words = [sys.executable, "-m", "skyport_wf", verb, *(["--all"] if verb == "publish" else [])]
            done = subprocess.run(
                ["bash", "-c", script, "bash", str(most), *words], cwd=tmp_path, capture_output=True, text=True,
                env={**os.environ, "SKYPORT_DATA": str(tmp_path / "data")}, timeout=PATIENCE, check=False,
            )  # fmt: skip
            last = done.stderr.strip().splitlines()[-1] if done.stderr else ""
            assert done.returncode == 0 or "may open no more files" in last or "Too many open files" in last, last
            told.add((verb, "may open no more files and connections, as it needs for the store in" in last))
    assert told >= {("publish", True), ("publish", False)}


@pytest.mark.parametrize("kilobytes", [0, 64])
def test_a_process_that_may_write_no_file_so_large_is_told_so(kilobytes, tmp_path):
    """As on a file system that takes 4 GiB: there is room, and no other try would help. Reading goes on."""
    for name in ("done", "new"):
        layer = layer_tar({"noise": random.Random(name).randbytes(300_000)})
        (tmp_path / f"{name}.tar").write_bytes(canonical(Image((layer,)), f"lab/{name}:1"))
    listed = "".join(f"- {{name: 'lab/{name}:1', archive: {name}.tar}}\n" for name in ("done", "new"))
    (tmp_path / "images.yaml").write_text(f"images:\n{listed}")
    data = tmp_path / "data"

    def skyport(*words, limit="unlimited"):
        return subprocess.run(
            ["bash", "-c", 'ulimit -f "$1"; shift; exec "$@"', "bash", limit, SKYPORT, *words], cwd=tmp_path,
            capture_output=True, text=True, env={**os.environ, "SKYPORT_DATA": str(data)}, timeout=PATIENCE,
            check=False,
        )  # fmt: skip

    assert skyport("publish", "lab/done:1").returncode == 0
    for words in (["publish", "lab/new:1"], *([] if kilobytes else [["retire", "lab/done:1"]])):
        refused = skyport(*words, limit=str(kilobytes))
        assert refused.returncode == 1
        assert refused.stderr.count(f"a file of the store in {data} would be larger than") == 1
        assert "Trying again" not in refused.stderr
        assert "Traceback" not in refused.stderr
    listed = skyport("ls", "--format", "names", limit=str(kilobytes))
    assert (listed.returncode, listed.stdout.split()) == (0, ["lab/done:1"])
