"""Archives that go up in parts as they are made: cut, sent once each, gone on with, joined to what they were."""

import random
import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyport_wf.errors import ArchiveError, ShockError, TemporaryError
from skyport_wf.publication.attributes import UPLOAD_TYPE
from skyport_wf.publication.connection import Shock
from skyport_wf.shock.client import ShockClient
from skyport_wf.shock.connection import ShockRefusalError
from skyport_wf.shock.node import Node
from skyport_wf.transfer.concurrency import run_concurrently
from skyport_wf.transfer.parts import cut_into_parts
from skyport_wf.transfer.stream_upload import StreamUpload
from tests.support.sample_records import build_record

STEP = 1000
CONTENT = random.Random(1).randbytes(10 * STEP + 7)


@given(st.lists(st.binary(max_size=40)), st.integers(1, 20))
def test_a_stream_is_cut_into_parts_of_one_size(pieces: list[bytes], step: int) -> None:
    parts = list(cut_into_parts(iter(pieces), step))
    assert b"".join(data for _, data in parts) == b"".join(pieces)
    assert all(part.size == len(data) for part, data in parts)
    assert all(part.size == step for part, _ in parts[:-1])
    assert [(part.number, part.start) for part, _ in parts] == [(n + 1, n * step) for n in range(len(parts))]


class TestSeveralAtOnce:
    def test_one_thread_keeps_the_order_and_reads_one_ahead(self) -> None:
        taken: list[int] = []
        done: list[int] = []
        ahead: list[int] = []

        def items() -> Iterator[int]:
            for number in range(20):
                taken.append(number)
                ahead.append(len(taken) - len(done))
                yield number

        def work(number: int, _: threading.Event) -> int:
            done.append(number)
            return number

        assert list(run_concurrently(work, items(), at_once=1)) == list(range(20))
        assert done == list(range(20))
        assert max(ahead) <= 2

    def test_no_more_threads_than_asked_for(self) -> None:
        names = set(run_concurrently(lambda _, __: threading.current_thread().name, range(100), at_once=3))
        assert 1 <= len(names) <= 3

    @pytest.mark.parametrize("at_once", [1, 4])
    def test_an_error_ends_it(self, at_once: int) -> None:
        def work(number: int, stopping: threading.Event) -> int:
            if number == 5:
                raise ValueError(number)
            return number

        with pytest.raises(ValueError, match="5"):
            list(run_concurrently(work, range(1000), at_once=at_once))

    def test_an_error_of_the_source_is_its_own(self) -> None:
        def items() -> Iterator[int]:
            yield 1
            raise ArchiveError("broken")

        with pytest.raises(ArchiveError, match="broken"):
            list(run_concurrently(lambda number, _: number, items(), at_once=2))

    def test_nothing_to_do(self) -> None:
        assert list(run_concurrently(lambda number, _: number, list[int](), at_once=2)) == []


@pytest.fixture
def send(opened: Shock) -> Callable[[Callable[[], Iterator[bytes]]], Node]:
    return StreamUpload(opened, build_record(), STEP).send


def whole(content: bytes = CONTENT) -> Iterator[bytes]:
    for start in range(0, len(content), 300):
        yield content[start : start + 300]


def broken_off(size: int) -> Callable[[], Iterator[bytes]]:
    def read() -> Iterator[bytes]:
        yield CONTENT[:size]
        raise TemporaryError("the engine is gone")

    return read


def stored(shock: ShockClient, node: Node) -> bytes:
    with shock.download(node.id) as stream:
        return stream.read()


def uploads(shock: ShockClient) -> list[Node]:
    return shock.query({"type": UPLOAD_TYPE})


def test_what_arrives_is_what_was_read(shock, send):
    node = send(whole)
    assert stored(shock, node) == CONTENT
    assert len(node.part_md5s) == 11
    assert node.expires
    assert not shock.read_access(node.id).public.read


def test_it_goes_on_with_what_has_arrived(shock, send, caplog):
    caplog.set_level("INFO")
    for size, arrived in ((3 * STEP + 5, 3), (7 * STEP, 7), (100, 7)):
        with pytest.raises(TemporaryError, match="the engine is gone"):
            send(broken_off(size))
        (left,) = uploads(shock)
        # A part that is being sent when reading fails may still arrive.
        assert arrived - 1 <= len(left.part_md5s) <= arrived
    assert stored(shock, send(whole)) == CONTENT
    assert [node.id for node in uploads(shock)] == [left.id]
    assert f"node {left.id} in parts, it has {len(left.part_md5s)}" in caplog.text


@pytest.mark.parametrize("other", [b"x" + CONTENT[1:], CONTENT[: 2 * STEP]], ids=["other bytes", "shorter"])
def test_parts_of_another_archive_are_left_alone(shock, send, caplog, other):
    """Perhaps another engine's publisher is still sending them."""
    with pytest.raises(TemporaryError):
        send(broken_off(5 * STEP))
    (left,) = uploads(shock)
    node = send(lambda: whole(other))
    assert node.id != left.id
    assert stored(shock, node) == other
    assert "Starting anew" in caplog.text
    assert len(shock.find(left.id).part_md5s) >= 4


def test_parts_of_another_size_are_not_gone_on_with(opened, shock, send):
    with pytest.raises(TemporaryError):
        send(broken_off(5 * STEP))
    (left,) = uploads(shock)
    node = StreamUpload(opened, build_record(), 2 * STEP).send(whole)
    assert node.id != left.id
    assert stored(shock, node) == CONTENT


def test_an_archive_with_a_mistake_leaves_nothing(shock, send):
    def read() -> Iterator[bytes]:
        yield CONTENT
        raise ArchiveError("it is none")

    with pytest.raises(ArchiveError, match="it is none"):
        send(read)
    assert uploads(shock) == []


def test_a_node_that_vanishes_meanwhile(shock, send, caplog):
    def read() -> Iterator[bytes]:
        yield CONTENT[: 5 * STEP]
        if len(uploads(shock)) == 1 and "vanished" not in caplog.text:
            shock.delete(uploads(shock)[0].id)
        yield CONTENT[5 * STEP :]

    assert stored(shock, send(read)) == CONTENT
    assert "vanished" in caplog.text


def test_parts_are_closed_once_and_again(shock):
    node = shock.create_for_parts(None, file_name="x", attributes={}, expiration="1D")
    shock.send_part(node.id, 1, lambda: [b"abc"], size=3)
    shock.close_parts(node.id)
    shock.close_parts(node.id)
    fixed = shock.create_for_parts(2, file_name="x", attributes={}, expiration="1D")
    with pytest.raises(ShockRefusalError):
        shock.close_parts(fixed.id)
    with pytest.raises(ShockError):
        shock.close_parts("3b8c4a51-4b52-4f65-93a1-0c21b3a5e2d0")
