"""A terminal of a chosen width: commands run on it, and what they leave on its screen can be read."""

import fcntl
import os
import pty
import struct
import termios
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import pyte

from tests.support.commands import environment, fork_server
from tests.support.timing import PATIENCE, wait_until

_LINES = 160
"""So many that nothing scrolls out of sight."""


class Terminal:
    """A command on a pseudo-terminal; its input is empty."""

    def __init__(
        self, arguments: Sequence[str], *, folder: Path, variables: Mapping[str, str], columns: int = 80
    ) -> None:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, columns, 0, 0))
        settings = {"TERM": "xterm-256color", **variables}
        for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
            settings.setdefault(name, "")
        with Path(os.devnull).open("rb") as nothing:
            self._told = os.fdopen(
                fork_server("skyport-wf").fork(
                    [*arguments], folder=folder, variables=environment(**settings),
                    streams=(nothing.fileno(), theirs, theirs),
                )
            )  # fmt: skip
        os.close(theirs)
        self.pid = int(self._told.readline())
        self.written = b""
        """All that the command has written."""
        self._screen = pyte.Screen(columns, _LINES)
        self._stream = pyte.ByteStream(self._screen)
        self._ours = ours
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()

    def wait(self) -> int:
        """Wait until the command has ended, and return its exit code."""
        if not self._told.closed:
            self.code = int(self._told.readline())
            self._told.close()
            self._reader.join(PATIENCE)
            os.close(self._ours)
        return self.code

    @property
    def screen(self) -> str:
        """What is on the screen, without empty lines at the end and spaces at the ends of lines."""
        with self._lock:
            return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def wait_for(self, text: str) -> None:
        """Wait until a text is on the screen."""
        wait_until(lambda: text in self.screen or not self._reader.is_alive())
        assert text in self.screen, self.screen

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._ours, 65536)
            except OSError:  # nobody has the other end any more
                return
            if not piece:
                return
            with self._lock:
                self.written += piece
                self._stream.feed(piece)
