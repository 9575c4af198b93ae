"""The first thing that the command does: signals and closed streams must not surprise what comes after."""

import atexit
import os
import sys
from typing import NoReturn

from skyport_wf.cli.signals import end_at_once, ignore_signals


def main() -> NoReturn:
    """Run the command line as a program, and end with its exit code."""
    end_at_once()
    _open_streams()
    from skyport_wf.cli.main import main as run
    from skyport_wf.errors import EXIT_INTERRUPTED

    try:
        code = run()
        # In here, too, as the first signal may come now. Those after a first one are not heard at once.
        ignore_signals()
    except SystemExit as end:  # after --help and --version, or told to end when all was done
        code = int(end.code or 0)
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    ignore_signals()
    # What libraries have asked Python to do at its end.
    atexit._run_exitfuncs()
    code = _flush_streams() or code
    # Python would take all modules and values apart now, which is a sixth of the work of a short command.
    os._exit(code)


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


def _flush_streams() -> int:
    """Write what is still to be written: of a full disk or a closed pipe, Python would complain in its own way.

    Returns 1 if stdout cannot be written: that is the result, without it the command has failed.
    """
    code = 0
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = code or int(stream is sys.stdout)
    return code
