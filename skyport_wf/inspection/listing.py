"""Facts for a data manager about a Shock's images: owners, readers, the space that they take."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from skyport_wf.publication.inventory import StoredImage
from skyport_wf.transfer.concurrency import run_concurrently

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock
    from skyport_wf.shock.node import AccessControl

SortKey = Literal["created", "changed", "name", "size", "state", "owner"]
_AT_ONCE = 8
"""Shock tells who may read a node in a request of its own."""
_GONE = ("retired", "replaced", "unfinished")


class ListedImage(msgspec.Struct, frozen=True):
    """An image of a Shock, and who may read it."""

    image: StoredImage
    owner: str
    """The owner's id, `public` for nobody's; empty if Shock does not tell this user."""
    readable_by: Literal["everyone", "listed users"]


class Space(msgspec.Struct, frozen=True):
    """Bytes of the files of some images."""

    stored: int
    """Of all files, those with the same bytes counted once: a server that copies does not store them again."""
    named: int
    """If each image had a file of its own."""
    reclaimable: int
    """Of files that only retired, replaced and unfinished nodes have."""


def add_access(shock: Shock, images: Sequence[StoredImage]) -> list[ListedImage]:
    """Return the images with their owners, and with who may read them."""

    def ask(place: int, _: threading.Event) -> tuple[int, AccessControl | None]:
        return place, shock.user.find_access(images[place].node.id)

    found = dict(run_concurrently(ask, range(len(images)), at_once=_AT_ONCE))
    listed = []
    for place, image in enumerate(images):
        access = found[place]
        # Who is in none of a node's lists, and has found it, may read it because everyone may.
        public = access is None or access.public.read
        owner = access.owner if access else ""
        listed.append(ListedImage(image, owner, "everyone" if public else "listed users"))
    return listed


def measure(images: Sequence[StoredImage]) -> Space:
    """Return how much space the images take."""
    sizes = {image.node.file.checksum.md5 or image.node.id: image.node.file.size for image in images}
    kept = {image.node.file.checksum.md5 or image.node.id for image in images if image.state not in _GONE}
    return Space(
        stored=sum(sizes.values()),
        named=sum(image.node.file.size for image in images),
        reclaimable=sum(size for file, size in sizes.items() if file not in kept),
    )


def sort_images(listed: Sequence[ListedImage], by: SortKey, *, reverse: bool) -> list[ListedImage]:
    """Return the images in another order: newest and largest first, names from A to Z, or all of it turned round."""

    def key(one: ListedImage) -> tuple[str | int, str]:
        node = one.image.node
        keys: dict[SortKey, str | int] = {
            "created": node.created_on,
            "changed": max(node.created_on, node.last_modified),
            "name": one.image.name,
            "size": node.file.size,
            "state": one.image.state,
            "owner": one.owner,
        }
        return keys[by], one.image.name

    return sorted(listed, key=key, reverse=(by in ("created", "changed", "size")) != reverse)
