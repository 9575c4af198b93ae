"""The body of a request as it comes from a socket, in pieces of any size and with as little copying as can be."""

from typing import Protocol

from werkzeug.exceptions import ClientDisconnected


class Reader(Protocol):
    """What cheroot reads a connection with: it holds whatever came along with the last line that it read."""

    def has_data(self) -> bool:
        """Return whether it holds anything."""
        ...

    def peek(self, size: int, /) -> bytes:
        """Return what it holds, and leave it there."""
        ...

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, having waited for that many."""
        ...

    def readline(self, size: int, /) -> bytes:
        """Return the next line, or the first `size` bytes of it."""
        ...


class Socket(Protocol):
    """The connection itself."""

    def recv(self, size: int, /) -> bytes:
        """Return the next bytes, as many as there are."""
        ...


class Incoming:
    """What a client sends: first what its reader holds already, then as much as the socket has.

    cheroot's reader waits until it has as much as was asked for, and copies that four times.
    """

    def __init__(self, reader: Reader, socket: Socket) -> None:
        self._reader = reader
        self._socket = socket

    def read(self, size: int) -> bytes:
        """Return the next bytes, from 1 to `size`; none if the client has closed the connection."""
        if self._reader.has_data():
            return self._reader.read(min(size, len(self._reader.peek(1))))
        return self._socket.recv(size)

    def readline(self, size: int) -> bytes:
        """Return the next line, or the first `size` bytes of it."""
        return self._reader.readline(size)


class SizedBody:
    """A body that is as long as `Content-Length` says."""

    def __init__(self, incoming: Incoming, length: int) -> None:
        self._incoming = incoming
        self._left = length

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most `size`; none at the end.

        Raises ClientDisconnected if the body ends early.
        """
        if size < 0:
            return b"".join(iter(lambda: self.read(64 * 1024), b""))
        if not self._left or not size:
            return b""
        try:
            data = self._incoming.read(min(size, self._left))
        except OSError as error:
            raise ClientDisconnected from error
        if not data:
            raise ClientDisconnected
        self._left -= len(data)
        return data
