"""What a verb ends with: a value for programs, a text for people, an exit code for shells."""

import sys
from collections.abc import Iterable, Sequence

from skyport_wf.errors import EXIT_DONE


class Outcome:
    """The end of a verb that did not fail."""

    def __init__(self, value: object, text: str, exit_code: int = EXIT_DONE) -> None:
        """Make an outcome.

        value: what `--json` prints: a record, or plain values.
        text: what is printed otherwise; nothing if empty.
        """
        self.value = value
        self.text = text
        self.exit_code = exit_code

    def write(self, *, as_json: bool) -> None:
        """Print the outcome on stdout."""
        if as_json:
            from skyport_wf.records import encode_json

            sys.stdout.write(encode_json(self.value).decode())
        elif self.text:
            sys.stdout.write(self.text + "\n")
        sys.stdout.flush()


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table for people to read; a last column of text may be long."""
    from tabulate import tabulate

    return tabulate([list(map(str, row)) for row in rows], headers=list(head), tablefmt="plain", disable_numparse=True)


def human_size(size: int) -> str:
    """Return a number of bytes in the unit that people would use, such as `61.3 MB`; a kB is 1000 bytes."""
    value, units = float(size), iter(("B", "kB", "MB", "GB", "TB"))
    unit = next(units)
    while value >= 999.5 and unit != "TB":
        value, unit = value / 1000, next(units)
    return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"


def short_id(image_id: str) -> str:
    """Return the first twelve hex digits, as `docker image ls` shows an image id."""
    return image_id.removeprefix("sha256:")[:12]
