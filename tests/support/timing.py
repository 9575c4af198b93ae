"""How long something may take, on a busy machine too."""

import time
from collections.abc import Callable

PATIENCE = 300
"""Seconds after which something hangs, however busy the machine is."""


def allowance(seconds: float, alike: Callable[[], object]) -> float:
    """Return how long something may take that is done within `seconds` on a quiet machine.

    On a busy one it may take longer, by 20 times what `alike` takes now, which is something small of the same kind.
    """
    began = time.monotonic()
    alike()
    return seconds + 20 * (time.monotonic() - began)


def wait_until(holds: Callable[[], object]) -> None:
    """Wait for what happens soon, and fail if it never does."""
    limit = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < limit, "it has not happened"
        time.sleep(0.02)
