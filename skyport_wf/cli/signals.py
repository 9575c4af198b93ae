"""The effect of SIGINT, SIGTERM and SIGHUP: they must not surprise an import.

Python turns Ctrl-C into an exception wherever the program is. Raised while a module is imported it is a traceback of
libraries, and while an extension module is set up it may be swallowed, and crash the process later. So until the verb
runs a signal ends the process at once, as there is nothing to clean up; later it waits for an import to end.
"""

import os
import signal
import time
from types import FrameType
from typing import NoReturn

_IMPORTING = "<frozen importlib._bootstrap>"
_AGAIN_SECONDS = 0.005
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that people and workflow engines end a command with; the last one comes when the terminal is closed."""
_CLEANING_SECONDS = 1.0
"""How long a command that was interrupted may clean up undisturbed."""
_pending = signal.SIGINT
"""The signal that waits for the end of an import."""
_interrupted_at: float | None = None
"""When the command was interrupted, on the monotonic clock."""


def end_at_once() -> None:
    """From now on let signals end the process, before anything has begun."""
    for number in _ENDING:
        _handle(number, _end)


def act_on_signals() -> None:
    """From now on let `finally` and `with` do their work when the command is interrupted, or told to end."""
    global _interrupted_at  # noqa: PLW0603 - a process has one set of signals
    _interrupted_at = None
    signal.signal(signal.SIGALRM, lambda _, frame: _interrupt(_pending, frame))
    for number in _ENDING:
        _handle(number, _interrupt)


def ignore_signals() -> None:
    """From now on let nothing interrupt: all is done, and the process has only to end."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in (*_ENDING, signal.SIGALRM):
        # Not SIG_IGN: Python complains of a signal that came just before, and then has no handler.
        signal.signal(number, lambda *_: None)


def _handle(number: signal.Signals, handler: object) -> None:
    # One that is ignored stays so: `nohup` and shells' background jobs mean it.
    if signal.getsignal(number) is not signal.SIG_IGN:
        signal.signal(number, handler)  # type: ignore[arg-type]


def _end(number: int, _: FrameType | None) -> NoReturn:
    os.write(2, b"skyport-wf: interrupted\n")
    os._exit(128 + number)


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _pending, _interrupted_at  # noqa: PLW0603 - a process has one set of signals
    if _interrupted_at is not None:
        # A terminal and a workflow engine may both pass on the same Ctrl-C. Who means it tries once more.
        if time.monotonic() - _interrupted_at > _CLEANING_SECONDS:
            _end(number, frame)
        return
    at = frame
    while at is not None:
        if at.f_code.co_filename == _IMPORTING:
            _pending = signal.Signals(number)
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)
            return
        at = at.f_back
    _interrupted_at = time.monotonic()
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)
