"""MD5 of what is being written, in a thread beside the writing: it takes longer than everything else of an upload."""

import hashlib
import os
import threading
from queue import Queue

_WORTHWHILE = 4 * 1024 * 1024
"""From this size on a thread is started."""
_MOST_WAITING = 4
"""Pieces that wait to be hashed, all of them in memory."""

_helpers = threading.BoundedSemaphore(os.cpu_count() or 1)
"""More threads than processors would only keep pieces waiting."""


class BackgroundMD5:
    """The MD5 of pieces of bytes; end() it, with or without having asked for the digest."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._size = 0
        self._waiting: Queue[bytes] | None = None
        self._thread: threading.Thread | None = None

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        self._size += len(data)
        if self._waiting is None and self._size >= _WORTHWHILE and _helpers.acquire(blocking=False):
            self._waiting = Queue(_MOST_WAITING)
            self._thread = threading.Thread(target=self._hash, args=(self._waiting,), name="md5", daemon=True)
            self._thread.start()
        if self._waiting is None:
            self._md5.update(data)
        elif data:
            self._waiting.put(data)

    def hexdigest(self) -> str:
        """Return the MD5 of everything so far, as 32 hex digits; nothing can be added afterwards."""
        self.end()
        return self._md5.hexdigest()

    def end(self) -> None:
        """Wait until everything is hashed, and let go of the thread."""
        if self._waiting and self._thread:
            self._waiting.put(b"")
            self._thread.join()
            self._thread = None

    def _hash(self, waiting: "Queue[bytes]") -> None:
        try:
            while data := waiting.get():
                self._md5.update(data)
        finally:
            _helpers.release()
