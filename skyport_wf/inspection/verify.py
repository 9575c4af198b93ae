"""Comparing what Shock holds with the lock file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.inspection.deep_reading import read_deeply
from skyport_wf.progress import UNSEEN, Progress
from skyport_wf.publication.attributes import read_attributes
from skyport_wf.publication.awe_lookup import AweLookupError
from skyport_wf.publication.awe_problems import expiry, find_problems_of_file, how_to_mend, in_words
from skyport_wf.publication.published import find_published
from skyport_wf.publication.resolve import find_for_worker
from skyport_wf.publication.thin import has_id, id_of, same_image
from skyport_wf.transfer.concurrency import in_order

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock
    from skyport_wf.records.receipt import LockedImage, LockFile
    from skyport_wf.shock.node import Node

    _Reader = Callable[[Shock, Node, LockedImage | None], Iterator[str]]


class Verification(msgspec.Struct, frozen=True):
    """The findings about one image of the lock file."""

    name: str
    ok: bool
    detail: str
    """The differences, one sentence each."""


def verify(
    lock: LockFile,
    shock: Shock,
    *,
    listed: Iterable[str] = (),
    deep: bool = False,
    progress: Progress = UNSEEN,
) -> Iterator[Verification]:
    """Yield what Shock has of each image of the lock file; one that was published on another Shock differs.

    listed: the names of the image list; one that the lock file lacks differs, too.
    deep: read the files, too, every byte of them, also of those that the lock file lacks.
    progress: called with the bytes of each piece that is read.
    """

    def read(shock: Shock, node: Node, image: LockedImage | None) -> Iterator[str]:
        return read_deeply(shock.user, node, image, progress) if deep else iter(())

    for name in listed:
        if name not in lock.images:
            problems = ["it is in the image list, and the lock file lacks it: publish it"]
            if deep and (found := find_published(shock.user, name)):
                problems += read(shock, found[0].node, None)
            yield Verification(name, False, "; ".join(problems))

    def compare(entry: tuple[str, LockedImage]) -> Verification:
        name, image = entry
        differences = "; ".join(_differences(name, image, shock, read))
        whole = ", every byte of its file read" if deep else ""
        return Verification(name, not differences, differences or f"node {image.node}{whole}")

    # Files are read one after the other: together they would take as long.
    yield from in_order(compare, list(lock.images.items()), at_once=1 if deep else shock.open_threads())


def _differences(name: str, image: LockedImage, shock: Shock, read: _Reader) -> Iterator[str]:
    if not shock.is_at(image.shock):
        yield f"the lock file says it is on {image.shock}, asked is {shock.url}"
    try:
        node = find_for_worker(shock, name)
    except AweLookupError as error:
        yield str(error)
        return
    attributes = read_attributes(node.attributes)
    base = attributes.thin_on if attributes else None
    found = find_published(shock.user, base.name) if base else []
    if base and not any(has_id(other, base.image_id) for other in found):
        # A thin image that has lost its base can be loaded by nobody.
        now = f"that is image {found[-1].attributes.id} now" if found else "which is not published any more"
        yield f"it is a thin image built on {base.name} with image {base.image_id}, {now}"
    held = {"node": node.id, "image id": id_of(node), "MD5": node.file.checksum.md5}
    for what, locked in {"node": image.node, "image id": image.image_id, "MD5": image.md5}.items():
        # Other tools write ids without `sha256:`, which `adopt` adds: that makes no other image of it.
        if held[what] != locked and not (what == "image id" and same_image(held[what], locked)):
            yield f"the {what} is {held[what]}, the lock file says {locked}"
    if fatal := [problem for problem in find_problems_of_file(shock.user, node) if problem.fatal]:
        yield f"no AWE worker can run it: {in_words(fatal)}. {how_to_mend(node, fatal)} mends it"
    if node.expires:
        yield f"{expiry(node)}, unless it is published again"
    yield from read(shock, node, image)
