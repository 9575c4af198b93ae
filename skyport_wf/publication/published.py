"""The nodes that have a name on a Shock, and whether they are ours."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Literal

import msgspec

from skyport_wf.errors import AlreadyPublishedError, ShockError, SkyportError
from skyport_wf.publication.attributes import NodeAttributes, read_attributes
from skyport_wf.publication.awe_lookup import IMAGE_TYPE
from skyport_wf.publication.awe_problems import why_unreadable
from skyport_wf.shock.node import Node

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import AccessControl

_FEW_NAMES = 8
"""So many names are asked for one by one."""
_Owner = Literal["this user", "nobody", "another"]
_NODES_PER_NAME = 5
"""A listing of so many nodes for each name that is wanted takes about as long as asking for each name."""


class PublishedNode(msgspec.Struct, frozen=True):
    """A node that an AWE query for a name finds."""

    node: Node
    attributes: NodeAttributes
    """Only type and name, if it is damaged."""
    public: bool | None = None
    """Whether everyone may read it; None if that is not known yet."""
    damaged: bool = False
    """Whether its attributes make no sense. An AWE query finds it all the same, and workers fail on its name."""

    @property
    def id(self) -> str:
        """The node's id."""
        return self.node.id


def find_published(shock: ShockClient, name: str) -> list[PublishedNode]:
    """Return the nodes that a worker's query for this name finds, oldest first, as far as the client may see them."""
    found = shock.query({"type": IMAGE_TYPE, "name": name})
    # A `*` at an end of the name would match others. A query finds attributes in a list, too.
    return _read((node for node in found if node.attributes is None or name in node.texts("name")), name)


class PublishedNames:
    """The nodes that have each of many names, found by a listing where that takes fewer questions."""

    def __init__(self, shock: Shock, names: Collection[str]) -> None:
        """Ask for the nodes that have the names; `find` answers for any of them."""
        self._shock = shock
        self._listed: dict[str, list[Node]] | None = None
        self._public: frozenset[str] = frozenset()
        if len(names) > _FEW_NAMES and (listing := _find_listing(shock.user, names)):
            self._listed = {name: [] for name in names}
            nodes = shock.user.query(listing)
            for node in nodes:
                for name in self._listed.keys() & set(node.texts("name")):
                    self._listed[name].append(node)
            if any(node.attributes is None for node in nodes):
                # Which names find it, only the server knows.
                self._listed = None
            self._public = frozenset(node.id for node in shock.user.query(listing, only_public=True))

    def find(self, name: str) -> list[PublishedNode]:
        """Return what `find_published` does."""
        if self._listed is None:
            return find_published(self._shock.user, name)
        return _read(self._listed[name], name, self._public)


def _find_listing(shock: ShockClient, names: Collection[str]) -> dict[str, str] | None:
    """Return a query that finds the nodes of all the names and not many more; None if there is none."""
    of_all, prefix = {"type": IMAGE_TYPE}, os.path.commonprefix(list(names))  # noqa: RUF071 - texts, not paths
    # An old Shock knows no `*` and finds nothing: then nothing can be said.
    queries = [of_all, {**of_all, "name": f"{prefix}*"}] if prefix else [of_all]
    return next((query for query in queries if 0 < shock.count(query) <= _NODES_PER_NAME * len(names)), None)


def _read(nodes: Iterable[Node], name: str, public: Collection[str] = ()) -> list[PublishedNode]:
    """Return the nodes that a query for a name finds as images, oldest first.

    public: ids of some that everyone may read.
    """
    found = []
    for node in nodes:
        attributes = read_attributes(node.attributes)
        damaged = attributes is None
        if attributes is None:
            attributes = NodeAttributes(type=IMAGE_TYPE, name=name, repository="", tag="", id="")
        found.append(PublishedNode(node, attributes, public=node.id in public or None, damaged=damaged))
    return sorted(found, key=lambda published: (published.node.created_on, published.id))


def read_again(shock: Shock, node: Node) -> Node:
    """Return a node that has a name as it is now. Raises SkyportError if it has lost the name since it was read."""
    now = shock.user.find(node.id)
    had = node.attributes or {}
    if now is None or any((now.attributes or {}).get(key) != had.get(key) for key in ("type", "name")):
        raise SkyportError(
            f"node {node.id} is not {node.text('name')} any more: someone has retired, replaced or deleted it meanwhile"
        )
    return now


