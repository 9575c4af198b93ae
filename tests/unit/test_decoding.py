"""Values of types that threads meet for the first time at the same moment."""

import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest

from skyport_wf.decoding import convert, decode_json, decode_msgpack
from skyport_wf.image.archive.go_json import decode_like_go

TRIES = 100


class Inner(msgspec.Struct):
    number: int = 0


class Outer(msgspec.Struct):
    inner: Inner
    more: tuple[Inner, ...] = ()
    names: dict[str, Inner | None] = {}


@pytest.mark.slow
@pytest.mark.parametrize(
    "make", [partial(convert, {"inner": {}}), partial(decode_like_go, b'{"inner": {}}')], ids=["plain", "like-go"]
)
def test_threads_that_meet_a_type_at_the_same_moment_crash_no_process(make):
    """msgspec alone crashes a few in a hundred processes."""
    for _ in range(TRIES):
        if not (pid := os.fork()):
            meet_types(make)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def meet_types(make: Callable[[Any], object]) -> None:
    """Make values of types that this process has not used, in many threads; end the process."""
    sys.setswitchinterval(1e-6)
    barrier = threading.Barrier(8)
    # The more a type is made of, the longer others can meet what is half worked out.
    many = [
        (f"more{number}", msgspec.defstruct(f"More{number}", [("number", int)]) | None, None) for number in range(20)
    ]
    outer = msgspec.defstruct("Many", [("inner", Inner | None, None), *many])

    def meet(kind: Any) -> None:
        barrier.wait()
        make(kind)

    threads = [threading.Thread(target=meet, args=(kind,)) for kind in 4 * (outer, dict[str, outer])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os._exit(0)


def test_values():
    assert convert({"inner": {"number": "1"}}, Outer, strict=False) == Outer(Inner(1))
    assert decode_json('[{"number": 2}]', list[Inner]) == [Inner(2)]
    assert decode_json(b"[1, null]") == [1, None]
    assert decode_msgpack(msgspec.msgpack.encode({"number": 3}), Inner) == Inner(3)
    with pytest.raises(msgspec.ValidationError):
        convert({"inner": {"number": "1"}}, Outer)
