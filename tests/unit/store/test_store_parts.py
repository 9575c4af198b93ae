import bz2
import gzip
import hashlib
import threading

import pytest

from skyport_wf.store.access import OURSELVES
from skyport_wf.store.changes import NodeChange, Upload
from skyport_wf.store.garbage import collect_garbage
from skyport_wf.store.opening import open_store
from tests.support.timing import wait_until


def _until_unlocked(person, node):
    def file():
        return person.get(f"/node/{node}").json()["data"]["file"]

    wait_until(lambda: (locked := file()["locked"]) is None or locked["error"])
    return file()


def _send(person, node, number, content):
    return person.put(f"/node/{node}", files={str(number): (f"part{number}", content)})


@pytest.mark.parametrize(("compression", "pack"), [("gzip", gzip.compress), ("bzip2", bz2.compress)])
def test_packed_parts_are_unpacked_when_joined(compression, pack, alice):
    packed = pack(b"first") + pack(b"second" * 100_000)
    node = alice.upload(parts="3", compression=compression, file_name="x")["id"]
    for number, start in enumerate(range(0, len(packed), len(packed) // 3 + 1), start=1):
        _send(alice, node, number, packed[start : start + len(packed) // 3 + 1])
    file = _until_unlocked(alice, node)
    assert file["checksum"]["md5"] == hashlib.md5(b"first" + b"second" * 100_000).hexdigest()


@pytest.mark.parametrize("content", [b"not gzip", gzip.compress(b"cut off", mtime=0)[:-4]])
def test_parts_that_cannot_be_joined_say_why(content, alice, store):
    node = alice.upload(parts="1", compression="gzip")["id"]
    _send(alice, node, 1, content)

    assert "gzip" in _until_unlocked(alice, node)["locked"]["error"]
    assert alice.get(f"/node/{node}?download").status_code == 423
    assert _send(alice, node, 1, content).status_code == 400
    assert alice.delete(f"/node/{node}").status_code == 200
    assert list(store.files) == []


def test_parts_of_an_unknown_number_may_have_gaps(alice):
    node = alice.upload(parts="unknown", file_name="x")["id"]
    _send(alice, node, 3, b"three")
    shown = _send(alice, node, 1, b"one").json()["data"]["parts"]
    assert (shown["count"], shown["length"], shown["parts"][1]) == (3, 2, [])
    alice.put(f"/node/{node}", files={"parts": (None, "close")})
    _until_unlocked(alice, node)
    assert alice.get(f"/node/{node}?download").content == b"onethree"


def test_only_the_joined_file_is_left_on_disk(alice, store):
    node = alice.upload(parts="2")["id"]
    _send(alice, node, 1, b"a")
    _send(alice, node, 2, b"b")
    _until_unlocked(alice, node)
    assert alice.get(f"/node/{node}?download").content == b"ab"
    store.joiner.close()
    assert len(list(store.files)) == 1


def test_several_parts_in_one_request(alice):
    node = alice.upload(parts="2")["id"]
    alice.put(f"/node/{node}", files={"2": ("b", b"b"), "1": ("a", b"a")})
    _until_unlocked(alice, node)
    assert alice.get(f"/node/{node}?download").content == b"ab"


def test_a_refused_part_leaves_nothing(alice, store):
    node = alice.upload(parts="2")["id"]
    _send(alice, node, 1, b"a")
    assert _send(alice, node, 1, b"again").status_code == 400
    assert _send(alice, node, 3, b"beyond the end").status_code == 200
    assert len(list(store.files)) == 1
    assert alice.get(f"/node/{node}").json()["data"]["parts"]["parts"][0][1] == hashlib.md5(b"a").hexdigest()


def test_part_numbers_have_a_limit(alice):
    assert alice.call("POST", "/node", files={"parts": (None, "10001")}).status_code == 400
    node = alice.upload(parts="unknown")["id"]
    assert _send(alice, node, 10001, b"x").status_code == 400
    assert _send(alice, node, 10000, b"x").status_code == 200


@pytest.mark.parametrize("number", ["0", "-1", "1.5", "01x", "²", "9999999"])
def test_what_is_no_part_number_is_refused(number, alice):
    node = alice.upload(parts="unknown")["id"]
    assert _send(alice, node, number, b"x").status_code == 400


def test_of_many_who_send_one_part_one_wins(alice, store):
    node = alice.upload(parts="2")["id"]
    statuses = []
    senders = [
        threading.Thread(target=lambda n=n: statuses.append(_send(alice, node, 1, b"%d" % n).status_code))
        for n in range(8)
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert sorted(statuses) == [200] + [400] * 7
    assert len(list(store.files)) == 1


def _left_unjoined(store):
    """Return a node whose process died after the last part arrived: nobody joins it."""
    node = store.create(OURSELVES, NodeChange(parts=2, file_name="x"))
    for number in (1, 2):
        with store.files.stage() as staging:
            staging.write(b"%d" % number)
            store.update(node.id, OURSELVES, NodeChange(pieces={number: Upload("part", staging)}))
    return node.id


def test_opening_joins_what_a_crash_left_unjoined(store):
    node = _left_unjoined(store)
    with open_store(store.folder.path):
        pass
    with store.files.open(store.read(node, OURSELVES).content.id) as file:
        assert file.read() == b"12"
    assert collect_garbage(store, remove=False) == ()


def test_asking_for_an_unjoined_node_joins_it(store, admin):
    node = _left_unjoined(store)
    assert _until_unlocked(admin, node)["size"] == 2


def test_parts_are_joined_by_one_at_a_time(store):
    node = _left_unjoined(store)
    with store.files.stage(f"join-{node}"):
        store.joiner.start(node)
        store.joiner.close()
        assert store.read(node, OURSELVES).content is None
    store.joiner.start(node)
    store.joiner.close()
    assert store.read(node, OURSELVES).content is not None


def test_a_node_deleted_before_it_was_joined_is_gone(store):
    node = _left_unjoined(store)
    store.delete(node, OURSELVES)
    store.joiner.start(node)
    store.joiner.close()
    assert list(store.files) == []