def require_readable(shock: Shock, there: PublishedNode) -> None:
    """Raise ShockError if the file of an image that is there cannot be read: to publish it again would not mend it.

    One byte of it is asked for.
    """
    if why := why_unreadable(shock.user, there.node):
        name = there.attributes.name
        mend = (
            f"Restore the file from a backup, or take the name off it with `skyport-wf retire {name} --node {there.id}`"
        )
        advice = advice_to(shock, there.id, f"{mend} and publish the image again.")
        raise ShockError(f"{name} is published already, and cannot be read: {why}. {advice}")


def advice_to(shock: Shock, node_id: str, mend: str) -> str:
    """Return what to do of an image whose file is damaged. mend: what its owner can do."""
    return mend if shock.may_change(node_id) else "It is another user's: ask its owner to mend it, or use another tag."


def require_owner(shock: Shock, node_id: str, name: str) -> None:
    """Raise AlreadyPublishedError if the node is another user's; one that nobody owns is everyone's."""
    owner, _ = _find_owner(shock, node_id)
    if owner == "another":
        raise not_the_owner(shock, name, node_id)


def why_not_ours_to_delete(shock: Shock, node_id: str) -> str:
    """Return in words why this user is not to delete the node; empty if he may.

    His own he may, and nobody's where the server lets him; not another user's that everyone may delete.
    """
    owner, access = _find_owner(shock, node_id)
    if access is None or owner == "another":
        return _whose("another")
    if not shock.is_known_user and "delete" not in shock.anonymous_rights:
        return f"{shock.name} lets nobody delete without a token: put one into {shock.token_from}"
    if owner == "nobody" and not access.public.delete:
        # Shock does not tell who is an administrator.
        return f"it is nobody's, and {shock.name} lets only administrators delete it, by Shock's own means"
    return ""


def is_ours_alone(shock: Shock, node_id: str) -> bool:
    """Return whether the node is this user's own, and no other user may change it."""
    return not why_not_ours_alone(shock, node_id)


def why_not_ours_alone(shock: Shock, node_id: str) -> str:
    """Return in words why `is_ours_alone` says no; empty if it does not.

    Whoever gives a node away in Shock keeps the right to write to it. (To nobody's nodes everybody has it.)
    """
    owner, access = _find_owner(shock, node_id)
    if access is None or owner != _us(shock):
        return _whose(owner)
    if owner == "nobody":
        return ""
    listed = sorted({*access.write, *access.delete} - {access.owner})
    rights = [f"all?users={','.join(listed)}"] if listed else []
    rights += ["public_write"] if access.public.write else []
    rights += ["public_delete"] if access.public.delete else []
    if not rights:
        return ""
    ending = " and ".join(f"`DELETE /node/{node_id}/acl/{right}`" for right in rights)
    return f"others may change it, too, and what it says of its file may be theirs ({ending} ends that)"


def _whose(owner: _Owner) -> str:
    return "it is nobody's, as it was uploaded without a token" if owner == "nobody" else "it is another user's"


def _us(shock: Shock) -> _Owner:
    return "this user" if shock.is_known_user else "nobody"


def _find_owner(shock: Shock, node_id: str) -> tuple[_Owner, AccessControl | None]:
    """Return whose a node is, and the rights on it; None if this user may not see them."""
    access = shock.user.find_access(node_id)
    if access is not None and access.owner == "public":
        return "nobody", access
    ours = access is not None and shock.is_known_user and shock.user.is_owner(node_id)
    return "this user" if ours else "another", access


def not_the_owner(shock: Shock, name: str, node_id: str) -> AlreadyPublishedError:
    """Return the error for a name on a node that this user may not change. name: as it can be shown."""
    if not shock.is_known_user:
        return AlreadyPublishedError(
            f"{name} is published already (node {node_id}), and may not be changed without a token. Put a token into "
            f"{shock.token_from}, or use another name."
        )
    return AlreadyPublishedError(
        f"{name} is published by another user (node {node_id}). Publish under another name, or ask the owner."
    )
