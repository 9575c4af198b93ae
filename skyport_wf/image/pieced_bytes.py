"""Bytes that come in pieces, read as one stream."""

from collections.abc import Iterable


class PiecedBytes:
    """Reads pieces of bytes as if they were one; no more than a piece, and what is asked for, is in memory."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._piece = b""
        self._at = 0

    def read(self, size: int, /) -> bytes:
        """Return `size` bytes, fewer only at the end."""
        end = self._at + size
        if end <= len(self._piece):
            data = self._piece[self._at : end]
            self._at = end
            return data
        parts = [self._piece[self._at :]]
        missing = size - len(parts[0])
        while missing and self._next():
            part = self._piece[:missing]
            self._at = len(part)
            missing -= len(part)
            parts.append(part)
        return b"".join(parts)

    def skip(self, size: int) -> int:
        """Pass over `size` bytes and return how many there were."""
        left = size - (len(self._piece) - self._at)
        if left <= 0:
            self._at += size
            return size
        while left > 0 and self._next():
            self._at = min(left, len(self._piece))
            left -= self._at
        return size - left

    def drain(self) -> None:
        """Pass over all that is left."""
        while self._next():
            pass

    def _next(self) -> bool:
        self._piece, self._at = next(filter(None, self._pieces), b""), 0
        return bool(self._piece)
