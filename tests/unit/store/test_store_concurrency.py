import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest

from skyport_wf.store.access import OURSELVES
from skyport_wf.store.database import Database
from skyport_wf.store.folder import DataFolder
from skyport_wf.store.garbage import collect_garbage
from skyport_wf.store.opening import open_store
from skyport_wf.store.query import Query
from skyport_wf.store.users import add_user, find_or_create, list_users
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.store_people import Person
from tests.support.store_processes import WRITER, Running, write_forever, write_some


@pytest.fixture
def store_on_disk(tmp_path_factory):
    """Whoever writes keeps others waiting for as long as the disk takes: in memory nobody is ever starved."""
    with open_store(tmp_path_factory.mktemp("on-disk")) as store:
        yield store


@pytest.mark.slow
def test_many_processes_write_at_once(store_on_disk):
    store = store_on_disk
    with ExitStack() as running:
        writers = [running.enter_context(Running(write_some, store.folder.path, 50)) for _ in range(6)]
        assert [writer.hear() for writer in writers] == ["ready"] * 6
        for writer in writers:
            writer.tell()
        written = [writer.hear_all() for writer in writers]
        assert [writer.wait() for writer in writers] == [0] * 6

    assert [len(nodes) for nodes in written] == [50] * 6
    assert {node.id for node in store.find(Query(limit=1000), WRITER).nodes} == {node for of in written for node in of}
    assert collect_garbage(store, remove=False) == ()
    with store.database.read() as connection:
        place = {row["id"]: row["serial"] for row in connection.execute("SELECT id, serial FROM node")}
    first_end = min(place[nodes[-1]] for nodes in written)
    done = [sum(place[node] <= first_end for node in nodes) for nodes in written]
    assert min(done) >= 15, "when the first had written its 50, another had hardly had a turn"


@pytest.mark.slow
def test_nobody_waits_long_while_others_write(store_on_disk):
    """A reader, and a writer with little to do, beside three processes that write all the time."""
    store, waits = store_on_disk, []
    with ExitStack() as running:
        for _ in range(3):
            writer = running.enter_context(Running(write_forever, store.folder.path))
            assert writer.hear()[0] == "made"
            writer.ignore()
        for number in range(60):
            before = _nodes_made(store)
            store.find(Query(), OURSELVES)
            find_or_create(store.database, f"user{number}")
            waits.append(_nodes_made(store) - before)
    assert max(waits) < 60, "others wrote this often while we waited for our turn"


@pytest.mark.slow
def test_small_writes_do_not_wait_for_all_that_are_large(store):
    """Six threads write attributes of 20,000 values all the time, which takes them ten times as long as others."""
    app = ShockApp(store)
    token = add_user(store.database, "alice")
    large = {f"key{number}": f"value {number}" for number in range(20_000)}
    stop = threading.Event()

    def write_large():
        person = Person(app, token)
        while not stop.is_set():
            person.upload(attributes=large)

    threads = [threading.Thread(target=write_large) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        while _nodes_made(store) < 6:
            time.sleep(0.01)
        waits = []
        for number in range(8):
            before = _nodes_made(store)
            find_or_create(store.database, f"user{number}")
            waits.append(_nodes_made(store) - before)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert max(waits) <= 2, "this many large writes were done while a small one waited"


def _nodes_made(store):
    with store.database.read() as connection:
        made = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'node'").fetchone()
        return made[0] if made else 0


def test_many_open_a_new_store_at_once(tmp_path):
    failed = []

    def open_and_close():
        try:
            open_store(tmp_path / "new").close()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=open_and_close) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_signal_just_after_a_transaction_began_leaves_none_behind(store):
    def interrupt(frame, event, _):
        connection = frame.f_locals.get("connection")
        if frame.f_code.co_name == "write" and event == "line" and connection and connection.in_transaction:
            raise KeyboardInterrupt
        return interrupt

    add_user(store.database, "alice")
    sys.settrace(interrupt)
    try:
        with pytest.raises(KeyboardInterrupt), store.database.write():
            pytest.fail("it is interrupted before")
    finally:
        sys.settrace(None)
    # What cleans up after an interrupted command writes, too.
    assert add_user(store.database, "bob")


def test_a_user_who_comes_twice_at_once_is_one_user(store):
    threads = [threading.Thread(target=find_or_create, args=(store.database, "alice")) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list_users(store.database)) == 1


@pytest.mark.slow
def test_copying_while_deleting_never_loses_a_file(alice, store):
    for _ in range(15):
        source = alice.upload(b"content")["id"]
        copies = []

        def copy(source=source, copies=copies):
            response = alice.call("POST", "/node", files={"copy_data": (None, source)})
            if response.status_code == 200:
                copies.append(response.json()["data"]["id"])

        threads = [threading.Thread(target=copy) for _ in range(3)]
        threads.insert(1, threading.Thread(target=alice.delete, args=(f"/node/{source}",)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for node in copies:
            assert alice.get(f"/node/{node}?download").content == b"content"
            alice.delete(f"/node/{node}")
        assert list(store.files) == []


@pytest.mark.slow
def test_whoever_comes_while_a_store_is_made_finds_it_whole(tmp_path):
    """Processes that begin together on a folder without a store, as the jobs of a workflow do."""
    program = (
        "import sys; from pathlib import Path; from skyport_wf.store.opening import open_store\n"
        "from skyport_wf.store.users import add_user\n"
        "sys.stdin.read(1)\n"
        "with open_store(Path(sys.argv[1])) as store:\n"
        "    with store.database.read() as rows: rows.execute('SELECT 1') if not store.database.exists() else "
        "rows.execute('SELECT * FROM user').fetchall()\n"
        "    add_user(store.database, 'u' + sys.argv[2])\n"
    )
    for attempt in range(5):
        folder = tmp_path / f"{attempt}"
        command = [sys.executable, "-c", program, str(folder)]
        started = [
            subprocess.Popen([*command, str(n)], stdin=subprocess.PIPE, stderr=subprocess.PIPE) for n in range(4)
        ]
        for process in started:
            assert process.stdin
            process.stdin.write(b"x")
            process.stdin.close()
        said = [process.stderr.read().decode() for process in started if process.stderr]
        assert [process.wait(timeout=60) for process in started] == [0] * 4, said


@pytest.mark.slow
def test_whoever_looks_while_a_store_is_made_finds_it_made_or_not(tmp_path):
    """Between two looks, the tables may come: no other program's are then found."""
    for attempt in range(25):
        folder = DataFolder(tmp_path / f"{attempt}")
        is_made = threading.Event()

        def look(folder: DataFolder = folder, is_made: threading.Event = is_made) -> None:
            while not is_made.is_set():
                with closing(Database(folder)) as database:
                    database.exists()

        with ThreadPoolExecutor(2) as pool, closing(Database(folder)) as database:
            looking = [pool.submit(look) for _ in range(2)]
            try:
                database.prepare()
            finally:
                is_made.set()
            for each in looking:
                each.result()
