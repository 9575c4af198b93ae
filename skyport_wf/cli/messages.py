"""Messages for people: on stderr, or in the file that `--log` names; warnings and errors in both."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO, cast

from skyport_wf.cli.colours import BAD, LOOK, coloured, wants_colour
from skyport_wf.errors import UsageError
from skyport_wf.formatting import terminal_text
from skyport_wf.output_file import keep_other_file, make_folders, open_for_writing
from skyport_wf.retries import LONG_WAIT

_PROGRAM = "skyport-wf: "
"""How each message begins, and so each log file: before a build prints anything, a message says what is built."""

TERMINAL = threading.RLock()
"""Held by whoever writes to stderr: what another thread writes between two moves of the cursor leaves a bar behind.

Its owner may take it again: drawing may have something to log, and what handles a signal, too."""
_log_file: LogFile | None = None
"""Where messages go instead of stderr; a command line has one such place, chosen once."""
_above: Callable[[str], None] | None = None
"""Writes above the bars, while there are some."""


class _Formatter(logging.Formatter):
    """Writes messages that no terminal acts upon, whoever's words are in them."""

    def format(self, record: logging.LogRecord) -> str:
        return terminal_text(super().format(record))


class _ColouredFormatter(_Formatter):
    """Writes warnings so that they stand out, where a terminal shows them."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if record.levelno < logging.WARNING or not wants_colour(sys.stderr):
            return text
        return coloured(text, BAD if record.levelno >= logging.ERROR else LOOK)


class _FirstLongWait(logging.Filter):
    """Leaves out that something is tried again, which says nothing yet of how it ends, until that takes long: once."""

    _is_told = False

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name != "skyport_wf.retries":
            return True
        is_first = not self._is_told and getattr(record, "seconds", 0.0) >= LONG_WAIT
        self._is_told |= is_first
        return is_first


class _NewReason(logging.Filter):
    """Leaves out that something is tried again for the reason that was told last: nobody watches a log of a job."""

    _told = ""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name != "skyport_wf.retries":
            return True
        reason, is_first = getattr(record, "reason", ""), getattr(record, "is_first", True)
        is_new = is_first or reason != self._told
        self._told = reason
        return is_new


class _Stderr:
    """The standard error stream, as it is when something is written."""

    def write(self, text: str) -> None:
        _write_to_stderr(text)

    def flush(self) -> None:
        """Nothing is held back."""


def write_above(write: Callable[[str], None] | None) -> None:
    """Let what is for stderr be written by this function from now on, as there are bars; None when there are none."""
    global _above  # noqa: PLW0603 - a command has one terminal
    _above = write


def start_logging(args: argparse.Namespace) -> None:
    """Let the package's log messages go where the command line says, until `stop_logging`.

    Raises UsageError if the log file cannot be written, or if there is another file in its place.
    """
    global _log_file  # noqa: PLW0603 - see there
    _log_file = LogFile(args.log) if args.log else None
    aloud = logging.StreamHandler(cast(TextIO, _Stderr()))
    aloud.setFormatter(_ColouredFormatter(f"{_PROGRAM}%(message)s"))
    log = logging.getLogger("skyport_wf")
    log.handlers = [aloud]
    if _log_file:
        handler = logging.StreamHandler(cast(TextIO, _log_file))
        handler.setFormatter(_Formatter(f"{_PROGRAM}%(message)s"))
        log.handlers.insert(0, handler)
        # In a workflow engine's job, nobody reads the log file of a step that ends well.
        aloud.setLevel(logging.WARNING)
        aloud.addFilter(_FirstLongWait())
    elif not (args.verbose or sys.stderr.isatty()):
        aloud.addFilter(_NewReason())
    log.setLevel(logging.ERROR if args.quiet else logging.DEBUG if args.verbose else logging.INFO)
    log.propagate = False


def stop_logging() -> None:
    """Close the log file, if there is one."""
    global _log_file  # noqa: PLW0603 - see there
    if _log_file:
        _log_file.close()
    _log_file = None


def report_error(message: str) -> None:
    """Show what the command failed with, on stderr and in the log file if there is one."""
    line = f"{_PROGRAM}{terminal_text(message)}\n"
    # The first words are enough of a sign; the message is to be read.
    begin = coloured(_PROGRAM.strip(), BAD) + " " if wants_colour(sys.stderr) else _PROGRAM
    _write_to_stderr(begin + line.removeprefix(_PROGRAM))
    if _log_file and not _log_file.failed:
        _log_file.write(line)


def build_output(args: argparse.Namespace) -> Callable[[str], None]:
    """Return what shows the text that a build prints, where log messages go too."""
    return (lambda text: None) if args.quiet else hand_on


def hand_on(text: str) -> None:
    """Show what another program prints, where log messages go too."""
    write = _log_file.write if _log_file else _write_to_stderr
    # A carriage return only moves the cursor, and builders show progress with it.
    write("\r".join(map(terminal_text, text.split("\r"))))


class LogFile:
    """The file that `--log` names. Once it cannot be written, the rest goes to stderr: no command fails by its log."""

    def __init__(self, path: Path) -> None:
        self.failed = False
        self._path = path
        keep_other_file(path, "log of skyport-wf", lambda there: there.startswith(_PROGRAM.encode()))
        try:
            make_folders(path.parent)
            # A path in a message may have bytes that are not UTF-8.
            self._file = os.fdopen(open_for_writing(path), "w", encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise UsageError(f"cannot write the log file {path}: {error.strerror}") from error

    def write(self, text: str) -> None:
        """Write the text."""
        if not self.failed:
            try:
                self._file.write(text)
                self._file.flush()
            except OSError as error:
                self.failed = True
                _write_to_stderr(f"{_PROGRAM}cannot write the log file {self._path}: {error.strerror}\n")
        if self.failed:
            _write_to_stderr(text)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):
            self._file.close()


def _write_to_stderr(text: str) -> None:
    # Where nobody can be told anything any more, the command's work and its exit code still count.
    with TERMINAL, suppress(OSError):
        if _above:
            _above(text)
            return
        sys.stderr.write(text)
        sys.stderr.flush()
