"""Two processes publish one name at the same moment: AWE finds exactly one node, and the loser is told why."""

import os
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import psutil
import pytest

from skyport_wf.errors import AlreadyPublishedError, SkyportError
from skyport_wf.publication import claim
from skyport_wf.publication.attributes import CLAIM_TYPE, RETIRED_TYPE
from skyport_wf.publication.connection import open_shock
from skyport_wf.publication.process_identity import is_dead, mark_process
from skyport_wf.publication.resolve import resolve
from skyport_wf.records.files import read_record
from skyport_wf.records.records import SaveRecord
from skyport_wf.shock.client import ShockClient
from skyport_wf.steps.register import register
from skyport_wf.steps.upload import upload
from skyport_wf.store.opening import Store, open_store
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.lab import Lab, incompressible_layer
from tests.support.own_server import running_server
from tests.support.store_processes import PROCESSES
from tests.support.timing import allowance

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ROUNDS = 50
TAKEN = "is published already, as another image"


class UnevenApp(ShockApp):
    """Takes a random while for each request, before and after it is done: so that requests of two mix in every way."""

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        time.sleep(random.random() / 150)
        answer = super().__call__(environ, start_response)
        time.sleep(random.random() / 150)
        return answer


class Outcome(NamedTuple):
    """What a publisher reported."""

    node: str | None
    error: type[Exception] | None = None
    message: str = ""
    ended: float = 0


class Job(NamedTuple):
    """What a publisher is to do in one round."""

    name: str
    together: str
    """What both begin at the same time: `upload` or `register`."""


def publish_on_demand(folder: Path, variables: dict[str, str], pipe: Connection, barrier: threading.Barrier) -> None:
    """Publish the archive of a folder under the names that come through the pipe, in a process of its own."""
    os.environ.update(variables)
    save = read_record(folder / "save.json", SaveRecord)
    while job := pipe.recv():
        build = msgspec.structs.replace(save.build, name=job.name)
        try:
            if job.together == "upload":
                barrier.wait(60)
            with open_shock(build.shock) as shock:
                record = upload(msgspec.structs.replace(save, build=build), folder / "image.tar.gz", shock)
                if job.together == "register":
                    barrier.wait(60)
                outcome = Outcome(register(record, shock).node)
        except SkyportError as error:
            outcome = Outcome(None, type(error), str(error))
        pipe.send(outcome._replace(ended=time.monotonic()))


class Publisher:
    """The process of one publisher."""

    def __init__(self, lab: Lab, url: str, barrier: threading.Barrier) -> None:
        variables = {**lab.variables, "SHOCK_URL": url}
        self.pipe, other = PROCESSES.Pipe()
        self.process = PROCESSES.Process(target=publish_on_demand, args=(lab.folder, variables, other, barrier))
        self.process.start()

    def stop(self) -> None:
        self.pipe.send(None)
        self.process.join()


@contextmanager
def two_publishers(
    folder: Path, *, users: tuple[str, str], seeds: tuple[int, int], fields: str = ""
) -> Iterator[tuple[Store, str, Callable[[int], list[Outcome]]]]:
    """Yield the store, its URL, and what has both publish in a round of a number."""
    with open_store(folder / "store") as store, running_server(UnevenApp(store)) as server:
        tokens = {user: add_user(store.database, user) for user in set(users)}
        barrier = PROCESSES.Barrier(2)
        publishers = []
        for number, (user, seed) in enumerate(zip(users, seeds, strict=True)):
            lab = Lab(folder / f"lab{number}", tokens[user])
            lab.write(incompressible_layer(10_000, seed=seed), fields=fields)
            lab.save(server.url)
            publishers.append(Publisher(lab, server.url, barrier))

        def play(number: int) -> list[Outcome]:
            for publisher in publishers:
                publisher.pipe.send(Job(f"lab/tool:{number}", ("upload", "register")[number % 2]))
            return [publisher.pipe.recv() for publisher in publishers]

        try:
            yield store, server.url, play
        finally:
            for publisher in publishers:
                publisher.stop()


class Watcher:
    """Asks again and again what an AWE worker would find, while the block lasts."""

    def __init__(self, url: str, name: str) -> None:
        self._client = ShockClient(url)
        self._query = {"type": "dockerimage", "name": name}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.seen: list[tuple[float, list[str]]] = []

    def _watch(self) -> None:
        while not self._ended.is_set():
            asked = time.monotonic()
            self.seen.append((asked, [node.id for node in self._client.query(self._query)]))

    def __enter__(self) -> "Watcher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def check_round(url: str, number: int, outcomes: list[Outcome], watcher: Watcher) -> str:
    """Return the node that AWE finds: one of those reported, always alone, and there since it was reported."""
    node = resolve(ShockClient(url), f"lab/tool:{number}")
    assert not node.expires
    assert node.id in {outcome.node for outcome in outcomes}
    for outcome in outcomes:
        since = [found for asked, found in watcher.seen if outcome.node and asked > outcome.ended]
        assert all(found == [node.id] for found in since)
    assert max(len(found) for _, found in watcher.seen) <= 1
    return node.id


