"""Values that may take long to make, remembered for a while: thousands of images are read page by page."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from time import monotonic
from typing import Final, Generic, TypeVar

from skyport_wf.errors import SkyportError

_Value = TypeVar("_Value")
_REST: Final = 3
"""How many times as long as making it took a value counts as new: making takes a quarter of the time at most."""
_QUICK: Final = 1.0
"""Seconds that a visitor waits rather than see an old value."""
_OLDEST: Final = 600.0
"""Seconds after which nobody sees a value any more."""

_log = logging.getLogger(__name__)


class Remembered(Generic[_Value]):
    """A value for one visitor, or for all who are nobody in particular. Threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._value: _Value | None = None
        self._made_at = 0.0
        self._took = 0.0
        self._is_refreshing = False

    def get(self, make: Callable[[], _Value]) -> _Value:
        """Return the value: a new one, or, if making takes long, the one before, and have the new one made meanwhile.

        Raises whatever `make` raises, if there is no value yet.
        """
        # Whoever comes while it is made for the first time waits for that, instead of making it, too.
        with self._lock:
            value, age = self._value, monotonic() - self._made_at
            is_old = age > _REST * self._took
            if value is None or age > _OLDEST or (is_old and self._took < _QUICK):
                return self._refresh(make)
            if is_old and not self._is_refreshing:
                self._is_refreshing = True
                threading.Thread(target=self._refresh_aside, args=(make,), name="remembered", daemon=True).start()
            return value

    def _refresh(self, make: Callable[[], _Value]) -> _Value:
        began = monotonic()
        self._value = value = make()
        self._made_at = monotonic()
        self._took = self._made_at - began
        return value

    def _refresh_aside(self, make: Callable[[], _Value]) -> None:
        try:
            self._refresh(make)
        except SkyportError as error:
            _log.warning("what pages show stays as it was: %s", error)
        finally:
            self._is_refreshing = False
