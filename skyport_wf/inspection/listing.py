"""Facts for a data manager about a Shock's images: owners, readers, the space that they take."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from skyport_wf.publication.inventory import HIDDEN, StoredImage
from skyport_wf.shock.node import is_public
from skyport_wf.transfer.concurrency import in_order

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock

GroupKey = Literal["repository", "owner", "state"]
Readers = Literal["everyone", "listed users"]
SortKey = Literal["created", "changed", "name", "size", "state", "owner"]


class ListedImage(msgspec.Struct, frozen=True):
    """An image of a Shock, and who may read it."""

    image: StoredImage
    owner: str
    """The owner's id, `public` for nobody's; empty if Shock does not tell this user."""
    readable_by: Readers


class Space(msgspec.Struct, frozen=True):
    """Bytes of the files of some images."""

    images: int
    stored: int
    """Of all files, those with the same bytes counted once: a server that copies does not store them again."""
    named: int
    """If each image had a file of its own."""
    reclaimable: int
    """Of files that only retired, replaced and unfinished nodes have."""


def add_access(shock: Shock, images: Sequence[StoredImage]) -> list[ListedImage]:
    """Return the images with their owners, and with who may read them."""
    # Shock tells who may read a node in a request of its own.
    found = in_order(lambda image: shock.user.find_access(image.node.id), images, at_once=shock.open_threads())
    return [
        ListedImage(image, access.owner if access else "", "everyone" if is_public(access) else "listed users")
        for image, access in zip(images, found, strict=True)
    ]


def measure(images: Sequence[StoredImage], *, kept: Collection[str] | None = None) -> Space:
    """Return how much space the images take.

    kept: files that are needed, as `kept_files` returns them; if None, those that these images need.
    """
    sizes = {_file(image): image.node.file.size for image in images}
    kept = kept_files(images) if kept is None else kept
    return Space(
        images=len(images),
        stored=sum(sizes.values()),
        named=sum(image.node.file.size for image in images),
        reclaimable=sum(size for file, size in sizes.items() if file not in kept),
    )


def measure_groups(listed: Sequence[ListedImage], by: GroupKey, *, kept: Collection[str]) -> dict[str, Space]:
    """Return how much space the images of each repository, owner or state take, those that take most first.

    A file that several groups have is counted in each.
    """
    groups: dict[str, list[StoredImage]] = {}
    for one in listed:
        names = {"repository": one.image.name.partition(":")[0], "owner": one.owner, "state": one.image.state}
        groups.setdefault(names[by], []).append(one.image)
    measured = {name: measure(images, kept=kept) for name, images in groups.items()}
    return dict(sorted(measured.items(), key=lambda group: (-group[1].stored, group[0])))


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


def kept_files(images: Sequence[StoredImage]) -> set[str]:
    """Return the files that images have which may still be used."""
    return {_file(image) for image in images if image.state not in HIDDEN}


def _file(image: StoredImage) -> str:
    """Return what tells a file from others: nodes with the same bytes have one."""
    return image.node.file.checksum.md5 or image.node.id
