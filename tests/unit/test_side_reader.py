"""A stream that is read on the side: whatever its reader does, whoever passes it on does not wait for ever."""

import hashlib
import itertools
import sys
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import Any

import pytest

from skyport_wf.byte_streams import ByteStream, pieces_of
from skyport_wf.side_reader import SideReader
from tests.support.timing import PATIENCE

PIECE = bytes(1000)


def digest(stream: ByteStream) -> str:
    return hashlib.sha256(b"".join(pieces_of(stream))).hexdigest()


def read_a_little(stream: ByteStream) -> str:
    return stream.read(5).decode()


def fail_at_once(stream: ByteStream) -> str:
    raise ValueError("at once")


def fail_at_the_end(stream: ByteStream) -> str:
    digest(stream)
    raise ValueError("at the end")


def test_it_reads_what_was_written() -> None:
    with SideReader(digest) as reader:
        for _ in range(100):
            reader.write(PIECE)
        assert reader.finish() == hashlib.sha256(PIECE * 100).hexdigest()


def test_it_need_not_read_all() -> None:
    with SideReader(read_a_little) as reader:
        reader.write(b"hello")
        for _ in range(100):
            reader.write(PIECE)
        assert reader.finish() == "hello"


@pytest.mark.parametrize("read", [fail_at_once, fail_at_the_end])
def test_what_it_raises_comes_back(read: object) -> None:
    with pytest.raises(ValueError, match="at "), SideReader(read) as reader:  # type: ignore[arg-type]
        for _ in range(100):
            reader.write(PIECE)
        reader.finish()


@pytest.mark.parametrize("read", [digest, read_a_little, fail_at_once, fail_at_the_end])
def test_it_ends_with_whoever_writes(read: object) -> None:
    before = threading.active_count()
    with pytest.raises(KeyError), SideReader(read) as reader:  # type: ignore[arg-type]
        if read is not fail_at_once:
            reader.write(b"hello")
        raise KeyError
    assert threading.active_count() == before


def test_nothing_at_all() -> None:
    with SideReader(digest) as reader:
        assert reader.finish() == hashlib.sha256().hexdigest()


def test_it_ends_wherever_a_signal_interrupts_whoever_writes() -> None:
    """Python turns a signal into an exception between any two lines, also of its own library."""
    for number in itertools.count(1):
        was_interrupted: list[bool] = []
        writer = threading.Thread(target=interrupt_at, args=[number, was_interrupted], daemon=True)
        writer.start()
        writer.join(PATIENCE)
        assert was_interrupted, f"interrupted at line {number}, it waits for ever"
        if was_interrupted == [False]:
            break
    assert number > 2


def interrupt_at(number: int, was_interrupted: list[bool]) -> None:
    """Write a piece, interrupted before the line of this number; note whether there are so many."""
    left = number

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.endswith(("side_reader.py", "queue.py", "threading.py")):
            return None
        left -= event == "line"
        if not left:
            raise KeyboardInterrupt
        return trace

    with suppress(KeyboardInterrupt), SideReader(digest) as reader:
        time.sleep(0.001)  # the other thread waits for a piece then
        sys.settrace(trace)
        try:
            reader.write(PIECE)
        finally:
            sys.settrace(None)
    was_interrupted.append(left <= 0)
