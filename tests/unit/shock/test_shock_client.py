"""The client against the real store, over HTTP; against servers that fail see test_shock_client_failures.py."""

import hashlib
import os
import tracemalloc
from collections.abc import Iterator

import pytest

from skyport_wf.errors import ShockError
from skyport_wf.shock import client
from skyport_wf.shock.authorization import Authorization
from skyport_wf.shock.client import ShockClient
from skyport_wf.shock.connection import ShockRefusalError
from skyport_wf.store.opening import open_store
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.own_server import running_server

TOKEN = "the-token-of-alice"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with open_store(tmp_path_factory.mktemp("shock")) as store:
        add_user(store.database, "alice", token=TOKEN)
        add_user(store.database, "bob", token="the-token-of-bob")
        with running_server(ShockApp(store)) as server:
            yield server.url


@pytest.fixture
def alice(url: str) -> ShockClient:
    return ShockClient(url, token=TOKEN, token_from="KB_AUTH_TOKEN")


@pytest.fixture
def nobody(url: str) -> ShockClient:
    return ShockClient(url + "/", token_from="KB_AUTH_TOKEN")


def create(shock: ShockClient, content: bytes = b"content", size: int | None = None, **attributes: object):
    return shock.create(lambda: [content], file_name="x.tar.gz", attributes=attributes, expiration="2D", size=size)


def test_the_server_is_a_shock(alice):
    assert alice.read_server()["id"] == "Shock"


@pytest.mark.parametrize("size", [None, 3_000_000])
def test_a_node_is_made_whole_with_or_without_a_known_size(alice, size):
    content = os.urandom(3_000_000)
    node = create(alice, content, size, name="a/b:1")
    assert (node.file.name, node.file.size) == ("x.tar.gz", 3_000_000)
    assert node.file.checksum.md5 == hashlib.md5(content).hexdigest()
    assert node.attributes is not None
    assert node.attributes["name"] == "a/b:1"
    assert node.expires
    assert alice.find(node.id) == node
    with alice.download(node.id) as stream:
        assert stream.read() == content


def test_long_attributes_arrive_whole(alice):
    # As a plain form field, Shock reads a value of more than some 3,800 bytes only in part.
    long = "x" * 200_000
    node = create(alice, dockerfile=long)
    assert node.attributes is not None
    assert node.attributes["dockerfile"] == long
    assert alice.replace_attributes(node.id, {"dockerfile": long + "y"}).attributes == {"dockerfile": long + "y"}


def test_attributes_are_replaced_as_a_whole(alice):
    node = create(alice, a="1", b="2")
    assert alice.replace_attributes(node.id, {"c": "ä"}).attributes == {"c": "ä"}
    found = alice.find(node.id)
    assert found is not None
    assert found.attributes == {"c": "ä"}


def test_an_expiration_is_taken_off(alice):
    node = create(alice)
    assert node.expires
    assert not alice.keep(node.id).expires
    found = alice.find(node.id)
    assert found is not None
    assert not found.expires


def test_access_is_private_until_it_is_made_public(alice, nobody):
    node = create(alice)
    access = alice.read_access(node.id)
    assert (access.public.read, access.public.write, access.read) == (False, False, (access.owner,))
    with pytest.raises(ShockRefusalError) as caught:
        nobody.find(node.id)
    assert caught.value.status == 401
    assert alice.set_public(node.id, True).public.read is True
    assert nobody.find(node.id) is not None
    assert alice.set_public(node.id, False).public.read is False


def test_a_deleted_node_is_absent(alice):
    node = create(alice)
    alice.delete(node.id)
    assert alice.find(node.id) is None
    # Its first answer may have been lost.
    alice.delete(node.id)
    with pytest.raises(ShockRefusalError) as caught, alice.download(node.id):
        pass
    assert caught.value.status == 404
    assert str(caught.value) == f"Shock at {alice.url} refuses GET /node/{node.id}?download: Node not found"


