"""The images of a Shock as a list to look through: a few facts of each, by repository."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter
from typing import Literal, get_args

import msgspec

from skyport_wf.formatting import one_line, printable
from skyport_wf.publication.attributes import OWN_KEY
from skyport_wf.publication.inventory import ImageState, StoredImage

Order = Literal["name", "newest", "largest"]
ORDERS: tuple[Order, ...] = get_args(Order)
_LONGEST = 300
"""Characters of a description in a list."""


class ImageEntry(msgspec.Struct, frozen=True):
    """An image in a list."""

    node: str
    """The node's id."""
    repository: str
    tag: str
    """Empty if the image's name has none."""
    state: ImageState
    size: int
    """Bytes of the node's file."""
    published: str
    """When, in UTC: RFC 3339."""
    description: str
    is_private: bool
    """Whether only listed users may read it."""

    @property
    def name(self) -> str:
        """The image's name, REPO:TAG."""
        return f"{self.repository}:{self.tag}" if self.tag else self.repository


class Repository(msgspec.Struct, frozen=True):
    """The images of one repository."""

    name: str
    images: tuple[ImageEntry, ...]
    """The newest first."""

    @property
    def newest(self) -> ImageEntry:
        """The image that was published last."""
        return self.images[0]

    @property
    def words(self) -> str:
        """The text in which a filter looks: names as people copy them, REPO:TAG, and descriptions."""
        return " ".join((*(image.name for image in self.images), *self.descriptions)).casefold()

    @property
    def descriptions(self) -> tuple[str, ...]:
        """What the images are described as: each text once, that of the newest image first."""
        return tuple(dict.fromkeys(image.description for image in self.images))


def make_entry(image: StoredImage, *, is_private: bool) -> ImageEntry:
    """Return the entry of an image."""
    repository, _, tag = one_line(image.name).partition(":")
    own = (image.node.attributes or {}).get(OWN_KEY)
    own = own if isinstance(own, dict) else {}
    description, registered = own.get("description"), own.get("registered")
    return ImageEntry(
        node=image.node.id,
        repository=repository or "(without a name)",
        tag=tag,
        state=image.state,
        size=image.node.file.size,
        published=printable(registered[:_LONGEST]) if isinstance(registered, str) else image.node.created_on,
        description=printable(description[:_LONGEST]) if isinstance(description, str) else "",
        is_private=is_private,
    )


def by_repository(entries: Iterable[ImageEntry], *, order: Order = "name") -> list[Repository]:
    """Return the entries by repository: by name, or the last published or the largest first."""
    newest_first = sorted(entries, key=attrgetter("published"), reverse=True)
    newest_first.sort(key=attrgetter("repository"))
    found = [Repository(name, tuple(images)) for name, images in groupby(newest_first, attrgetter("repository"))]
    if order == "newest":
        found.sort(key=lambda repository: repository.newest.published, reverse=True)
    elif order == "largest":
        found.sort(key=lambda repository: max(image.size for image in repository.images), reverse=True)
    return found


def filter_repositories(repositories: Iterable[Repository], text: str) -> list[Repository]:
    """Return those in whose name, tags or descriptions every word of the text stands."""
    words = text.casefold().split()
    return [repository for repository in repositories if all(word in repository.words for word in words)]


def find_named(entries: Iterable[ImageEntry], name: str) -> ImageEntry | None:
    """Return the entry of this name, REPO:TAG, None if there is none; of several, the newest."""
    return max((entry for entry in entries if entry.name == name), key=attrgetter("published"), default=None)
