"""The first thing that the command does: signals and closed streams must not surprise what comes after."""

import os
import sys
from typing import NoReturn

from skyport_wf.cli.signals import end_at_once, ignore_signals


def main() -> NoReturn:
    """Run the command line as a program, and end with its exit code."""
    end_at_once()
    _open_streams()
    from skyport_wf.cli.main import main as run

    try:
        sys.exit(run())
    finally:
        ignore_signals()
        _flush_streams()


def _open_streams() -> None:
    """Let what was closed lead nowhere: the first files that are opened would take the numbers of closed streams."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    # Python has no object for a stream that was closed when it started.
    sys.stdin = sys.stdin or os.fdopen(0)
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")


def _flush_streams() -> None:
    """Write what is still to be written: of a full disk or a closed pipe, Python would complain in its own way.

    What was for stdout is the result: without it the command has failed.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            if stream is sys.stdout:
                sys.exit(1)