@pytest.mark.slow
def test_a_query_goes_through_all_pages_newest_first(alice):
    nodes = [create(alice, b"x", kind="paged", number=str(number)).id for number in range(105)]
    assert [node.id for node in alice.query({"kind": "paged"})] == nodes[::-1]
    assert [node.id for node in alice.query({"kind": "paged"}, limit=25)] == nodes[:-26:-1]
    assert [node.id for node in alice.query({"kind": "paged", "number": "104"})] == nodes[-1:]
    assert alice.query({"kind": "none"}) == []


@pytest.mark.parametrize("oldest_first", [False, True])
@pytest.mark.parametrize("gone", [slice(0, 2), slice(1, None), slice(None)])
def test_a_listing_has_every_node_that_stays_while_others_delete_some(alice, monkeypatch, gone, oldest_first):
    """Those that follow move up, past where the next page begins."""
    monkeypatch.setattr(client, "_PAGE", 4)
    monkeypatch.setattr(client, "_LATER_PAGE", 6)
    kind = f"race-{gone}-{oldest_first}"
    made = [create(alice, b"x", kind=kind).id for _ in range(15)]
    query, deleted = alice._query, set()

    def query_and_delete(parameters):
        answer = query(parameters)
        if len(deleted) < 6:
            for node in answer.nodes[gone]:
                alice.delete(node.id)
                deleted.add(node.id)
            # As many come as go, so that their number tells nothing.
            create(alice, b"x", kind=kind)
        return answer

    monkeypatch.setattr(alice, "_query", query_and_delete)
    found = [node.id for node in alice.query({"kind": kind}, oldest_first=oldest_first)]
    stayed = [node for node in (made if oldest_first else made[::-1]) if node not in deleted]
    assert [node for node in found if node in stayed] == stayed
    assert len(deleted) >= 6


def test_without_a_token_nothing_can_be_made_and_the_message_says_what_to_do(nobody):
    with pytest.raises(ShockRefusalError) as caught:
        create(nobody)
    assert caught.value.status == 401
    assert str(caught.value) == (
        f"Shock at {nobody.url} refuses POST /node: No Authorization. Put a token into KB_AUTH_TOKEN."
    )


def test_a_wrong_token_is_refused_and_never_shown(url):
    client = ShockClient(url, token="wr0ng-t0ken", token_from="KB_AUTH_TOKEN")
    with pytest.raises(ShockRefusalError) as caught:
        client.find("x")
    assert str(caught.value) == (
        f"Shock at {url} refuses GET /node/x: Invalid authorization header or content. "
        "The token in KB_AUTH_TOKEN is not one that may do this."
    )
    assert "wr0ng-t0ken" not in str(caught.value) + repr(client) + repr(Authorization(url, "wr0ng-t0ken", "OAuth"))


def test_another_user_may_not_change_a_node(alice, url):
    node = create(alice)
    alice.set_public(node.id, True)
    before = alice.find(node.id)
    bob = ShockClient(url, token="the-token-of-bob")
    for change in (
        lambda: bob.replace_attributes(node.id, {}),
        lambda: bob.set_public(node.id, False),
        lambda: bob.delete(node.id),
        lambda: bob.keep(node.id),
    ):
        with pytest.raises(ShockRefusalError) as caught:
            change()
        assert caught.value.status in (400, 401)
    assert alice.find(node.id) == before


def test_content_that_cannot_be_read_ends_the_upload_with_its_own_error(alice):
    def broken():
        yield b"x" * 100_000
        raise ShockError("the disk is gone")

    before = len(alice.query({"kind": "broken"}))
    for size in (None, 200_000):
        with pytest.raises(ShockError, match=r"^the disk is gone$"):
            alice.create(broken, file_name="x", attributes={"kind": "broken"}, expiration="2D", size=size)
    assert len(alice.query({"kind": "broken"})) == before


@pytest.mark.slow
def test_memory_is_flat_whatever_is_sent_and_received(alice):
    piece = b"\x00" * (1 << 20)
    tracemalloc.start()
    try:
        node = alice.create(lambda: (piece for _ in range(64)), file_name="x", attributes={}, expiration="2D")
        with alice.download(node.id) as stream:
            received = sum(len(data) for data in iter(lambda: stream.read(1 << 20), b""))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert node.file.size == received == 64 << 20
    # Client and server together.
    assert peak < 10 << 20
