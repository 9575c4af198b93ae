"""Values that are asked for again and again, in memory, up to a size."""

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

_Value = TypeVar("_Value")


class BoundedCache(Generic[_Value]):
    """Values by key; those that were not asked for the longest make room for others. Threads may share it."""

    def __init__(self, size: int) -> None:
        """Hold values up to this size in all."""
        self._size = size
        self._taken = 0
        self._values: OrderedDict[str, tuple[_Value, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> _Value | None:
        """Return the value, None if it is not there, or no longer."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def put(self, key: str, value: _Value, *, size: int) -> None:
        """Hold a value of this size, in the place of the one that has the key."""
        with self._lock:
            self._taken += size - self._values.pop(key, (None, 0))[1]
            self._values[key] = value, size
            while self._taken > self._size:
                self._taken -= self._values.popitem(last=False)[1][1]

    def remove(self, key: str) -> None:
        """Forget the value, if it is there."""
        with self._lock:
            self._taken -= self._values.pop(key, (None, 0))[1]
