"""Where the bytes of one part of a form go."""

from collections.abc import Callable
from typing import Protocol

from skyport_wf.store.files import Staging
from skyport_wf.store.refusals import TooLargeError
from skyport_wf.store.unpacking import Unpacker


class Sink(Protocol):
    """Takes the bytes of one part of a form."""

    def write(self, data: bytes, /) -> object:
        """Take the next bytes."""
        ...

    def finish(self) -> None:
        """Take note that there are no more. Raises InvalidRequestError if there should be."""
        ...


class Text:
    """A part that is kept in memory."""

    def __init__(self, take: Callable[[int], None], limit: int, use: Callable[[bytes], None]) -> None:
        self._take = take
        self._limit = limit
        self._use = use
        self._text = bytearray()

    def write(self, data: bytes) -> None:
        """Append the bytes. Raises TooLargeError beyond the limit."""
        self._take(len(data))
        self._text += data
        if len(self._text) > self._limit:
            raise TooLargeError(f"a form field must not exceed {self._limit} bytes")

    def finish(self) -> None:
        """Hand the text over."""
        self._use(bytes(self._text))


class Plain:
    """A file that is stored as it comes."""

    def __init__(self, staging: Staging) -> None:
        self.write = staging.write

    def finish(self) -> None:
        """Nothing is left to do."""


class Packed:
    """A file that is stored unpacked."""

    def __init__(self, staging: Staging, unpacker: Unpacker) -> None:
        self._staging = staging
        self._unpacker = unpacker

    def write(self, data: bytes) -> None:
        """Unpack the bytes. Raises InvalidRequestError if they are not packed that way."""
        for piece in self._unpacker.feed(data):
            self._staging.write(piece)

    def finish(self) -> None:
        """Raise InvalidRequestError if the packed data was cut off."""
        self._unpacker.finish()
