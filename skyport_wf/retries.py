"""Asking again: what is temporary, how long to go on, and a log line for each time."""

from __future__ import annotations

import logging
import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from skyport_wf.errors import TemporaryError, UsageError

if TYPE_CHECKING:
    import tenacity

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")

RETRY_VARIABLE = "SKYPORT_RETRY_SECONDS"
"""The variable that says for how many seconds in all a request is tried again; 0 for never."""
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_DEFAULT_SECONDS = 60.0
_FIRST_PAUSE = 0.3
_LONGEST_PAUSE = 10.0
"""Seconds, if the server does not ask for more."""
LONG_WAIT = 5.0
"""Seconds after which whoever looks on is told what is waited for."""

_FOR_EVER = frozenset({501, 505, 507})
"""Not implemented, the version of HTTP, a full disk: no server mends that in a minute."""
TEMPORARY_STATUSES = frozenset({408, 429, *range(500, 600)}) - _FOR_EVER
"""HTTP statuses of a server that may do better in a moment."""


_once = False
"""Whether nothing is tried again in this process."""


@contextmanager
def asking_once() -> Iterator[None]:
    """Let nothing be tried again while the block lasts: whoever looks how things stand wants to hear it now."""
    global _once  # noqa: PLW0603 - threads that the block starts have no other way to know
    _once = True
    try:
        yield
    finally:
        _once = False


def pauses(seconds: float, *, first: float = _FIRST_PAUSE, longest: float = _LONGEST_PAUSE) -> Iterator[float]:
    """Yield after each of growing, random pauses, in seconds, until so many seconds are over in all.

    For whoever looks at an answer to know whether to ask again.
    """
    until = time.monotonic() + seconds
    usual = first
    while (left := until - time.monotonic()) > 0:
        pause = min(random.uniform(usual / 2, usual), left)  # noqa: S311 - spreads two processes in time
        time.sleep(pause)
        yield pause
        usual = min(2 * usual, longest)


def retrying(call: Callable[[], _Result], *, at_least: int = 2, stopping: threading.Event | None = None) -> _Result:
    """Return what `call` returns, calling it again with growing, random pauses while it raises TemporaryError.

    A server that asks to be left alone is, and not asked again if it asks for longer than there is time.
    at_least: attempts to make even if they take longer than is set in all, as sending a large file may.
    stopping: ends the pauses and the attempts when it is set.
    """
    seconds = retry_seconds()
    began = time.monotonic()
    until = began + seconds
    try:
        return call()
    except TemporaryError as error:
        failed = error
    # Nearly all requests go well: the jobs of a workflow, a process each, need not import this.
    import tenacity

    # The attempt that has failed counts as the first.
    errors = [failed]

    def attempt() -> _Result:
        if errors:
            raise errors.pop()
        return call()

    stopping = stopping or threading.Event()
    usual_pause = tenacity.wait_random_exponential(multiplier=_FIRST_PAUSE, max=_LONGEST_PAUSE)
    at_least = at_least if seconds > 0 else 1

    def pause(state: tenacity.RetryCallState) -> float:
        left = until - time.monotonic()
        usual = usual_pause(state)
        return max(_retry_after(state), min(usual, left) if left > 0 else usual)

    def is_over(state: tenacity.RetryCallState) -> bool:
        left = until - time.monotonic()
        if left <= 0 and state.attempt_number < at_least:
            left = _LONGEST_PAUSE
        return stopping.is_set() or left <= 0 or _retry_after(state) > left

    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(TemporaryError),
        wait=pause,
        stop=is_over,
        sleep=tenacity.sleep_using_event(stopping),
        before_sleep=lambda state: _say(state, began),
        reraise=True,
    )
    return attempts(attempt)


def _retry_after(state: tenacity.RetryCallState) -> float:
    """Return the seconds for which the server asks to be left alone after an attempt that failed."""
    error = state.outcome.exception() if state.outcome else None
    return error.retry_after if isinstance(error, TemporaryError) else 0.0


def _say(state: tenacity.RetryCallState, began: float) -> None:
    error = state.outcome.exception() if state.outcome else None
    pause = state.next_action.sleep if state.next_action else 0
    waiting = {
        "seconds": time.monotonic() - began + pause,
        "reason": str(error),
        "is_first": state.attempt_number == 1,
    }
    _log.warning("%s Trying again in %.1f s (attempt %d).", error, pause, state.attempt_number + 1, extra=waiting)


def retry_seconds() -> float:
    """Return for how many seconds in all a request is tried again. Raises UsageError if the variable has no number."""
    if _once:
        return 0.0
    text = os.environ.get(RETRY_VARIABLE, "")
    if not text:
        return _DEFAULT_SECONDS
    # float() takes signs, underscores, other alphabets and `inf`, too.
    if not _SECONDS.fullmatch(text):
        raise UsageError(f"{RETRY_VARIABLE}={text!r} is not a number of seconds")
    return float(text)
