"""The end of what a build or a script printed, for the message when it fails."""

from __future__ import annotations

from collections import deque
from typing import Final

_LAST_LINES: Final = 20


class LastLines:
    """Keeps the last lines of a text that comes piece by piece; as a string, the end of an error message."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_LAST_LINES)

    def add(self, text: str) -> None:
        """Take note of a piece of the text; blank lines do not count."""
        self._lines.extend(line for line in text.splitlines() if line.strip())

    def __str__(self) -> str:
        lines = "".join(f"\n  | {line}" for line in self._lines)
        return f". The last it printed:{lines}" if lines else ""
