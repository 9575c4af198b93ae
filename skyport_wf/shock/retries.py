"""Asking again: what is temporary, how long to go on, and a log line for each time."""

import logging
import os
from collections.abc import Callable
from typing import TypeVar

import tenacity

from skyport_wf.errors import TemporaryError, UsageError

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")

RETRY_VARIABLE = "SKYPORT_RETRY_SECONDS"
"""The variable that says for how many seconds in all a request is tried again."""
_DEFAULT_SECONDS = 60.0

TEMPORARY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses of a server that may do better in a moment."""


def retrying(call: Callable[[], _Result]) -> _Result:
    """Return what `call` returns, calling it again with growing, random pauses while it raises TemporaryError."""
    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(TemporaryError),
        wait=tenacity.wait_random_exponential(multiplier=0.3, max=10),
        stop=tenacity.stop_after_delay(_seconds()),
        before_sleep=_say,
        reraise=True,
    )
    return attempts(call)


def _say(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    pause = state.next_action.sleep if state.next_action else 0
    _log.warning("%s Trying again in %.1f s (attempt %d).", error, pause, state.attempt_number + 1)


def _seconds() -> float:
    text = os.environ.get(RETRY_VARIABLE, "")
    try:
        return float(text) if text else _DEFAULT_SECONDS
    except ValueError as error:
        raise UsageError(f"{RETRY_VARIABLE}={text!r} is not a number of seconds") from error
