"""Owners and readers of many images: how many questions there are at once."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from skyport_wf.cli.main import main
from skyport_wf.inspection.listing import add_access
from skyport_wf.publication.attributes import to_json_values
from skyport_wf.publication.connection import Shock
from skyport_wf.publication.inventory import list_images
from skyport_wf.shock.client import ShockClient
from tests.unit.publication.test_name_state import OURS, put

IMAGES = 12


class Askers:
    """Who asks for the rights on nodes."""

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    @contextmanager
    def asking(self) -> Iterator[None]:
        with self._lock:
            self.threads.add(threading.get_ident())
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            yield
        finally:
            with self._lock:
                self._now -= 1


@pytest.fixture
def askers(monkeypatch: pytest.MonkeyPatch) -> Askers:
    found, find_access = Askers(), ShockClient.find_access

    def slowly(client: ShockClient, node_id: str) -> object:
        with found.asking():
            time.sleep(0.02)
            return find_access(client, node_id)

    monkeypatch.setattr(ShockClient, "find_access", slowly)
    return found


@pytest.fixture
def many(opened: Shock) -> Shock:
    for number in range(IMAGES):
        node = put(opened.user, to_json_values(msgspec.structs.replace(OURS, name=f"lab/tool{number:02}:1")))
        opened.user.keep(node)
        opened.user.set_public(node, number % 2 == 0)
    return opened


def test_the_embedded_store_is_asked_in_one_thread(many: Shock, askers: Askers) -> None:
    images = list_images(many.user)
    listed = add_access(many, images)
    assert askers.threads == {threading.get_ident()}
    assert [one.image for one in listed] == images
    assert len(listed) == IMAGES
    for one in listed:
        even = int(one.image.name[8:10]) % 2 == 0
        assert one.readable_by == ("everyone" if even else "listed users")


def test_a_server_is_asked_by_no_more_threads_than_elsewhere(
    many: Shock, askers: Askers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shock, "open_threads", lambda _: 3)
    images = list_images(many.user)
    assert [one.image for one in add_access(many, images)] == images
    assert 1 < askers.most <= 3


@pytest.mark.usefixtures("many")
def test_only_of_images_that_are_shown_it_is_asked_who_may_read_them(askers: Askers) -> None:
    assert main(["ls", "--long", "--filter", "larger=1TB"]) == 0
    assert askers.threads == set()
    assert main(["ls", "--filter", "readers=everyone", "--filter", "smaller=1TB"]) == 0
    assert askers.threads == {threading.get_ident()}
