"""Deleting what nobody finds by name any more, and old tags of those that are, so that their space comes free."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Final

import msgspec

from skyport_wf.errors import SkyportError
from skyport_wf.formatting import printable
from skyport_wf.publication.attributes import read_attributes
from skyport_wf.publication.inventory import HIDDEN, LOST_NAME, ImageState, StoredImage, list_images
from skyport_wf.publication.published import PublishedNode, why_not_ours_to_delete
from skyport_wf.publication.thin import find_thin_nodes, id_of, name_of, thinnest_first

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock
    from skyport_wf.shock.node import Node

_log = logging.getLogger(__name__)
_WELL_KNOWN = 100
"""Nodes with the same bytes that are looked at."""
_UPLOADS: Final = ("unfinished",)
_KEPT_UP: Final = ("published", "legacy")
"""States of images that may be deleted by their age: of others somebody has to say what is wrong with them first."""
_LONGEST_UPLOAD = timedelta(days=1)
"""For how long an upload may still be somebody's work."""


class Deletion(msgspec.Struct, frozen=True):
    """A node that is to be deleted."""

    image: StoredImage
    refusal: str = ""
    """The reason why it stays; empty if it goes."""


def plan_deletion(
    shock: Shock,
    patterns: Sequence[str],
    *,
    node_id: str | None = None,
    unfinished: bool = False,
    published: bool = False,
    older: timedelta = timedelta(0),
    keep: int = 0,
    locked: Collection[str] = (),
    force: bool = False,
) -> list[Deletion]:
    """Return what would be deleted of the images that fit the patterns, and what would stay and why.

    node_id: the one node that is meant; otherwise all that are retired or replaced.
    unfinished: uploads that nobody has registered, too.
    published: published images, too.
    older: only nodes that were last changed so long ago; retiring one changes it.
    keep: how many of each name are left alone, the newest first; of published images, how many tags of each repository.
        What this user may not delete is not among them.
    locked: ids of nodes that a lock file names, and names; they stay, as do bases of thin images, unless `force`. What
        is published under a name of the lock file stays in any case.
    Raises SkyportError if there is no such node.
    """
    images = list_images(shock.user, patterns, hidden=True)
    not_ours = cache(partial(why_not_ours_to_delete, shock))
    if node_id is not None:
        chosen = [image for image in images if image.node.id == node_id]
        if not chosen:
            which = f"an image that fits {' or '.join(map(printable, patterns))}" if patterns else "an image"
            raise SkyportError(f"{shock.name} has no node {node_id} of {which}. `skyport-wf ls --all` lists them.")
    else:
        states = deletable_states(unfinished=unfinished, published=published)
        newest: Counter[tuple[str, bool]] = Counter()
        ours: Counter[tuple[str, bool]] = Counter()
        chosen = []
        for image in images:
            if image.state in states:
                is_up = image.state in _KEPT_UP
                kept_by = (image.name.partition(":")[0] if is_up else image.name, is_up)
                is_ours = not (keep and not_ours(image.node.id))
                newest[kept_by] += 1
                ours[kept_by] += is_ours
                # What others have may go tomorrow: it is not what is kept of ours.
                place = (ours if is_ours else newest)[kept_by]
                # Without an age the clocks do not matter, of which the server's may be ahead.
                if place > keep and not (older and is_younger(image.node, older)):
                    chosen.append(image)
    refusals = {
        image.node.id: _why_not(shock, image, not_ours, locked, published=published, force=force) for image in chosen
    }
    if not force:
        _keep_bases(shock, chosen, images, refusals)
    return [Deletion(image, refusals[image.node.id]) for image in chosen]


def deletable_states(*, unfinished: bool, published: bool) -> tuple[ImageState, ...]:
    """Return the states of the images that `plan_deletion` chooses from, given the same."""
    return (*LOST_NAME, *(_UPLOADS if unfinished else ()), *(_KEPT_UP if published else ()))


def delete(shock: Shock, plan: Sequence[Deletion]) -> list[Deletion]:
    """Delete the nodes of a plan, and return it as it was carried out: another user's node, or a changed one, stays."""
    refusals = {one.image.node.id: one.refusal for one in plan}
    # Interrupted in between, no thin image is left without its base.
    for node in thinnest_first([one.image.node for one in plan if not one.refusal]):
        refusals[node.id] = _changed(shock, node) or why_not_ours_to_delete(shock, node.id)
        if not refusals[node.id]:
            shock.user.delete(node.id)
    return [msgspec.structs.replace(one, refusal=refusals[one.image.node.id]) for one in plan]


