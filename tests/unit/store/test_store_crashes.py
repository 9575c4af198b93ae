"""Processes killed with SIGKILL: what was acknowledged is there, what was not is there whole or not at all."""

import hashlib
import os
import random
import socket
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
import requests

from skyport_wf.store.access import OURSELVES
from skyport_wf.store.garbage import collect_garbage
from skyport_wf.store.opening import open_store
from skyport_wf.store.query import Query
from skyport_wf.store.users import add_user
from tests.support.store_processes import Running, serve_store, stage_and_wait, write_forever, write_node
from tests.support.timing import PATIENCE


def _all_nodes(store):
    page = store.find(Query(limit=10_000), OURSELVES)
    assert page.total == len(page.nodes)
    return {node.id: node for node in page.nodes}


def _assert_whole(store, node):
    with store.files.open(node.content.id) as file:
        content = file.read()
    assert hashlib.md5(content).hexdigest() == node.content.md5 == msgspec.json.decode(node.attributes)["md5"]
    assert len(content) == node.content.size


@pytest.mark.parametrize("seed", range(8))
def test_a_killed_writer_loses_nothing_acknowledged(seed, tmp_path):
    words = random.Random(seed).randrange(1, 60)
    with Running(write_forever, tmp_path) as writer:
        said = [writer.hear() for _ in range(words)]
        writer.kill()
        said += writer.hear_all()

    with open_store(tmp_path) as store:
        nodes = _all_nodes(store)
        for node in nodes.values():
            _assert_whole(store, node)
        made, changed, deleting = (
            {node for what, node in said if what == wanted} for wanted in ("made", "changed", "deleting")
        )
        assert made - deleting <= set(nodes)
        assert all(nodes[node].tags == ("changed",) for node in changed - deleting)
        assert len(set(nodes) - made) <= 1
        collect_garbage(store, remove=True)
        assert sorted(path.name for path in store.files) == sorted(node.content.id for node in nodes.values())
        with store.database.read() as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_what_a_killed_process_was_writing_is_garbage_at_once(tmp_path):
    with Running(stage_and_wait, tmp_path) as writer:
        assert writer.hear() == "waiting"
        with open_store(tmp_path) as store:
            assert collect_garbage(store, remove=True) == ()
            writer.kill()
            assert len(collect_garbage(store, remove=False)) == 2
            assert len(collect_garbage(store, remove=True)) == 2
            assert list(store.files) == []


@pytest.mark.parametrize("form", [True, False])
def test_a_server_killed_during_an_upload_shows_no_partial_node(form, tmp_path):
    with open_store(tmp_path) as store:
        add_user(store.database, "alice", token="alices-token")
    headers = {"Authorization": "OAuth alices-token"}
    with Running(serve_store, tmp_path) as server:
        url = server.hear()
        acknowledged = requests.post(f"{url}/node", data=b"kept", headers=headers).json()["data"]["id"]
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
            kind = "Content-Type: multipart/form-data; boundary=B\r\n" if form else ""
            start_of_form = '--B\r\nContent-Disposition: form-data; name="upload"; filename="f"\r\n\r\n' if form else ""
            connection.sendall(
                f"POST /node HTTP/1.1\r\nHost: x\r\nAuthorization: OAuth alices-token\r\n{kind}"
                f"Content-Length: 100000000\r\n\r\n{start_of_form}".encode()
            )
            for _ in range(40):
                connection.sendall(b"x" * 1_000_000)
            staged = list((tmp_path / "staging").iterdir())
            server.kill()

    assert len(staged) == 1
    with open_store(tmp_path, maintain=False) as store:
        assert set(_all_nodes(store)) == {acknowledged}
        assert [orphan.path for orphan in collect_garbage(store, remove=False)] == staged
    with open_store(tmp_path) as store:
        assert len(list(store.files)) == 1


def test_the_database_is_told_to_reach_the_disk(store):
    with store.database.write() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_file_and_folder_reach_the_disk_before_the_database_is_told(store, monkeypatch):
    happened = []
    real_fsync, real_rename, real_write = os.fsync, os.rename, store.database.write

    def fsync(descriptor):
        synced = Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(store.folder.path)
        happened.append(f"sync {synced.parts[0]}")
        real_fsync(descriptor)

    def rename(source, target):
        happened.append("rename")
        real_rename(source, target)

    @contextmanager
    def write(**how):
        happened.append("database")
        with real_write(**how) as connection:
            yield connection

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    monkeypatch.setattr(store.database, "write", write)
    write_node(store, b"content")

    # The first sync of `files` is for the folder ab/ in it, made for this file, the second for the file in ab/.
    assert happened == ["sync staging", "sync files", "rename", "sync files", "database"]
