"""Limits for the bytes that come out of an archive. More would be a bomb: it fills disks and takes hours."""

from typing import Final

from skyport_wf.errors import ArchiveError

MAX_UNPACKED: Final = 200 * 10**9
"""Bytes of an archive and of its compressed layers, uncompressed; large images have a tenth of it."""
MAX_EXPANSION: Final = 200
"""Times that something may grow as it is uncompressed; images grow two to four times."""
EXPANSION_ABOVE: Final = 20 * 10**9
"""Uncompressed bytes up to which it may grow more: an image may hold a file of zeros."""
MAX_DOCUMENTS: Final = 24 << 20
"""Bytes of all JSON documents together, any of which may turn out to be the config; those have 1,000 to 100,000."""

_ADVICE = "It is no image that anyone could load."


class UnpackingLimit:
    """Counts the bytes that come out of an archive and its layers, and puts an end to them."""

    def __init__(self, name: str, size: int | None = None) -> None:
        """Let `size` bytes pass, MAX_UNPACKED if None; `name` is what messages call the archive."""
        self._name = name
        self._size = self._left = MAX_UNPACKED if size is None else size

    def take(self, size: int) -> None:
        """Count `size` more bytes. Raises ArchiveError if they are too many."""
        self._left -= size
        if self._left < 0:
            raise ArchiveError(f"{self._name} unpacks to more than {self._size / 1e9:g} GB. {_ADVICE}")


def check_expansion(name: str, *, stored: int, unpacked: int) -> None:
    """Raise ArchiveError for something that grows so much as it is decompressed that it cannot be an image.

    stored, unpacked: bytes that a decompressor has taken and given so far.
    """
    if unpacked > EXPANSION_ABOVE and unpacked > MAX_EXPANSION * stored:
        raise ArchiveError(
            f"{name} unpacks to more than {EXPANSION_ABOVE / 1e9:g} GB, {MAX_EXPANSION} times its size. {_ADVICE}"
        )
