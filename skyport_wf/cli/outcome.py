"""The end of a verb: a value for programs, a text for people, an exit code for shells."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TextIO

from skyport_wf.cli.colours import Coloured, coloured, wants_colour
from skyport_wf.errors import EXIT_DONE, SkyportError
from skyport_wf.formatting import one_line, terminal_text

_BETWEEN: Final = 2
_NARROWEST: Final = 6
"""Characters between two columns, and of a column that is made narrow."""
_WIDE: Final = 13
"""Characters of a column up to which it stays as it is while others can go on below between their words."""


class Table:
    """A table for people to read.

    On a terminal it is as wide as that: what does not fit goes on below, and where not even narrow columns do, each row
    is a paragraph.
    """

    def __init__(self, head: list[str], rows: list[list[object]]) -> None:
        """Make a table, as `table` does."""
        self._head = head
        self._rows = rows

    def __str__(self) -> str:
        return self.render(colour=False)

    def render(self, *, colour: bool) -> str:
        """Return the table as text that no terminal acts upon, but for the colours of cells that have one."""
        from tabulate import tabulate

        # A line's end in a name would look like a row of its own.
        cells = [[one_line(str(cell)) for cell in row] for row in self._rows]
        widths = _column_widths([self._head, *cells] if self._head else cells)
        # Without a heading of its own, for whose spaces there is no room then.
        head = [] if widths else self._head
        rows = [self._head, *cells] if widths and self._head else cells
        if colour:
            for shown, row in zip(cells, self._rows, strict=True):
                shown[:] = [
                    coloured(text, cell.colour) if isinstance(cell, Coloured) else text
                    for text, cell in zip(shown, row, strict=True)
                ]
        if widths == []:
            return "\n\n".join(map(self._paragraph, cells))
        return tabulate(rows, headers=head, tablefmt="plain", disable_numparse=True, maxcolwidths=widths)

    def _paragraph(self, row: Sequence[str]) -> str:
        """Return a row with one cell a line, behind the name of its column."""
        from tabulate import tabulate
        from wcwidth import wcswidth

        columns = shutil.get_terminal_size().columns
        if not self._head:
            lines, widths = [[cell] for cell in row if cell], [columns]
        else:
            lines = [[name, cell] for name, cell in zip(self._head, row, strict=True) if cell]
            names = max((wcswidth(name) for name, _ in lines), default=0)
            widths = [names, max(_NARROWEST, columns - names - _BETWEEN)]
        return tabulate(lines, tablefmt="plain", disable_numparse=True, maxcolwidths=widths)


def _column_widths(rows: Sequence[Sequence[str]]) -> list[int | None] | None:
    """Return how wide each column may be on the terminal, None for those that fit; None if all do, or without one.

    Without any if there is no room for all of them, however narrow.
    """
    if not sys.stdout.isatty():
        return None
    from wcwidth import wcswidth

    widths = [max(map(wcswidth, column)) for column in zip(*rows, strict=True)]
    left = shutil.get_terminal_size().columns - _BETWEEN * (len(widths) - 1)
    # tabulate gives each column of a heading two spaces more.
    if sum(max(width, len(name) + _BETWEEN) for width, name in zip(widths, rows[0], strict=True)) <= left:
        return None
    narrowed = list(widths)
    # The widest lose first: names and sizes stay whole where paths and sentences can go on below. What goes on between
    # its words comes before what has to be cut.
    words = [
        max((wcswidth(word) for cell in column for word in cell.split()), default=0)
        for column in zip(*rows, strict=True)
    ]
    whole = [word if width > _WIDE else width for width, word in zip(widths, words, strict=True)]
    for least in (whole, [_NARROWEST] * len(widths)):
        while sum(narrowed) > left and (wide := [n for n in range(len(widths)) if narrowed[n] > least[n]]):
            narrowed[max(wide, key=narrowed.__getitem__)] -= 1
    if sum(narrowed) > left:
        return []
    return [now if now < before else None for now, before in zip(narrowed, widths, strict=True)]


Text = str | Table | Sequence[str | Table]
"""One text, or several paragraphs."""


class Outcome:
    """The end of a verb that did not fail."""

    def __init__(self, value: object, text: Text, exit_code: int = EXIT_DONE) -> None:
        """Make an outcome.

        value: what `--json` prints: a record, or plain values; nothing if None.
        text: what is printed otherwise, one text or several paragraphs; nothing if empty.
        """
        self.value = value
        self.text = text
        self.exit_code = exit_code

    def write(self, *, as_json: bool) -> None:
        """Print the outcome on stdout.

        Raises SkyportError if stdout is a file on a full disk, BrokenPipeError if nobody reads it any more.
        """
        with written_to(sys.stdout, "stdout"):
            self._print(as_json)

    def _print(self, as_json: bool) -> None:
        if as_json and self.value is not None:
            from skyport_wf.records.encoding import encode_outcome

            # JSON is UTF-8 whatever the locale says.
            sys.stdout.buffer.write(encode_outcome(self.value))
        elif not as_json:
            paragraphs = [self.text] if isinstance(self.text, (str, Table)) else self.text
            text = "\n\n".join(filter(None, map(_printed, paragraphs)))
            # Names may have letters that a Latin-1 terminal lacks. On stderr, Python writes those out by itself.
            encoding = sys.stdout.encoding or "utf-8"
            text = text.encode(encoding, "backslashreplace").decode(encoding)
            sys.stdout.write(text + "\n" if text else "")


@contextmanager
def written_to(stream: TextIO, name: str) -> Iterator[None]:
    """See at the end of the block that what was written to stdout or stderr, which `name` says, is there.

    Raises SkyportError if it is a file on a full disk, BrokenPipeError if nobody reads it any more.
    """
    try:
        yield
        stream.flush()
    except OSError as error:
        # Python would complain once more when it closes the stream.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        if isinstance(error, BrokenPipeError):
            raise
        raise SkyportError(f"cannot write to {name}: {error.strerror}") from error


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Return a table for people to read.

    head: the columns' names; none if empty.
    rows: cells of words, or `Coloured` ones.
    """
    return Table(list(head), [list(row) for row in rows])


def _printed(text: str | Table) -> str:
    """Return a paragraph as the terminal gets it; the words in it may be anyone's."""
    return text.render(colour=wants_colour(sys.stdout)) if isinstance(text, Table) else terminal_text(text)


def short_id(image_id: str) -> str:
    """Return the first twelve hex digits, as `docker image ls` shows an image id."""
    return image_id.removeprefix("sha256:")[:12]