def test_the_same_image(tmp_path: Path) -> None:
    with two_publishers(tmp_path, users=("alice", "alice"), seeds=(1, 1)) as (_, url, play):
        for number in range(ROUNDS):
            with Watcher(url, f"lab/tool:{number}") as watcher:
                outcomes = play(number)
            node = check_round(url, number, outcomes, watcher)
            assert [outcome.node for outcome in outcomes] == [node, node], outcomes


@pytest.mark.parametrize("users", [("alice", "alice"), ("alice", "bob")], ids=["one user", "two users"])
def test_different_images(tmp_path: Path, users: tuple[str, str]) -> None:
    winners = set()
    with two_publishers(tmp_path, users=users, seeds=(1, 2)) as (_, url, play):
        for number in range(ROUNDS):
            with Watcher(url, f"lab/tool:{number}") as watcher:
                outcomes = play(number)
            node = check_round(url, number, outcomes, watcher)
            (loser,) = (outcome for outcome in outcomes if outcome.node is None)
            assert loser.error is AlreadyPublishedError, loser
            assert f"lab/tool:{number} {TAKEN} (node {node}" in loser.message
            winners.add([outcome.node for outcome in outcomes].index(node))
    assert winners == {0, 1}


def test_the_same_image_of_two_users(tmp_path: Path) -> None:
    with two_publishers(tmp_path, users=("alice", "bob"), seeds=(1, 1)) as (_, url, play):
        # Those in which both begin to register: an upload does not wait for another user.
        for number in range(1, ROUNDS // 2, 2):
            with Watcher(url, f"lab/tool:{number}") as watcher:
                outcomes = play(number)
            node = check_round(url, number, outcomes, watcher)
            assert [outcome.node for outcome in outcomes] == [node, node], outcomes


def test_different_images_that_replace_each_other(tmp_path: Path) -> None:
    with two_publishers(tmp_path, users=("alice", "alice"), seeds=(1, 2), fields="replace: true") as (store, url, play):
        owner = ShockClient(url, token=add_user(store.database, "admin", admin=True))
        for number in range(ROUNDS):
            reported = {outcome.node for outcome in play(number)}
            node = resolve(ShockClient(url), f"lab/tool:{number}")
            assert not node.expires
            (replaced,) = reported - {node.id}
            assert replaced, reported
            assert (retired := owner.find(replaced))
            assert (retired.attributes or {})["type"] == RETIRED_TYPE


def test_what_publishers_leave_behind(tmp_path: Path) -> None:
    with two_publishers(tmp_path, users=("alice", "alice"), seeds=(1, 2)) as (store, url, play):
        for number in range(5):
            play(number)
        owner = ShockClient(url, token=add_user(store.database, "admin", admin=True))
        assert owner.query({"type": CLAIM_TYPE}) == []
        assert all(node.expires for node in owner.query({"type": "dockerimage-upload"}))


@pytest.fixture
def shock(tmp_path: Path) -> Iterator[ShockClient]:
    with open_store(tmp_path / "store") as store, running_server(ShockApp(store)) as server:
        yield ShockClient(server.url, token=add_user(store.database, "alice"))


def claims(shock: ShockClient) -> list[str]:
    return [node.id for node in shock.query({"type": CLAIM_TYPE})]


def claim_once(shock: ShockClient) -> None:
    """Claim a name that nobody else wants."""
    with claim.claim_name(shock, "nobody/else:1", public=True):
        pass


def leave_claim(shock: ShockClient, mark: dict[str, str]) -> str:
    attributes = {"type": CLAIM_TYPE, "name": "a/b:1", "by": "someone", **mark}
    return shock.create_empty(attributes=attributes, expiration="1H").id


def test_a_claim_is_public_hidden_from_awe_and_goes_away(shock: ShockClient) -> None:
    with claim.claim_name(shock, "a/b:1", public=True):
        (node_id,) = claims(ShockClient(shock.url))
        assert (node := shock.find(node_id))
        assert node.expires
    assert claims(shock) == []
    with claim.claim_name(shock, "a/b:1", public=False):
        assert claims(ShockClient(shock.url)) == []
        assert len(claims(shock)) == 1


def test_a_claim_goes_away_when_the_work_fails(shock: ShockClient) -> None:
    with pytest.raises(KeyboardInterrupt), claim.claim_name(shock, "a/b:1", public=True):
        raise KeyboardInterrupt
    assert claims(shock) == []


def test_a_claim_whose_process_is_dead_is_not_waited_for(shock: ShockClient) -> None:
    dead = PROCESSES.Process(target=int)
    dead.start()
    dead.join()
    left = leave_claim(shock, {**mark_process(), "process": str(dead.pid)})
    allowed = allowance(20, lambda: claim_once(shock))
    began = time.monotonic()
    with claim.claim_name(shock, "a/b:1", public=True):
        assert left not in claims(shock)
    assert time.monotonic() - began < allowed


@pytest.mark.parametrize("renewals", [{}, [{"a": 1}], "x" * 100_000, None, True])
def test_a_claim_that_makes_no_sense_is_not_waited_for_for_ever(
    shock: ShockClient, monkeypatch: pytest.MonkeyPatch, renewals: object
) -> None:
    monkeypatch.setattr(claim, "_LEASE_SECONDS", 0.5)
    attributes = {"type": CLAIM_TYPE, "name": "a/b:1", "renewals": renewals, "process": "²", "machine": ["x"]}
    left = shock.create_empty(attributes=attributes, expiration="1H").id
    with claim.claim_name(shock, "a/b:1", public=True):
        assert left not in claims(shock)


def test_a_claim_that_nobody_renews_is_not_waited_for_for_ever(
    shock: ShockClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "_LEASE_SECONDS", 1.0)
    left = leave_claim(shock, {"machine": "another", "process": "1", "started": "2.00"})
    began = time.monotonic()
    with claim.claim_name(shock, "a/b:1", public=True):
        assert time.monotonic() - began > 1
        assert left not in claims(shock)


def test_that_others_are_waited_for_is_told_once_when_it_takes_long(
    shock: ShockClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for told_after, times in ((0.3, 1), (60.0, 0)):
        monkeypatch.setattr(claim, "LONG_WAIT", told_after)
        monkeypatch.setattr(claim, "_LEASE_SECONDS", 1.5)
        left = leave_claim(shock, {"machine": "another", "process": "1", "started": "2.00"})
        caplog.clear()
        with claim.claim_name(shock, "a/b:1", public=True):
            pass
        told = f"a/b:1 is being published by someone else (node {left} claims it). Waiting for up to 300 s until that"
        assert [line.startswith(told) for line in caplog.messages if "being published" in line] == [True] * times


def test_a_claim_that_is_renewed_is_waited_for(shock: ShockClient, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = allowance(1, lambda: claim_once(shock))
    monkeypatch.setattr(claim, "_LEASE_SECONDS", lease)
    monkeypatch.setattr(claim, "_RENEWAL_SECONDS", lease / 10)
    entered, done = threading.Event(), threading.Event()
    order = []

    def hold() -> None:
        with claim.claim_name(shock, "a/b:1", public=True) as mine:
            entered.set()
            until = time.monotonic() + 2.5 * lease
            while time.monotonic() < until:
                mine.renew()
                time.sleep(lease / 20)
            order.append("first")
        done.set()

    thread = threading.Thread(target=hold)
    thread.start()
    entered.wait()
    with claim.claim_name(shock, "a/b:1", public=True):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_a_claim_that_was_held_up_for_too_long_counts_no_more(
    shock: ShockClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with claim.claim_name(shock, "a/b:1", public=True) as mine:
        monkeypatch.setattr(claim, "_LEASE_SECONDS", 0.0)
        with pytest.raises(SkyportError, match="held up for 0 s, and someone else may have gone ahead"):
            mine.renew()


@pytest.mark.parametrize("patience", [0, 0.5])
def test_a_name_that_others_keep_is_given_up(shock: ShockClient, patience: float) -> None:
    left = leave_claim(shock, mark_process())
    with (
        pytest.raises(claim.NameHeldError, match=rf"a/b:1 is being published by someone else .node {left} claims it"),
        claim.claim_name(shock, "a/b:1", public=True, patience=patience),
    ):
        pass
    assert claims(shock) == [left]


def test_a_claim_that_someone_removed_counts_no_more(shock: ShockClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with claim.claim_name(shock, "a/b:1", public=True) as mine:
        (node_id,) = claims(shock)
        shock.delete(node_id)
        monkeypatch.setattr(claim, "_RENEWAL_SECONDS", 0.0)
        with pytest.raises(SkyportError, match="someone else may have gone ahead"):
            mine.renew()


def test_what_is_known_of_a_process() -> None:
    mine = mark_process()
    assert not is_dead(mine)
    assert is_dead({**mine, "started": "1.00"})
    assert is_dead({**mine, "process": "999999999"})
    for unknown in (
        {**mine, "machine": "another", "process": "999999999"},
        {**mine, "machine": ""},
        {**mine, "process": "../1"},
        {**mine, "process": "-1"},
        {**mine, "process": "9" * 30},
        {**mine, "process": "9" * 5000},
        {**mine, "process": "²"},
        {**mine, "process": 999999999},
        {**mine, "process": ["1"]},
        {**mine, "process": "999999999", "started": "then"},
        {**mine, "process": "999999999", "started": None},
        {**mine, "process": "999999999", "started": "9" * 5000 + ".00"},
        {},
    ):
        assert not is_dead(unknown)


def test_a_process_that_nobody_has_buried_is_dead() -> None:
    """Killed, and its parent has not asked how it ended."""
    child = subprocess.Popen(["sleep", "60"])
    mark = {**mark_process(), "process": str(child.pid), "started": f"{psutil.Process(child.pid).create_time():.2f}"}
    assert not is_dead(mark)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_dead(mark)
    child.wait()
    assert is_dead(mark)
