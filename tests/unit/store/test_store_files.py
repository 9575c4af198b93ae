import hashlib
import os
import sqlite3

import pytest

from skyport_wf.store.files import BackgroundMD5, Staging
from skyport_wf.store.garbage import collect_garbage
from skyport_wf.store.opening import open_store
from skyport_wf.store.refusals import StoreError

UUID = "01234567-89ab-4cde-8f01-23456789abcd"


def test_a_file_is_hashed_while_it_is_written(store):
    with store.files.stage() as staging:
        for piece in (b"first ", b"", b"second"):
            staging.write(piece)
        content = staging.keep()
        staging.commit()
    assert (content.size, content.md5) == (12, hashlib.md5(b"first second").hexdigest())
    assert store.files.path(content.id).read_bytes() == b"first second"


@pytest.mark.parametrize("kept", [False, True])
def test_a_file_that_nobody_commits_is_gone(kept, store):
    with store.files.stage() as staging:
        staging.write(b"x")
        if kept:
            staging.keep()
        assert len(list(store.files)) == 1 + kept
    assert list(store.files) == []


@pytest.mark.parametrize(
    "name", ["../shock.sqlite", "/etc/passwd", "", ".", UUID.upper(), UUID + "\n", "\0" + UUID[1:]]
)
def test_only_uuids_name_files(name, store):
    for use in (store.files.path, store.files.open, store.files.remove):
        with pytest.raises(ValueError, match="does not name a file"):
            use(name)


def test_a_task_is_done_by_one_at_a_time(store):
    with store.files.stage("join-x"), pytest.raises(BlockingIOError):
        store.files.stage("join-x")
    store.files.stage("join-x").close()


def _orphans(store, *, remove=False):
    return sorted((orphan.path.name, orphan.size) for orphan in collect_garbage(store, remove=remove))


def test_garbage_is_what_nobody_writes_and_no_node_has(store, alice):
    alice.upload(b"a node's")
    alice.upload(parts="2")
    node = alice.upload(parts="2")["id"]
    alice.put(f"/node/{node}", files={"1": ("part", b"a part's")})
    store.files.path(UUID).parent.mkdir(exist_ok=True)
    store.files.path(UUID).write_bytes(b"orphan")
    (store.folder.staging / UUID).write_bytes(b"stale")
    (store.folder.staging / f"join-{UUID}").write_bytes(b"")

    with store.files.stage() as being_written, store.files.stage() as moved:
        being_written.write(b"x")
        moved.keep()
        expected = sorted([(UUID, 6), (UUID, 5), (f"join-{UUID}", 0)])
        assert _orphans(store) == expected
        assert _orphans(store, remove=True) == expected
        assert _orphans(store) == []
        moved.commit()

    assert len(list(store.files)) == 3
    assert _orphans(store) != []


@pytest.mark.slow
def test_collecting_garbage_harms_no_upload(store, alice):
    """Uploads go on while another thread collects garbage as fast as it can."""
    import threading

    stop = threading.Event()

    def collect():
        while not stop.is_set():
            collect_garbage(store, remove=True)

    collector = threading.Thread(target=collect)
    collector.start()
    try:
        nodes = {alice.upload(b"%d" % number)["id"]: b"%d" % number for number in range(150)}
    finally:
        stop.set()
        collector.join()
    assert {node: alice.get(f"/node/{node}?download").content for node in nodes} == nodes


def test_a_full_disk_is_said_and_leaves_nothing(store, alice, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    response = alice.call("POST", "/node", files={"upload": ("x", b"x")})
    assert response.status_code == 507
    assert response.json()["error"][0].startswith(f"the disk of {store.folder.path} is full: ")
    monkeypatch.undo()
    assert list(store.files) == []
    assert alice.find("query") == []


def test_a_folder_that_cannot_be_used_is_said(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError, match=r"cannot keep its data in .*: Not a directory.*SKYPORT_DATA"):
        open_store(tmp_path / "file" / "data").files.stage()


def test_a_file_that_is_no_database_is_said(tmp_path):
    (tmp_path / "shock.sqlite").write_text("this is not a database at all" * 100)
    with pytest.raises(StoreError, match=r"shock\.sqlite is damaged: file is not a database\. Restore it"):
        open_store(tmp_path)


def test_a_newer_database_is_left_alone(store):
    with store.database.write() as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="written by a newer skyport-wf"):
        open_store(store.folder.path)


def test_the_folder_is_the_users_alone(tmp_path):
    with open_store(tmp_path / "new") as store:
        store.database.prepare()
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_a_start_settles_what_a_crash_left_in_doubt(store, alice):
    """A process was killed just after its upload moved, another between telling the database and removing a file."""
    node = alice.upload(b"known")["id"]
    known = next(path.name for path in store.files)
    store.files.doubt(known)
    came, gone = (f"{digit}0000000-0000-4000-8000-000000000000" for digit in "12")
    store.files.path(came).parent.mkdir(exist_ok=True)
    store.files.path(came).write_bytes(b"nobody's")
    store.files.doubt(came)
    store.files.doubt(gone)
    (store.folder.staging / UUID).write_bytes(b"half")

    with store.files.stage() as being_written, store.files.stage() as moved:
        being_written.write(b"x")
        moved.keep()
        before = set(store.files)
        open_store(store.folder.path).close()
        left = set(store.files)

    assert {path.name for path in before - left} == {known, came, gone, UUID}
    assert [path.name for path in store.files] == [known]
    assert alice.get(f"/node/{node}?download").content == b"known"


def test_after_an_error_of_the_database_the_next_start_decides(store, alice, monkeypatch):
    def failing(*_):
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patched:
        commit = Staging.commit
        patched.setattr(Staging, "commit", lambda staging: (commit(staging), failing()))
        assert alice.call("POST", "/node", files={"upload": ("f", b"x")}).status_code == 500
    assert len(list(store.files)) == 2
    open_store(store.folder.path).close()
    assert list(store.files) == []


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 1000, 262_144, 5_000_000])
def test_md5_beside_writing_is_the_md5(size, store):
    content = os.urandom(12_000_001)
    for taken in (0, 100):
        # While others hash, all helpers may be taken.
        hashers = [BackgroundMD5() for _ in range(taken)]
        for hasher in hashers:
            hasher.update(content[:5_000_000])
        md5 = BackgroundMD5()
        for start in range(0, len(content) if size > 1 else 1000, size):
            md5.update(content[start : start + size])
        expected = content if size > 1 else content[:1000]
        assert md5.hexdigest() == hashlib.md5(expected).hexdigest()
        for hasher in hashers:
            hasher.end()
