"""Values become HTML: Jinja's templates, in which everything is text unless the template itself is HTML."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import msgspec

from skyport_wf import __version__
from skyport_wf.formatting import count, human_size, percentage

if TYPE_CHECKING:
    from jinja2 import Environment

    from skyport_wf.pages.entries import ImageEntry, Order, Repository
    from skyport_wf.pages.links import Links

STATIC: Final[Mapping[str, str]] = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""The files that belong to every page, and their media types."""
PAGE_SIZE: Final = 100
"""Repositories on a page of the list."""
_SHOWN_TAGS: Final = 8
"""Tags of a repository in the list."""
_SHOWN_IMAGES: Final = 20
"""Images that are named for a version of a package at first sight."""
_MOST_IMAGES: Final = 100
"""Images that are named for it at all: a page has hundreds of packages, and a store thousands of images."""

LIST_ORDERS: Final[Mapping[Order, str]] = {"name": "By name", "newest": "Newest first", "largest": "Largest first"}


def render(template: str, links: Links, **values: Any) -> bytes:
    """Return a page, UTF-8. links: as seen from its address."""
    page = _environment().get_template(template).render(links=links, version=__version__, **values)
    # JSON can have halves of characters, and UTF-8 cannot.
    return page.encode(errors="replace")


def render_list_script(repositories: Sequence[Repository]) -> bytes:
    """Return all images as a script: for each repository its name, its descriptions and its tags.

    A file that is opened from a disk may load a script, and no JSON.
    """
    rows = [
        (repository.name, repository.descriptions, [_list_row(image) for image in repository.images])
        for repository in repositories
    ]
    return b"globalThis.skyportImages = " + msgspec.json.encode(rows) + b";\n"


def _count(number: int, what: str) -> str:
    """Return a number of things with commas, as there may be thousands."""
    return count(number, what).replace(str(number), f"{number:,}", 1)


def _list_row(image: ImageEntry) -> tuple[object, ...]:
    size = human_size(image.size)
    return (image.tag, image.node, image.state, image.size, size, image.published, image.is_private)


def compared_pairs(image: ImageEntry, siblings: Sequence[ImageEntry]) -> dict[str, tuple[str, str]]:
    """Return for each other image of the repository the nodes to compare, the older one first.

    siblings: all images of the repository, the newest first.
    """
    nodes = [other.node for other in siblings]
    place = nodes.index(image.node) if image.node in nodes else len(nodes)
    return {
        node: (image.node, node) if at < place else (node, image.node)
        for at, node in enumerate(nodes)
        if node != image.node
    }


def read_static(name: str) -> bytes:
    """Return a file that belongs to every page."""
    return resources.files("skyport_wf.pages").joinpath("static", name).read_bytes()


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("skyport_wf.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "size": human_size,
        "share": percentage,
        "day": lambda moment: moment[:10],
        "count": _count,
        "quoted": shlex.quote,
    }
    environment.globals |= {
        "PAGE_SIZE": PAGE_SIZE,
        "SHOWN_TAGS": _SHOWN_TAGS,
        "SHOWN_IMAGES": _SHOWN_IMAGES,
        "MOST_IMAGES": _MOST_IMAGES,
    }
    return environment
