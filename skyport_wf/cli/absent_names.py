"""What is said of names that a Shock has no image of: with the one that may be meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from skyport_wf.errors import SkyportError
from skyport_wf.formatting import printable

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock
    from skyport_wf.publication.inventory import StoredImage

_LONGEST = 100
"""Characters of a name that are compared with others."""


@contextmanager
def suggesting_names(shock: Shock) -> Iterator[None]:
    """Say which published image may be meant where the block finds none of a name."""
    from skyport_wf.publication.awe_lookup import NoImageError

    try:
        yield
    except NoImageError as error:
        if like := _most_like(error.asked, _names(shock)):
            raise NoImageError(f"{error} Did you mean {like}?", error.asked) from error
        raise


def tell_absent(
    shock: Shock, asked: Sequence[str], images: Iterable[StoredImage], *, hidden: bool = False
) -> dict[str, str]:
    """Return what to say of each name or pattern that none of the images fits.

    images: those that were found for the names.
    hidden: whether retired, replaced and unfinished ones are among them.
    """
    from skyport_wf.image_list.reference import fits

    found = {image.name for image in images}
    absent = [name for name in asked if not any(fits(one, [name]) for one in found)]
    names = _names(shock, hidden=hidden) if absent else set()
    where = "here" if hidden else "published here"
    told = {}
    for name in absent:
        like = _most_like(name, names)
        told[name] = f"no image {printable(name)} is {where}{f'; did you mean {like}?' if like else ''}"
    return told


def _names(shock: Shock, *, hidden: bool = False) -> set[str]:
    """Return the names of all images; none if that fails, as the message is worth more than another failure."""
    from skyport_wf.publication.inventory import list_images

    with suppress(SkyportError):
        return {image.name for image in list_images(shock.user, hidden=hidden)}
    return set()


def _most_like(asked: str, names: Iterable[str]) -> str:
    """Return the name, or the repository, that is like the one asked for; empty if none is, or a pattern was."""
    import difflib

    from skyport_wf.image_list.reference import is_pattern

    if is_pattern(asked):
        return ""
    known = {name if ":" in asked else name.partition(":")[0] for name in names} - {asked}
    return printable(next(iter(difflib.get_close_matches(asked[:_LONGEST], known, n=1)), ""))
