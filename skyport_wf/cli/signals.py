"""The effect of SIGINT, SIGTERM and SIGHUP: they must neither surprise an import nor be lost.

Python turns Ctrl-C into an exception wherever the program is. Raised while a module is imported it is a traceback of
libraries, and while an extension module is set up it may be swallowed, and crash the process later. So until the verb
runs a signal ends the process at once, as there is nothing to clean up; later it waits for an import to end.

Python also only takes note of a signal and acts between two instructions of the program. One that comes when the next
is about to wait for an engine has no effect until the engine says something, and an exception that is raised while an
object is taken apart has none at all. So a thread hears of each signal, and wakes the program until it has acted.
"""

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from functools import cache
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_IMPORTING = "<frozen importlib._bootstrap>"
_AGAIN_SECONDS = 0.005
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that people and workflow engines end a command with; the last one comes when the terminal is closed."""
_CLEANING_SECONDS = 1.0
"""How long a command that was interrupted may clean up undisturbed."""
_waiting: int | None = None
"""The signal that waits for the end of an import."""
_interrupted_at: float | None = None
"""When the command was interrupted, on the monotonic clock."""


def end_at_once() -> None:
    """From now on let signals end the process, before anything has begun."""
    for number in _ENDING:
        _handle(number, _end)


def act_on_signals() -> None:
    """From now on let `finally` and `with` do their work when the command is interrupted, or told to end."""
    global _interrupted_at, _waiting  # noqa: PLW0603 - a process has one set of signals
    _interrupted_at = _waiting = None
    # What the thread wakes the program with: a signal that stands for nothing else.
    signal.signal(signal.SIGALRM, _look_again)
    # A process that may have no more files or threads has signals as Python has them.
    with suppress(OSError, RuntimeError):
        signal.set_wakeup_fd(_start_waker(), warn_on_full_buffer=False)
    for number in _ENDING:
        _handle(number, _interrupt)


def ignore_signals() -> None:
    """From now on let nothing interrupt: all is done, and the process has only to end."""
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
    global _waiting, _interrupted_at  # noqa: PLW0603 - a process has one set of signals
    if _interrupted_at is not None:
        # A terminal and a workflow engine may both pass on the same Ctrl-C. Who means it tries once more.
        if time.monotonic() - _interrupted_at > _CLEANING_SECONDS:
            _end(number, frame)
        return
    _waiting = number
    at = frame
    while at is not None:
        if at.f_code.co_filename == _IMPORTING:
            return
        at = at.f_back
    _interrupted_at = time.monotonic()
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


def _look_again(_: int, frame: FrameType | None) -> None:
    if _waiting is not None and _interrupted_at is None:
        _interrupt(_waiting, frame)


@cache
def _start_waker() -> int:
    """Start what sees to it that no signal is lost, and return the descriptor to which their numbers are written."""
    heard, wake = os.pipe()
    os.set_blocking(wake, False)
    main = threading.get_ident()
    threading.Thread(target=_wake_until_interrupted, args=[heard, main], name="signals", daemon=True).start()
    report = sys.unraisablehook

    def interrupt_later(unraisable: "UnraisableHookArgs") -> None:
        global _interrupted_at  # noqa: PLW0603 - a process has one set of signals
        if _waiting is None or not isinstance(unraisable.exc_value, (KeyboardInterrupt, SystemExit)):
            report(unraisable)
            return
        _interrupted_at = None
        os.write(wake, bytes([_waiting]))

    sys.unraisablehook = interrupt_later
    return wake


def _wake_until_interrupted(heard: int, main: int) -> None:
    while number := os.read(heard, 1):
        while _interrupted_at is None and signal.getsignal(number[0]) is _interrupt:
            time.sleep(_AGAIN_SECONDS)
            signal.pthread_kill(main, signal.SIGALRM)
