"""How the command line shows bytes on their way: bars on a terminal, lines every few seconds where there is none."""

from __future__ import annotations

import argparse
import functools
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from skyport_wf.cli.colours import is_terminal, wants_colour
from skyport_wf.cli.messages import TERMINAL, write_above
from skyport_wf.formatting import human_size, printable
from skyport_wf.progress import UNSEEN, Progress

if TYPE_CHECKING:
    import rich.progress

_log = logging.getLogger(__name__)
_SECONDS = 5.0
"""Between two lines of one transfer: often enough to see that it moves, and a short log after hours."""
_CHANGED_AFTER = 0.05
"""Seconds between two changes of a bar."""
_REDRAWN_EVERY = 0.1
"""Seconds between two looks that the terminal gets at the bars."""
_TELLING = 0.5
"""Seconds after which a speed says something."""
_NUMBERS = len(" 999.9 MB of 999.9 MB, 999.9 MB/s, 9:59 left ")
"""Characters that a bar needs beside its name and itself."""


@contextmanager
def progress_bar(args: argparse.Namespace, what: str, total: int | None = None) -> Iterator[Progress]:
    """Show how bytes move as long as the block takes; yields what is to be called with each number of bytes.

    what: what is done, to which image.
    total: the bytes that are to come, if they are known and nobody else says so to `expect`.
    """
    if args.quiet or args.no_progress:
        yield UNSEEN
        return
    # Where messages go into a file, another command may have the terminal: jobs of a workflow run side by side.
    shown = _Bar(printable(what)) if is_terminal(sys.stderr) and not args.log else ProgressLines(what)
    if total is not None:
        shown.expect(total)
    try:
        yield shown
    finally:
        if isinstance(shown, _Bar):
            shown.rest()


def nth(what: str, number: int, total: int) -> str:
    """Return what is done, and which of how many it is."""
    return f"{number} of {total}: {what}" if total > 1 else what


class ProgressLines(Progress):
    """Says in a message every few seconds how far a transfer is; nothing of one that is over before that."""

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._clock = clock
        self._lock = threading.Lock()
        self._total = self._done = 0
        self._begun = self._told = 0.0

    def expect(self, size: int) -> None:
        """Count these, too, among what is to come."""
        with self._lock:
            self._total += size

    def rest(self) -> None:
        """Begin anew with the next bytes."""
        with self._lock:
            self._total = self._done = 0
            self._begun = self._told = 0.0

    def __call__(self, size: int) -> None:
        """Count the bytes; say how far it is if there has been no word of it for a while."""
        with self._lock:
            now = self._clock()
            # The time before the first bytes is the build's.
            self._begun = self._begun or now
            self._told = self._told or now
            self._done += size
            if now - self._told < _SECONDS:
                return
            self._told = now
            text = _in_words(self._done, self._total, self._done / (now - self._begun))
        _log.info("%s: %s", self._what, text)


def _in_words(done: int, total: int, speed: float | None) -> str:
    """Return how far a transfer is.

    total: 0 if it is not known.
    speed: bytes a second, None if there is no telling yet.
    """
    words = [human_size(done)]
    # What an engine says of an image's size is not quite what it sends.
    if total and total >= done:
        words[0] += f" of {human_size(total)}"
    if speed:
        words.append(f"{human_size(int(speed))}/s")
        if total and total >= done:
            minutes, seconds = divmod(round((total - done) / speed), 60)
            clock = f"{minutes // 60}:{minutes % 60:02}" if minutes >= 60 else f"{minutes}"
            words.append(f"{clock}:{seconds:02} left")
    return ", ".join(words)


