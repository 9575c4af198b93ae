"""When Shock holds the bytes already, on a node that we may read, they are copied there and not sent."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from skyport_wf.publication.attributes import UPLOAD_TYPE
from skyport_wf.shock.client import ShockClient
from skyport_wf.store.opening import Store, open_store
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.fault_proxy import FaultProxy
from tests.support.lab import MIB, NAME, Lab, incompressible_layer, the_published_node
from tests.support.own_server import running_server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SIZE = 3 * MIB
NOTHING = 50_000
"""Bytes of all the requests of an upload that sends no archive, and more."""


class VanishingApp(ShockApp):
    """Deletes what a search for a file's MD5 finds, before it answers."""

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        answer = list(super().__call__(environ, start_response))
        if "querynode" in environ["QUERY_STRING"]:
            with self.store.database.write() as connection:
                connection.execute("DELETE FROM node")
        return answer


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "store") as opened:
        yield opened


def a_lab(folder: Path, store: Store, user: str, url: str, fields: str = "", settings: str = "") -> Lab:
    lab = Lab(folder / user, add_user(store.database, user))
    lab.write(incompressible_layer(SIZE), fields=fields, settings=settings)
    lab.save(url)
    return lab


@pytest.mark.parametrize("settings", ["parts_above: 64", "parts_above: 1"], ids=["one piece", "parts"])
@pytest.mark.parametrize("public", [True, False], ids=["public", "private"])
def test_an_archive_that_was_ours(tmp_path: Path, store: Store, settings: str, public: bool) -> None:
    with running_server(ShockApp(store)) as server, FaultProxy(server.url) as proxy:
        lab = a_lab(tmp_path, store, "alice", server.url, fields=f"public: {str(public).lower()}", settings=settings)
        assert (lab.upload(proxy.url).code, lab.register(proxy.url).code) == (0, 0)
        assert lab.run("retire", NAME, SHOCK_URL=proxy.url).code == 0
        sent = proxy.sent
        assert sent > SIZE
        done = lab.upload(proxy.url)
        assert done.code == 0
        assert "has these bytes already" in done.log
        assert proxy.sent - sent < NOTHING
        client = ShockClient(server.url, token=lab.variables["KB_AUTH_TOKEN"])
        (node,) = client.query({"type": UPLOAD_TYPE})
        assert node.expires
        assert not client.read_access(node.id).public.read
        assert lab.register(proxy.url).code == 0
        (published,) = client.query({"type": "dockerimage"})
        assert published.id == node.id
        with client.download(node.id) as stream:
            assert stream.read() == (lab.folder / "image.tar.gz").read_bytes()


def test_an_archive_of_another_user(tmp_path: Path, store: Store) -> None:
    with running_server(ShockApp(store)) as server, FaultProxy(server.url) as proxy:
        alice = a_lab(tmp_path, store, "alice", server.url)
        image = alice.write(incompressible_layer(SIZE))
        assert (alice.upload(server.url).code, alice.register(server.url).code) == (0, 0)
        assert alice.run("retire", NAME, SHOCK_URL=server.url).code == 0
        bob = a_lab(tmp_path, store, "bob", server.url)
        digests = bob.save(server.url)
        assert bob.upload(proxy.url).code == 0
        assert bob.register(proxy.url).code == 0
        # Shock copies no other user's file, though everyone may read it.
        assert proxy.sent > SIZE
        node = the_published_node(server.url, image, digests)
        # Theirs may go; ours stays what it is.
        admin = ShockClient(server.url, token=add_user(store.database, "admin", admin=True))
        (theirs,) = admin.query({"type": "dockerimage-retired"})
        admin.delete(theirs.id)
        with ShockClient(server.url).download(node.id) as stream:
            assert len(stream.read()) == digests["size"]


def test_an_archive_that_we_may_not_read_is_sent(tmp_path: Path, store: Store) -> None:
    with running_server(ShockApp(store)) as server, FaultProxy(server.url) as proxy:
        alice = a_lab(tmp_path, store, "alice", server.url, fields="public: false")
        assert (alice.upload(server.url).code, alice.register(server.url).code) == (0, 0)
        bob = a_lab(tmp_path, store, "bob", server.url)
        assert (bob.upload(proxy.url).code, bob.register(proxy.url).code) == (0, 0)
        assert proxy.sent > SIZE


def test_an_archive_that_vanishes_before_it_is_copied_is_sent(tmp_path: Path, store: Store) -> None:
    with running_server(ShockApp(store)) as server:
        lab = a_lab(tmp_path, store, "alice", server.url)
        assert (lab.upload(server.url).code, lab.register(server.url).code) == (0, 0)
        assert lab.run("retire", NAME, SHOCK_URL=server.url).code == 0
    with running_server(VanishingApp(store)) as server, FaultProxy(server.url) as proxy:
        done = lab.upload(proxy.url)
        assert done.code == 0, done.log
        assert proxy.sent > SIZE


def test_the_embedded_shock_copies_too(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "lab", "unused")
    lab.variables |= {"SKYPORT_DATA": str(tmp_path / "store"), "SHOCK_URL": ""}
    lab.write(incompressible_layer(SIZE))
    lab.save("")
    assert (lab.upload("").code, lab.register("").code) == (0, 0)
    assert lab.run("retire", NAME).code == 0
    before = stored_bytes(tmp_path / "store")
    done = lab.upload("")
    assert done.code == 0
    assert "has these bytes already" in done.log
    assert stored_bytes(tmp_path / "store") - before < SIZE / 2


def stored_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
