import threading
import time

from skyport_wf.store.garbage import collect_garbage
from skyport_wf.store.opening import open_store
from skyport_wf.store.query import Query
from skyport_wf.store.users import find_or_create, list_users
from skyport_wf.store.values import OURSELVES
from tests.support.store_processes import WRITER, start


def test_many_processes_write_at_once(store):
    processes = [start("write_some", store.folder, 50) for _ in range(6)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.stdout.read().split() for process in processes]
    assert [process.wait() for process in processes] == [0] * 6

    written = [node for nodes in said for node in nodes[:-1]]
    assert max(float(nodes[-1]) for nodes in said) < 2, "someone was blocked for seconds"
    assert len(set(written)) == 300
    assert {node.id for node in store.find(Query(limit=1000), WRITER).nodes} == set(written)
    assert collect_garbage(store, remove=False) == ()


def test_nobody_waits_long_while_others_write(store):
    """A reader, and a writer with little to do, beside three processes that write all the time."""
    processes = [start("write_forever", store.folder) for _ in range(3)]
    try:
        for process in processes:
            process.stdout.readline()
            threading.Thread(target=process.stdout.read, daemon=True).start()
        longest = 0.0
        for number in range(60):
            began = time.monotonic()
            store.find(Query(), OURSELVES)
            find_or_create(store.database, f"user{number}")
            longest = max(longest, time.monotonic() - began)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert longest < 2


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


def test_a_user_who_comes_twice_at_once_is_one_user(store):
    threads = [threading.Thread(target=find_or_create, args=(store.database, "alice")) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list_users(store.database)) == 1


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
