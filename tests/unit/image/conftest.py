"""What every test of images relies on."""

import gc
import threading
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """See that the threads that compress and decompress end with the test, also where it fails halfway."""
    before = set(threading.enumerate())
    yield
    if not set(threading.enumerate()) <= before:
        # Perhaps only what nobody refers to any more holds it.
        gc.collect()
        assert set(threading.enumerate()) <= before
