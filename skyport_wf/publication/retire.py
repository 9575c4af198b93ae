"""Taking the name off a published image, and giving it back."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from skyport_wf.errors import ShockError, SkyportError
from skyport_wf.formatting import printable
from skyport_wf.publication.attributes import RETIRED_TYPE, read_attributes
from skyport_wf.publication.awe_lookup import NoImageError
from skyport_wf.publication.awe_problems import file_problem, why_unreadable
from skyport_wf.publication.claim import claim_name
from skyport_wf.publication.inventory import list_images
from skyport_wf.publication.published import PublishedNode, find_published, not_the_owner, require_owner
from skyport_wf.publication.replacement import restore_node, retire_node
from skyport_wf.publication.thin import check_base, find_thin_on, name_of, thinnest_first, would_lack

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock

_log = logging.getLogger(__name__)


def retire_all(
    shock: Shock, names: Sequence[str], *, node_id: str | None = None, force: bool = False, dry_run: bool = False
) -> dict[str, list[str]]:
    """Take the names off their nodes, and return the ids of the nodes by name: either all lose theirs or none.

    A thin image and the one that it is built on may go together.

    node_id: the node that loses its name; needed if several have it.
    force: even if published thin images are built on one of them.
    dry_run: only say which.
    Raises SkyportError if a name has no node, or several and none is named, or if thin images are built on it;
    AlreadyPublishedError if it is another user's.
    """
    found = {name: _find(shock, name, node_id) for name in names}
    _check_changeable(shock)
    for node in found.values():
        _check(shock, node, going=names, force=force, dry_run=dry_run)
    if not dry_run:
        by_id = {node.id: node for node in found.values()}
        # Interrupted in between, no thin image is left without its base.
        for one in thinnest_first([node.node for node in by_id.values()]):
            require_owner(shock, one.id, printable(by_id[one.id].attributes.name))
            retire_node(shock, by_id[one.id])
    return {name: [node.id] for name, node in found.items()}


def _find(shock: Shock, name: str, node_id: str | None) -> PublishedNode:
    published = find_published(shock.user, name)
    if not published:
        raise NoImageError(f"{shock.name} has no image {name}. `skyport-wf ls` shows what it has.", name)
    return choose(published, name, node_id)


def _check(shock: Shock, found: PublishedNode, *, going: Collection[str], force: bool, dry_run: bool) -> None:
    """Raise what keeps a node from losing its name; `going` are the names that are lost with it."""
    name = printable(found.attributes.name)
    if not shock.may_change(found.id):
        raise not_the_owner(shock, name, found.id)
    thin = [other for other in find_thin_on(shock.user, found) if other not in going]
    if thin and not force:
        raise SkyportError(
            f"{would_lack(thin, name)}. Publish whole under another tag and retire the thin one first, or give --force."
        )
    if not dry_run:
        for other in thin:
            _log.warning("%s loses its base with %s", other, name)


def _check_changeable(shock: Shock) -> None:
    """Raise what keeps everybody from changing anything on the Shock: a dry run would promise it otherwise."""
    if reason := shock.why_not_changed():
        raise reason


def retire_node_of_id(shock: Shock, node_id: str, *, force: bool = False, dry_run: bool = False) -> str:
    """Retire a node of which nothing but its id has to be right, and return the name that it has, which may be empty.

    Raises what `retire` does.
    """
    found = next((image for image in list_images(shock.user) if image.node.id == node_id), None)
    if found is None:
        raise SkyportError(f"{shock.name} has no published image on node {node_id}. `skyport-wf ls` shows what it has.")
    _check_changeable(shock)
    attributes, told = read_attributes(found.node.attributes), printable(found.name) or "an image without a name"
    if attributes:
        node = PublishedNode(found.node, attributes)
        _check(shock, node, going=(), force=force, dry_run=dry_run)
        if not dry_run:
            require_owner(shock, node_id, told)
            retire_node(shock, node)
    elif not shock.may_change(node_id):
        raise not_the_owner(shock, told, node_id)
    elif not dry_run:
        # No AWE query is to find it, whatever else its attributes say.
        require_owner(shock, node_id, told)
        shock.user.replace_attributes(node_id, {**(found.node.attributes or {}), "type": RETIRED_TYPE})
    return found.name


def name_of_retired(shock: Shock, node_id: str) -> str:
    """Return the name that a node has, or had before it was retired. Raises SkyportError if there is none."""
    for image in list_images(shock.user, hidden=True):
        if image.node.id == node_id and image.name:
            return image.name
    raise SkyportError(f"{shock.name} has no image with a name on node {node_id}. `skyport-wf ls --all` lists them.")


def restore_all(
    shock: Shock, names: Sequence[str], *, node_id: str | None = None, force: bool = False, dry_run: bool = False
) -> dict[str, list[str]]:
    """Do what `restore` does for several names, and return what it returns by name.

    All of them are looked at before the first is changed. A thin image comes back after the one that it is built on.
    """
    found = {name: _find_retired(shock, name, node_id) for name in names}
    nodes = [node.node for node in found.values() if node]
    for node in nodes:
        restore(shock, name_of(node), node_id=node_id, coming=names, force=force, dry_run=True)
    if not dry_run:
        for node in reversed(thinnest_first(nodes)):
            restore(shock, name_of(node), node_id=node_id, force=force)
    return {name: [node.id] if node else [] for name, node in found.items()}


def restore(
    shock: Shock,
    name: str,
    *,
    node_id: str | None = None,
    coming: Collection[str] = (),
    force: bool = False,
    dry_run: bool = False,
) -> list[str]:
    """Give a node that was retired its name back, let it stay if it expires, and return its id.

    node_id: the node; needed if several had the name.
    coming: names that others get back before.
    force: even if the node has a thin image whose base is not published.
    Returns no id if there is nothing to do: the image is published, and none of its name is retired.
    Raises SkyportError if there is none, if several had the name and none is named, or if others have it now;
    ShockError for a thin image without its base, or if the file is lost; NameHeldError if somebody else is giving the
    name to a node.
    """
    found = _find_retired(shock, name, node_id)
    base = found.attributes.thin_on if found else None
    if found and base and base.name and not force and base.name not in coming:
        check_base(shock, name, base, public=shock.everyone_reads(found.id))
    if found and (problem := file_problem(found.node) or why_unreadable(shock.user, found.node)):
        raise ShockError(f"{name} on node {found.id} cannot have its name back: {problem}. Publish the image again.")
    if found and not dry_run:
        with claim_name(shock.user, name, public=shock.everyone_reads(found.id)) as claim:
            # Looked at again: now nobody else takes the name.
            found = _find_retired(shock, name, node_id)
            claim.renew()
            if found:
                restore_node(shock, found)
                if found.node.expires:
                    # It was published by somebody who was interrupted, and would be gone in a day or two.
                    shock.user.keep(found.id)
    return [found.id] if found else []


def _find_retired(shock: Shock, name: str, node_id: str | None) -> PublishedNode | None:
    """Return the node that may have its name back; None if what is meant has it. Raises what `restore` does."""
    taken = find_published(shock.user, name)
    retired = [
        PublishedNode(node, attributes)
        for node in shock.user.query({"type": RETIRED_TYPE, "name": name})
        if (attributes := read_attributes(node.attributes)) and attributes.name == name
    ]
    if any(node.id == node_id for node in taken) or (taken and not retired and node_id is None):
        if len(taken) > 1:
            nodes = ", ".join(node.id for node in taken)
            raise SkyportError(
                f"{len(taken)} nodes have the name {name}, and AWE workers take exactly one: {nodes}. Retire all but "
                "one with --node."
            )
        return None
    if not retired:
        raise SkyportError(f"{shock.name} has no retired image {name}. `skyport-wf ls --all` shows what was retired.")
    if taken:
        raise SkyportError(f"node {taken[0].id} has the name {name} now. Retire that first, or leave it.")
    _check_changeable(shock)
    found = choose(retired, name, node_id)
    if not shock.may_change(found.id):
        who = "Ask the owner" if shock.is_known_user else f"Put a token into {shock.token_from}"
        raise SkyportError(f"{name} was retired, and only the owner of node {found.id} gives the name back. {who}.")
    return found


def choose(found: list[PublishedNode], name: str, node_id: str | None) -> PublishedNode:
    """Return the node that is meant, of those that have the name, or had it."""
    if node_id is None and len(found) == 1:
        return found[0]
    nodes = ", ".join(
        f"{node.id} ({'damaged' if node.damaged else f'image {node.attributes.id}'}, made {node.node.created_on[:19]})"
        for node in found
    )
    if node_id is None:
        raise SkyportError(f"several nodes have the name {name}: {nodes}. Name one with --node.")
    for node in found:
        if node.id == node_id:
            return node
    raise SkyportError(f"node {node_id} does not have the name {name}, that has: {nodes}.")
