"""A stream that is read on the side, in a thread of its own, while somebody passes it on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Final, Generic, TypeVar

from skyport_wf.byte_streams import ByteStream, ChunkReader

_Result = TypeVar("_Result")
_PIECES_AHEAD: Final = 4
"""Pieces of at most 1 MiB that wait to be read."""


class SideReader(Generic[_Result]):
    """Hands pieces to a function that reads them as a stream. Use it in a `with` statement, which ends the thread."""

    def __init__(self, read: Callable[[ByteStream], _Result]) -> None:
        """Begin to read. read: what reads the stream; it need not read to the end."""
        self._read = read
        # Not a `Queue` of this size: an interruption that falls into its Python code, just when that wakes the other
        # thread, leaves it asleep for ever. These have none.
        self._pieces: SimpleQueue[bytes | None] = SimpleQueue()
        self._room: SimpleQueue[None] = SimpleQueue()
        for _ in range(_PIECES_AHEAD):
            self._room.put(None)
        self._result: _Result
        self._error: BaseException | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="side reader", daemon=True)

    def write(self, piece: bytes) -> None:
        """Add a piece. Raises what reading those before has raised."""
        if self._error:
            raise self._error
        self._room.get()
        self._pieces.put(piece)

    def finish(self) -> _Result:
        """Return what the function returns once the stream has ended. Raises what it raises."""
        self._end()
        if self._error:
            raise self._error
        return self._result

    def __enter__(self) -> SideReader[_Result]:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        if self._thread.is_alive():
            self._pieces.put(None)
            self._thread.join()

    def _run(self) -> None:
        arriving = self._arriving()
        try:
            self._result = self._read(ChunkReader(arriving))
        except BaseException as error:
            self._error = error
        # Whoever writes may be waiting for room.
        while not self._ended:
            self._ended = self._take() is None

    def _arriving(self) -> Iterator[bytes]:
        while (piece := self._take()) is not None:
            yield piece
        self._ended = True

    def _take(self) -> bytes | None:
        piece = self._pieces.get()
        self._room.put(None)
        return piece
