"""What every test of images relies on."""

import gc
import threading
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """See that the threads that compress and decompress end with the test, also where it fails halfway."""
    before = threads()
    yield
    if not threads() <= before:
        # Perhaps only what nobody refers to any more holds it.
        gc.collect()
        assert threads() <= before


def threads() -> set[threading.Thread]:
    """Return those that run, apart from the one that the first command of a process starts for all of them."""
    return {thread for thread in threading.enumerate() if thread.name != "signals"}
