"""Messages for people: on stderr, or in the file that `--log` names; warnings and errors in both."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO, cast

from skyport_wf.errors import UsageError
from skyport_wf.formatting import terminal_text
from skyport_wf.output_file import keep_other_file, open_for_writing

_PROGRAM = "skyport-wf: "
"""How each message begins, and so each log file: before a build prints anything, a message says what is built."""

_log_file: LogFile | None = None
"""Where messages go instead of stderr; a command line has one such place, chosen once."""


class _Formatter(logging.Formatter):
    """Writes messages that no terminal acts upon, whoever's words are in them."""

    def format(self, record: logging.LogRecord) -> str:
        return terminal_text(super().format(record))


def start_logging(args: argparse.Namespace) -> None:
    """Let the package's log messages go where the command line says, until `stop_logging`.

    Raises UsageError if the log file cannot be written, or if there is another file in its place.
    """
    global _log_file  # noqa: PLW0603 - see there
    _log_file = LogFile(args.log) if args.log else None
    handler = logging.StreamHandler(cast(TextIO, _log_file) if _log_file else sys.stderr)
    handler.setFormatter(_Formatter("skyport-wf: %(message)s"))
    log = logging.getLogger("skyport_wf")
    log.handlers = [handler]
    if _log_file:
        # In a workflow engine's job, nobody reads the log file of a step that ends well.
        aloud = logging.StreamHandler(sys.stderr)
        aloud.setFormatter(handler.formatter)
        aloud.setLevel(logging.WARNING)
        # That something is tried again says nothing yet of how it ends.
        aloud.addFilter(lambda record: record.name != "skyport_wf.retries")
        log.handlers.append(aloud)
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
    _write_to_stderr(line)
    if _log_file and not _log_file.failed:
        _log_file.write(line)


def build_output(args: argparse.Namespace) -> Callable[[str], None]:
    """Return what shows the text that a build prints, where log messages go too."""
    write = _log_file.write if _log_file else _write_to_stderr

    def show(text: str) -> None:
        if not args.quiet:
            # A carriage return only moves the cursor, and builders show progress with it.
            write("\r".join(map(terminal_text, text.split("\r"))))

    return show


class LogFile:
    """The file that `--log` names. Once it cannot be written, the rest goes to stderr: no command fails by its log."""

    def __init__(self, path: Path) -> None:
        self.failed = False
        self._path = path
        keep_other_file(path, "log of skyport-wf", lambda there: there.startswith(_PROGRAM.encode()))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
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
    with suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()
