"""The body of a request that is sent in chunks (RFC 9112, section 7.1), read in pieces of any size."""

from werkzeug.exceptions import ClientDisconnected

from skyport_wf.serving.bodies import Incoming

_LONGEST_LINE = 4096
_MOST_TRAILERS = 32


class ChunkedBody:
    """Takes the chunks apart; never keeps one in memory as a whole."""

    def __init__(self, incoming: Incoming) -> None:
        self._incoming = incoming
        self._left = 0
        self._first = True
        self._ended = False
        self._broken = False

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most `size`; none at the end.

        Raises ClientDisconnected if the chunks are not what RFC 9112 says, or end early.
        """
        if size < 0:
            return b"".join(iter(lambda: self.read(64 * 1024), b""))
        # Until the end of the call, and for good if it fails: what follows nonsense is nonsense.
        broken, self._broken = self._broken, True
        if broken:
            raise ClientDisconnected
        try:
            if not self._left and not self._ended:
                self._begin_chunk()
            data = self._read(size)
        except OSError as error:
            raise ClientDisconnected from error
        self._broken = False
        return data

    def _read(self, size: int) -> bytes:
        if self._ended or not size:
            return b""
        data = self._incoming.read(min(size, self._left))
        if not data:
            raise ClientDisconnected
        self._left -= len(data)
        return data

    def _begin_chunk(self) -> None:
        if not self._first:
            self._expect_end_of_line()
        self._first = False
        line = self._incoming.readline(_LONGEST_LINE)
        digits = line.partition(b";")[0].strip()
        # int() would also take signs, underscores and `0x`.
        if not line.endswith(b"\n") or not digits or digits.strip(b"0123456789abcdefABCDEF"):
            raise ClientDisconnected
        self._left = int(digits, 16)
        if not self._left:
            self._end()

    def _end(self) -> None:
        """Read the trailers, which nobody wants, up to the empty line."""
        self._ended = True
        for _ in range(_MOST_TRAILERS):
            line = self._incoming.readline(_LONGEST_LINE)
            if line in (b"\r\n", b"\n"):
                return
            if not line.endswith(b"\n"):
                break
        raise ClientDisconnected

    def _expect_end_of_line(self) -> None:
        if self._incoming.readline(2) not in (b"\r\n", b"\n"):
            raise ClientDisconnected
