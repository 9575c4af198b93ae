"""All pages of a catalogue as files: for a web server, or to be opened from a disk."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from skyport_wf.errors import ArchiveError, ShockError
from skyport_wf.pages.entries import ImageEntry, Repository, by_repository
from skyport_wf.pages.links import LIST_SCRIPT, FileLinks
from skyport_wf.pages.rendering import (
    LIST_ORDERS,
    PAGE_SIZE,
    STATIC,
    compared_pairs,
    read_static,
    render,
    render_list_script,
)

if TYPE_CHECKING:
    from skyport_wf.pages.catalogue import FixedCatalogue
    from skyport_wf.progress import Progress

Page = tuple[str, bytes]
"""A file's path in the folder, and its content."""
_ALL_PAIRS: Final = 6
"""Tags of a repository that are compared each with each; of more, with the one before and with the newest."""

_log = logging.getLogger(__name__)


def make_pages(catalogue: FixedCatalogue, *, title: str, reading: Progress | None = None) -> Iterator[Page]:
    """Yield the pages of all images of a catalogue; the first page comes last, when all that it leads to is there.

    title: what the pages call the Shock.
    reading: follows the bytes of images, each of which is read once for what its node does not tell. If None, none is.
    """
    site = {"title": title, "is_logged_in": False}
    entries = catalogue.entries()
    repositories = by_repository(entries)
    for entry in entries:
        if reading and not catalogue.was_read(entry.node):
            _log.info("reading %s", entry.name)
            try:
                catalogue.look_inside(entry.node, reading)
            except (ArchiveError, ShockError) as error:
                _log.warning("%s: its page does not tell what is wasted: %s", entry.name, error)
    for name in STATIC:
        yield f"static/{name}", read_static(name)
    for repository in repositories:
        yield from _pages_of(catalogue, repository, site)
    yield from _package_pages(catalogue, len(entries), site)
    yield LIST_SCRIPT, render_list_script(repositories)
    yield from _list_pages(repositories, len(entries), site)


def _pages_of(catalogue: FixedCatalogue, repository: Repository, site: dict[str, Any]) -> Iterator[Page]:
    pairs = set(_pairs(repository.images))
    for entry in repository.images:
        compared = {node: pair for node, pair in compared_pairs(entry, repository.images).items() if pair in pairs}
        shown = {"image": catalogue.details(entry.node), "siblings": repository.images, "compared": compared}
        yield f"image/{entry.node}.html", render("image.html", FileLinks(1), site=site, **shown)
    for old, new in sorted(pairs):
        found = catalogue.compare(old, new)
        yield f"compare/{old}/{new}.html", render("compare.html", FileLinks(2), site=site, found=found)


def _pairs(images: Sequence[ImageEntry]) -> Iterator[tuple[str, str]]:
    """Yield the nodes of the images to compare, the older one first. images: the newest first."""
    for place, new in enumerate(images):
        following = images[place + 1 :]
        for old in following if len(images) <= _ALL_PAIRS or place == 0 else following[:1]:
            yield old.node, new.node


def _package_pages(catalogue: FixedCatalogue, images: int, site: dict[str, Any]) -> Iterator[Page]:
    index = catalogue.packages()
    letters = index.letters
    # The first one also under a name that is always there.
    for name, letter in [("index", next(iter(letters), "")), *((letter, letter) for letter in letters)]:
        uses = index.by_letter(letter)
        shown = {"uses": uses, "found": len(uses), "query": "", "problem": "", "notes": (), "letter": letter}
        counts = {"letters": letters, "total": len(index.uses), "listed": index.listed, "images": images}
        yield f"packages/{name}.html", render("packages.html", FileLinks(1), site=site, **shown, **counts)


def _list_pages(repositories: Sequence[Repository], images: int, site: dict[str, Any]) -> Iterator[Page]:
    pages = max(-(-len(repositories) // PAGE_SIZE), 1)
    for page in range(pages, 0, -1):
        name, depth = (f"list/{page}.html", 1) if page > 1 else ("index.html", 0)
        shown = {
            "repositories": repositories[(page - 1) * PAGE_SIZE : page * PAGE_SIZE],
            "images": images,
            "of_all": len(repositories),
            "found": len(repositories),
            "query": "",
            "order": "name",
            "orders": LIST_ORDERS.items(),
            "page": page,
            "pages": pages,
        }
        yield name, render("list.html", FileLinks(depth), site=site, **shown)
