"""A server killed with SIGKILL in the middle of everything, 200 times: what it acknowledged is there, and whole.

Three clients upload, send parts, copy, change attributes and ACLs, and delete; a moment after, the server dies.
"""

import hashlib
import random
import time

import msgspec
import pytest

from skyport_wf.store.access import OURSELVES, PUBLIC
from skyport_wf.store.garbage import collect_garbage
from skyport_wf.store.opening import open_store
from skyport_wf.store.query import Query
from skyport_wf.store.users import add_user
from tests.support.store_customers import COUNT, Customer
from tests.support.store_processes import Running, serve_store

pytestmark = pytest.mark.slow

KILLS = 50
TOKEN = "customers-token"
KEPT = 12


@pytest.mark.parametrize("seed", range(4))
def test_fifty_kills_of_a_busy_server(seed, tmp_path):
    moments = random.Random(seed)
    with open_store(tmp_path) as store:
        add_user(store.database, "customer", token=TOKEN)
    known = [{} for _ in range(COUNT)]
    interrupted = 0
    for round_number in range(KILLS):
        _serve_and_kill(tmp_path, known, seed * KILLS + round_number, moments.uniform(0.005, 0.08))
        with open_store(tmp_path, maintain=False) as store:
            interrupted += bool(collect_garbage(store, remove=False))
        with open_store(tmp_path) as store:
            store.joiner.close()
            _assert_true(store, known)
            _thin_out(store, known)
    assert interrupted > 5, "the kills hit nothing"


def _serve_and_kill(folder, known, seed, seconds):
    with Running(serve_store, folder) as server:
        port = int(server.hear().rpartition(":")[2])
        customers = [Customer(port, TOKEN, seed * COUNT + number, nodes) for number, nodes in enumerate(known)]
        for customer in customers:
            customer.start()
        time.sleep(seconds)
        server.kill()
        for customer in customers:
            customer.join()
    assert [customer.failure for customer in customers] == [None] * COUNT


def _assert_true(store, known):
    """Everything acknowledged is there, everything there is whole, and nothing else is on disk."""
    nodes = {node.id: node for node in store.find(Query(limit=10_000), OURSELVES).nodes}
    expected = {identity: entry for of_one in known for identity, entry in of_one.items()}
    for identity, entry in expected.items():
        assert identity in nodes or entry.deleting
        if identity in nodes:
            assert not entry.deleted
            _assert_as_acknowledged(nodes[identity], entry)
    assert len(set(nodes) - set(expected)) <= COUNT
    for node in nodes.values():
        _assert_whole(store, node)
    contents = {node.content.id for node in nodes.values() if node.content}
    parts = {
        part.content.id for node in nodes.values() if node.parts and not node.content for part in node.parts.present
    }
    assert sorted(path.name for path in store.files) == sorted(contents | parts)
    with store.database.read() as connection:
        assert connection.execute("PRAGMA quick_check").fetchone()[0] == "ok"


def _assert_as_acknowledged(node, entry):
    acknowledged, sent = entry.versions
    assert acknowledged <= msgspec.json.decode(node.attributes)["version"] <= sent
    assert PUBLIC in node.acl.read or not entry.public
    if entry.pieces:
        assert entry.arrived <= {part.number for part in node.parts.present} <= entry.sent
        assert bool(node.content) == (len(node.parts.present) == 3)
        assert node.lock is None
    else:
        assert node.content.size == len(entry.content)


def _assert_whole(store, node):
    if node.content:
        assert _md5(store, node.content) == node.content.md5 == msgspec.json.decode(node.attributes)["md5"]
    for part in node.parts.present if node.parts and not node.content else ():
        assert _md5(store, part.content) == part.content.md5


def _md5(store, content):
    with store.files.open(content.id) as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _thin_out(store, known):
    """Delete all nodes but a few of each client's, so that looking at all of them stays quick."""
    for nodes in known:
        for identity in list(nodes)[:-KEPT]:
            del nodes[identity]
        for identity in [identity for identity, entry in nodes.items() if entry.deleting]:
            del nodes[identity]
    remembered = {identity for nodes in known for identity in nodes}
    for node in store.find(Query(limit=10_000), OURSELVES).nodes:
        if node.id not in remembered:
            store.delete(node.id, OURSELVES)
