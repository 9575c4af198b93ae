"""Colours that mean something: green is well, yellow wants a look, red is wrong. The words say it without them, too."""

import os
from typing import Final, NamedTuple, TextIO

GOOD: Final = 32
LOOK: Final = 33
BAD: Final = 31
"""Codes of the terminal's own palette, readable on a light and on a dark ground."""

_STATES: Final = {
    **dict.fromkeys(("ok", "published"), GOOD),
    **dict.fromkeys(("ambiguous", "base missing", "broken", "damaged", "name taken", "not allowed"), BAD),
    **dict.fromkeys(("failed", "DIFFERS", "WRONG"), BAD),
    **dict.fromkeys(
        (
            "closed", "expiring", "legacy", "not tried", "opened", "other readers", "to be replaced", "unfinished",
            "unknown",
        ),
        LOOK,
    ),
}  # fmt: skip


class Coloured(NamedTuple):
    """A cell of a table that has a colour, where there are colours."""

    text: str
    colour: int

    def __str__(self) -> str:
        return self.text


def state(word: str) -> Coloured | str:
    """Return a state in its colour, if it has one."""
    colour = _STATES.get(word)
    return Coloured(word, colour) if colour else word


def coloured(text: str, colour: int) -> str:
    """Return the text as a terminal shows it in a colour."""
    return f"\x1b[{colour}m{text}\x1b[0m"


def wants_colour(stream: TextIO) -> bool:
    """Return whether what is written to a stream may have colours: NO_COLOR and FORCE_COLOR say, or else a terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or is_terminal(stream)


def is_terminal(stream: TextIO) -> bool:
    """Return whether a stream is a terminal on which the cursor can be moved."""
    return stream.isatty() and os.environ.get("TERM", "dumb") not in ("", "dumb", "unknown")
