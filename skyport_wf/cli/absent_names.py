"""What is said of names that a Shock has no image of: with the one that may be meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from skyport_wf.errors import SkyportError
from skyport_wf.formatting import one_line, printable
from skyport_wf.near_words import near_words

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock
    from skyport_wf.publication.inventory import StoredImage
    from skyport_wf.shock.client import ShockClient

_TOLD = 5
"""Names of images that a message tells."""


@contextmanager
def suggesting_names(shock: Shock, *, anonymous: bool = False) -> Iterator[None]:
    """Say which published image may be meant where the block finds none of a name.

    anonymous: the block asks as somebody without a token, who is told of no image that he may not read.
    """
    from skyport_wf.publication.awe_lookup import NoImageError

    try:
        yield
    except NoImageError as error:
        if hint := _hint(shock, error.asked, anonymous=anonymous):
            raise NoImageError(f"{error} {hint}", error.asked) from error
        raise


def _hint(shock: Shock, asked: str, *, anonymous: bool) -> str:
    """Return what helps who asked for a name that was not found, in a sentence; empty if nothing does."""
    from skyport_wf.image_list.reference import LATEST, fits

    client = shock.anybody if anonymous else shock.user
    names = _names(client)
    meant = [asked.removesuffix(f":{LATEST}")]
    fitting = sorted(name for name in names if fits(name, meant))
    if anonymous and not fitting and any(fits(name, meant) for name in _names(shock.user)):
        return "It is published, but a worker without a token may not read it."
    if tagged := [name for name in fitting if name != asked]:
        return f"There {'is' if len(tagged) == 1 else 'are'} {_some(tagged)}: name one with its tag."
    if retired := _tell_retired(client, meant[0]):
        return f"But {retired}."
    like = _most_like(asked, names)
    return f"Did you mean {like}?" if like else ""


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
    names = _names(shock.user, hidden=hidden) if absent else set()
    where = "here" if hidden else "published here"
    told = {}
    for name in absent:
        retired = "" if hidden else _tell_retired(shock.user, name)
        like = "" if retired else _most_like(name, names)
        more = f", but {retired}" if retired else f"; did you mean {like}?" if like else ""
        told[name] = f"no image {printable(name)} is {where}{more}"
    return told


def _tell_retired(client: ShockClient, asked: str) -> str:
    """Return what was retired of a name, and how to get it back; empty if nothing was, or a pattern was asked for."""
    from skyport_wf.image_list.reference import is_pattern
    from skyport_wf.publication.inventory import LOST_NAME, list_images

    found: set[str] = set()
    if not is_pattern(asked):
        with suppress(SkyportError):
            images = list_images(client, [asked], hidden=True)
            found = {image.name for image in images if image.state in LOST_NAME}
    if not found:
        return ""
    names = _some(sorted(found))
    return (
        f"{names} {'was' if len(found) == 1 else 'were'} retired: `skyport-wf ls --all` lists such images, "
        "`skyport-wf retire --undo` gives a name back"
    )


def _some(names: Sequence[str]) -> str:
    """Return the first of some names, and how many more there are."""
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    return f"{', '.join(one_line(name) for name in names[:_TOLD])}{more}"


def _names(client: ShockClient, *, hidden: bool = False) -> set[str]:
    """Return the names of all images; none if that fails, as the message is worth more than another failure."""
    from skyport_wf.publication.inventory import list_images

    with suppress(SkyportError):
        return {image.name for image in list_images(client, hidden=hidden)}
    return set()


def _most_like(asked: str, names: Iterable[str]) -> str:
    """Return the name, or the repository, that is like the one asked for; empty if none is, or a pattern was."""
    from skyport_wf.image_list.reference import is_pattern

    if is_pattern(asked):
        return ""
    known = {name if ":" in asked else name.partition(":")[0] for name in names} - {asked}
    return printable(next(iter(near_words(asked, known)), ""))
