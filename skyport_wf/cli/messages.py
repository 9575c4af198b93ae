"""Messages for people: on stderr, or in the file that `--log` names; errors in both."""

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from skyport_wf.errors import UsageError
from skyport_wf.formatting import terminal_text

_stream: TextIO = sys.stderr
"""Where messages go; a command line has one such place, chosen once."""


class _Formatter(logging.Formatter):
    """Writes messages that no terminal acts upon, whoever's words are in them."""

    def format(self, record: logging.LogRecord) -> str:
        return terminal_text(super().format(record))


def start_logging(args: argparse.Namespace) -> None:
    """Let the package's log messages go where the command line says.

    Raises UsageError if the log file cannot be written.
    """
    global _stream  # noqa: PLW0603 - see there
    _stream = _open(args)
    handler = logging.StreamHandler(_stream)
    handler.setFormatter(_Formatter("skyport-wf: %(message)s"))
    log = logging.getLogger("skyport_wf")
    log.handlers = [handler]
    log.setLevel(logging.ERROR if args.quiet else logging.DEBUG if args.verbose else logging.INFO)
    log.propagate = False


def report_error(message: str) -> None:
    """Show what the command failed with, on stderr and in the log file if there is one."""
    line = f"skyport-wf: {terminal_text(message)}"
    print(line, file=sys.stderr)
    if _stream is not sys.stderr:
        print(line, file=_stream, flush=True)


def build_output(args: argparse.Namespace) -> Callable[[str], None]:
    """Return what shows the text that a build prints, where log messages go too."""

    def show(text: str) -> None:
        if not args.quiet:
            # A carriage return only moves the cursor, and builders show progress with it.
            _stream.write("\r".join(map(terminal_text, text.split("\r"))))
            _stream.flush()

    return show


def _open(args: argparse.Namespace) -> TextIO:
    if not args.log:
        return sys.stderr
    path = Path(args.log)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A path in a message may have bytes that are not UTF-8.
        return path.open("w", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(f"cannot write the log file {path}: {error.strerror}") from error
