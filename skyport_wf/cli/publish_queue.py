"""The images that `publish` was asked for, in their order, and how each of them ended."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from skyport_wf.cli.colours import state
from skyport_wf.cli.outcome import Outcome, table
from skyport_wf.errors import EXIT_DONE, EXIT_FAILED, SkyportError
from skyport_wf.formatting import count, human_size

if TYPE_CHECKING:
    from skyport_wf.records.receipt import Receipt
    from skyport_wf.sources.resolution import ResolvedImage


_log = logging.getLogger(__name__)


READERS_CHANGED: Final[tuple[Literal["opened", "closed"], ...]] = ("opened", "closed")
"""States of images that were published before, where only who may read them has changed."""


class Ended(NamedTuple):
    """How publishing an image ended."""

    name: str
    state: Literal["published", "there already", "opened", "closed", "failed", "not tried"]
    receipt: Receipt | None = None
    why: str = ""
    """The reason if it is not published."""
    exit_code: int = EXIT_DONE


def failed(name: str, error: SkyportError) -> Ended:
    """Return the end of an image that this error kept from being published."""
    return Ended(name, "failed", why=str(error), exit_code=error.exit_code)


class PublishQueue:
    """Images to be published, each after those of them that it is built on."""

    def __init__(self, images: Sequence[ResolvedImage], *, keep_going: bool) -> None:
        """Begin with nothing published.

        images: each after those that it is built on.
        keep_going: whether others are tried after one has failed.
        """
        self.total = len(images)
        self.taken = 0
        """How many have been begun."""
        self.ended: dict[str, Ended] = {}
        self._waiting = list(images)
        self._names = {image.spec.name for image in images}
        self._keep_going = keep_going

    def take(self) -> ResolvedImage | None:
        """Return the next image that can be published now; None if those that are left wait for others, or none are."""
        for image in list(self._waiting):
            needs = [need for need in image.needs if need in self._names]
            if why := self._why_not(needs):
                self._waiting.remove(image)
                self.put(Ended(image.spec.name, "not tried", why=why))
            elif all(need in self.ended for need in needs):
                self._waiting.remove(image)
                self.taken += 1
                return image
        return None

    def put(self, ended: Ended) -> None:
        """Take note of how an image ended."""
        self.ended[ended.name] = ended

    def _why_not(self, needs: Sequence[str]) -> str:
        for need in needs:
            if need in self.ended and self.ended[need].why:
                return f"it is built on {need}, which is not published"
        if not self._keep_going and any(ended.state == "failed" for ended in self.ended.values()):
            return "another image failed (--keep-going goes on all the same)"
        return ""


def publish_in_turn(queue: PublishQueue, publish: Callable[[ResolvedImage, int], Ended]) -> None:
    """Publish one image after the other.

    publish: called with an image and its number.
    """
    while image := queue.take():
        try:
            queue.put(publish(image, queue.taken))
        except SkyportError as error:
            _log.error("%s", error)
            queue.put(failed(image.spec.name, error))


def summarise(all_ended: Sequence[Ended]) -> Outcome:
    """Return what became of several images: a table of all, and the exit code of the worst."""
    rows = [
        (
            ended.name,
            state(ended.state),
            human_size(ended.receipt.size) if ended.receipt else "-",
            ended.receipt.download_url if ended.receipt else ended.why,
        )
        for ended in all_ended
    ]
    value: dict[str, object] = {
        "published": [ended.receipt for ended in all_ended if ended.receipt],
        "there_already": [ended.name for ended in all_ended if ended.state in ("there already", *READERS_CHANGED)],
        **{word: [ended.name for ended in all_ended if ended.state == word] for word in READERS_CHANGED},
    }
    not_published = [ended for ended in all_ended if ended.why]
    code = max((ended.exit_code for ended in all_ended), default=EXIT_DONE)
    if not not_published:
        return Outcome(value, table(("IMAGE", "STATE", "SIZE", "DOWNLOAD"), rows), code)
    what = f"{count(len(not_published), 'image')} of {len(all_ended)} not published"
    value |= {
        "failed": {ended.name: ended.why for ended in not_published if ended.state == "failed"},
        "not_tried": {ended.name: ended.why for ended in not_published if ended.state == "not tried"},
        "error": what,
        "exit_code": code or EXIT_FAILED,
    }
    return Outcome(value, (table(("IMAGE", "STATE", "SIZE", "DOWNLOAD, OR WHY NOT"), rows), what), code or EXIT_FAILED)
