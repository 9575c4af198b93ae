"""Bytes on their way, as somebody may follow them."""


class Progress:
    """Follows bytes, and shows nothing; the command line has some that draw bars."""

    def expect(self, size: int) -> None:
        """Take note that this many bytes are to come, beside those that were expected before."""

    def __call__(self, size: int) -> None:
        """Take note that this many bytes have come."""

    def rest(self) -> None:
        """Take note that these were all for now: something else is done, and what comes later is counted anew."""


UNSEEN = Progress()
"""For whoever does not look."""