def freed_space(shock: Shock, plan: Sequence[Deletion]) -> int | None:
    """Return the bytes that come free: of files that no other node has that this user sees.

    None if the server does not tell: what was deleted before is to be said all the same.
    """
    going = {one.image.node.id: one.image.node.file for one in plan if not one.refusal}
    sizes = {file.checksum.md5: file.size for file in going.values() if file.checksum.md5}
    try:
        return sum(
            size
            for md5, size in sizes.items()
            if all(node.id in going for node in shock.user.find_by_md5(md5, limit=_WELL_KNOWN))
        )
    except SkyportError as error:
        _log.warning("%s does not tell how much comes free: %s", shock.name, error)
        return None


def _why_not(
    shock: Shock,
    image: StoredImage,
    not_ours: Callable[[str], str],
    locked: Collection[str],
    *,
    published: bool,
    force: bool,
) -> str:
    """Return why a node stays, as far as it tells itself and without changing it; an empty text if it goes.

    not_ours: tells why this user is not to delete the node of an id.
    """
    node = image.node
    is_up = image.state not in HIDDEN
    if reason := shock.why_not_changed():
        return str(reason)
    if theirs := not_ours(node.id):
        return theirs
    if is_up and not published:
        return f"it is published: `skyport-wf retire --node {node.id}` first"
    if is_up and (node.id in locked or image.name in locked):
        return "the lock file names it"
    if force:
        return ""
    if node.id in locked:
        return "the lock file names it; --force deletes it all the same"
    if image.state == "unfinished" and is_younger(node, _LONGEST_UPLOAD):
        return "it is less than a day old, and may become an image; --force deletes it all the same"
    return ""


def _keep_bases(
    shock: Shock, chosen: Sequence[StoredImage], images: Sequence[StoredImage], refusals: dict[str, str]
) -> None:
    """Note in `refusals` which nodes stay as thin images are built on them, and those do not go with them."""
    same: dict[tuple[str, str], set[str]] = {}
    for image in images:
        if image.state != "unfinished":
            same.setdefault(_what(image), set()).add(image.node.id)
    going = {node_id for node_id, refusal in refusals.items() if not refusal}
    thin: dict[str, dict[str, str]] = {}
    # Of several nodes with the same base, the one that has the name stays, or else the newest.
    bases = [image for image in sorted(chosen, key=lambda one: one.state in HIDDEN) if image.state != "unfinished"]
    for image in bases:
        attributes = read_attributes(image.node.attributes)
        if attributes and image.node.id in going and same[_what(image)] <= going:
            found = find_thin_nodes(shock.user, PublishedNode(image.node, attributes))
            thin[image.node.id] = {node.id: name_of(node) for node in found}
    is_settled = False
    while not is_settled:
        is_settled = True
        for image in bases:
            needing = thin.get(image.node.id, {})
            staying = sorted(needing[node_id] for node_id in needing.keys() - going)
            if staying and same[_what(image)] <= going:
                # A thin image may be the base of another one, which is kept in the next round.
                is_settled = False
                going.remove(image.node.id)
                refusals[image.node.id] = f"{', '.join(staying)} would lack its layers; --force deletes it all the same"


def _what(image: StoredImage) -> tuple[str, str]:
    """Return what nodes have in common that have the same image under the same name."""
    return image.name, id_of(image.node).removeprefix("sha256:")


def is_younger(node: Node, age: timedelta) -> bool:
    """Return whether a node was changed within this time."""
    try:
        changed = datetime.fromisoformat(max(node.created_on, node.last_modified))
        return datetime.now(UTC) - changed < age
    except (ValueError, TypeError, OverflowError):
        # What cannot be read is better kept.
        return True


def _changed(shock: Shock, node: Node) -> str:
    """Return whether a node is something else than it was when the plan was made, in words."""
    now = shock.user.find(node.id)
    if now is None or (now.attributes or {}).get("type") != (node.attributes or {}).get("type"):
        return "someone has changed it meanwhile"
    return ""
