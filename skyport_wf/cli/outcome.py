"""The end of a verb: a value for programs, a text for people, an exit code for shells."""

import os
import sys
from collections.abc import Iterable, Sequence

from skyport_wf.errors import EXIT_DONE, SkyportError
from skyport_wf.formatting import printable, terminal_text


class Outcome:
    """The end of a verb that did not fail."""

    def __init__(self, value: object, text: str, exit_code: int = EXIT_DONE) -> None:
        """Make an outcome.

        value: what `--json` prints: a record, or plain values; nothing if None.
        text: what is printed otherwise; nothing if empty.
        """
        self.value = value
        self.text = text
        self.exit_code = exit_code

    def write(self, *, as_json: bool) -> None:
        """Print the outcome on stdout.

        Raises SkyportError if stdout is a file on a full disk, BrokenPipeError if nobody reads it any more.
        """
        try:
            self._print(as_json)
            sys.stdout.flush()
        except OSError as error:
            # Python would complain once more when it closes stdout.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if isinstance(error, BrokenPipeError):
                raise
            raise SkyportError(f"cannot write to stdout: {error.strerror}") from error

    def _print(self, as_json: bool) -> None:
        if as_json and self.value is not None:
            from skyport_wf.records.encoding import encode_json

            # JSON is UTF-8 whatever the locale says.
            sys.stdout.buffer.write(encode_json(self.value))
        elif self.text and not as_json:
            sys.stdout.write(terminal_text(self.text) + "\n")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table for people to read; a last column of text may be long."""
    from tabulate import tabulate

    # A line's end in a name would look like a row of its own.
    cells = [[printable(str(cell)) for cell in row] for row in rows]
    return tabulate(cells, headers=list(head), tablefmt="plain", disable_numparse=True)


def short_id(image_id: str) -> str:
    """Return the first twelve hex digits, as `docker image ls` shows an image id."""
    return image_id.removeprefix("sha256:")[:12]