class _Bar(Progress):
    """A bar among those of the command; it is there from the first byte on, as builds print lines of their own."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._lock = threading.Lock()
        self._total = self._done = 0
        self._changed_at = 0.0
        self._task: rich.progress.TaskID | None = None

    def expect(self, size: int) -> None:
        """Count these, too, among what is to come."""
        with self._lock:
            self._total += size

    def __call__(self, size: int) -> None:
        """Count the bytes."""
        with self._lock:
            self._done += size
            # Archives are read in small pieces, too.
            if time.monotonic() - self._changed_at > _CHANGED_AFTER:
                self._change()

    def rest(self) -> None:
        """Take the bar away; another one comes with the next bytes."""
        with self._lock:
            self._total = self._done = 0
            if self._task is not None:
                _bars.remove(self._task)
                self._task = None

    def _change(self) -> None:
        self._changed_at = time.monotonic()
        if self._task is None:
            self._task = _bars.add(self._what)
        total = self._total if self._total >= self._done else None
        _bars.drawn.update(self._task, completed=self._done, total=total)


class _Bars:
    """The bars of the command, which share the last lines of the terminal; messages go above them."""

    def __init__(self) -> None:
        self._unended = ""
        """The beginning of a line whose end has not come yet."""
        self._over = threading.Event()
        """Set when the bars that are there now are gone."""

    def add(self, what: str) -> rich.progress.TaskID:
        """Return a new bar; the first one takes the last lines of the terminal."""
        with TERMINAL:
            if not self.drawn.tasks:
                write_above(self._write)
                # A terminal may be gone: the work goes on.
                with suppress(OSError):
                    self.drawn.start()
                self._over = threading.Event()
                threading.Thread(target=self._redraw, args=[self._over], daemon=True).start()
            return self.drawn.add_task(what, total=None)

    def remove(self, bar: rich.progress.TaskID) -> None:
        """Take a bar away; with the last one, the terminal is as before."""
        with TERMINAL:
            self.drawn.remove_task(bar)
            if self.drawn.tasks:
                return
            self._over.set()
            write_above(None)
            rest, self._unended = self._unended, ""
            with suppress(OSError):
                self.drawn.stop()
                sys.stderr.write(rest)

    def _redraw(self, over: threading.Event) -> None:
        """Draw the bars as they are now, again and again; a terminal that stands still holds up no transfer."""
        while not over.wait(_REDRAWN_EVERY):
            with TERMINAL, suppress(OSError):
                # They may have gone while this waited for the terminal.
                if not over.is_set():
                    self.drawn.refresh()

    @functools.cached_property
    def drawn(self) -> rich.progress.Progress:
        """The library that draws the bars, while there are some."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
        from rich.table import Column
        from rich.text import Text

        class Numbers(ProgressColumn):
            def render(self, task: Task) -> Text:
                # On the whole, as in lines: the speed of the moment makes the time that is left jump about.
                speed = task.completed / task.elapsed if task.elapsed and task.elapsed > _TELLING else None
                return Text(_in_words(int(task.completed), int(task.total or 0), speed), no_wrap=True)

        console = Console(
            file=sys.stderr, force_terminal=True, force_interactive=True, no_color=not wants_colour(sys.stderr),
            color_system="standard", markup=False, emoji=False, highlight=False,
        )  # fmt: skip
        bar = min(40, max(8, console.width // 8))
        name = Column(no_wrap=True, overflow="ellipsis", max_width=max(8, console.width - bar - _NUMBERS))
        return Progress(
            TextColumn("{task.description}", markup=False, table_column=name),
            BarColumn(bar, complete_style="cyan", pulse_style="cyan"),
            Numbers(table_column=Column(no_wrap=True)),
            console=console, transient=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip

    def _write(self, text: str) -> None:
        """Write the whole lines of a text above the bars, and keep the rest until its end comes."""
        from rich.text import Text

        *lines, self._unended = (self._unended + text).split("\n")
        for line in lines:
            # Of what a builder wrote over and over, as progress, the last.
            shown = Text.from_ansi(line.rstrip("\r").rpartition("\r")[2])
            self.drawn.console.print(shown, soft_wrap=True)


_bars = _Bars()
"""A command has one terminal."""
