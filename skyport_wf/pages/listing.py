"""A list that may take long to read, remembered for a while: thousands of images are read page by page."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Final

from skyport_wf.errors import SkyportError

if TYPE_CHECKING:
    from skyport_wf.pages.entries import ImageEntry

Entries = tuple["ImageEntry", ...]
_REST: Final = 3
"""How many times as long as reading it took a list counts as new: reading takes a quarter of the time at most."""
_QUICK: Final = 1.0
"""Seconds that a visitor waits rather than see an old list."""
_OLDEST: Final = 600.0
"""Seconds after which nobody sees a list any more."""

_log = logging.getLogger(__name__)


class Listing:
    """The list of one visitor, or of all who are nobody in particular. Threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: Entries | None = None
        self._read_at = 0.0
        self._took = 0.0
        self._is_refreshing = False

    def read(self, read: Callable[[], Entries]) -> Entries:
        """Return the list: a new one, or, if reading takes long, the one before, and have the new one read meanwhile.

        Raises whatever `read` raises, if there is no list yet.
        """
        # Whoever comes while it is read for the first time waits for that, instead of reading it, too.
        with self._lock:
            age = monotonic() - self._read_at
            if self._entries is None or age > _OLDEST or (self._took < _QUICK and age > _REST * self._took):
                return self._refresh(read)
            entries = self._entries
            if age > _REST * self._took and not self._is_refreshing:
                self._is_refreshing = True
                threading.Thread(target=self._refresh_aside, args=(read,), name="listing", daemon=True).start()
            return entries

    def _refresh(self, read: Callable[[], Entries]) -> Entries:
        began = monotonic()
        entries = read()
        self._entries, self._read_at = entries, monotonic()
        self._took = self._read_at - began
        return entries

    def _refresh_aside(self, read: Callable[[], Entries]) -> None:
        try:
            self._refresh(read)
        except SkyportError as error:
            _log.warning("the list of images stays as it was: %s", error)
        finally:
            self._is_refreshing = False
