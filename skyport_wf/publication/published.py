"""The nodes that have a name on a Shock, and whether they are ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from skyport_wf.errors import AlreadyPublishedError, ShockError
from skyport_wf.publication.attributes import NodeAttributes, read_attributes
from skyport_wf.publication.awe_lookup import IMAGE_TYPE
from skyport_wf.shock.node import Node

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock
    from skyport_wf.shock.client import ShockClient


class PublishedNode(msgspec.Struct, frozen=True):
    """A node that an AWE query for a name finds."""

    node: Node
    attributes: NodeAttributes

    @property
    def id(self) -> str:
        """The node's id."""
        return self.node.id


def find_published(shock: ShockClient, name: str) -> list[PublishedNode]:
    """Return the nodes that have exactly this name, oldest first, as far as the client may see them.

    Raises ShockError if one of them makes no sense.
    """
    found = []
    for node in shock.query({"type": IMAGE_TYPE, "name": name}):
        if (node.attributes or {}).get("name") != name:
            # A `*` at an end of the name matched it.
            continue
        attributes = read_attributes(node.attributes)
        if attributes is None:
            raise ShockError(
                f"node {node.id} says it is a Docker image, but its attributes are damaged, and AWE workers fail on "
                f"its name. Retire it: `skyport-wf retire --node {node.id}`."
            )
        found.append(PublishedNode(node, attributes))
    return sorted(found, key=lambda published: (published.node.created_on, published.id))


def require_owner(shock: Shock, node_id: str, name: str) -> None:
    """Raise AlreadyPublishedError if the node is another user's; one that nobody owns is everyone's."""
    if _owner_of(shock, node_id) == "another":
        raise not_the_owner(name, node_id)


def is_ours(shock: Shock, node_id: str) -> bool:
    """Return whether the node is this user's own; nobody's is that of users without a token."""
    return _owner_of(shock, node_id) == ("this user" if shock.is_known_user else "nobody")


def _owner_of(shock: Shock, node_id: str) -> Literal["this user", "nobody", "another"]:
    """Return whose a node is.

    Shock does not tell who one is, but only an owner may set a node's public reading, even to what it is.
    """
    from skyport_wf.shock.connection import ShockRefusalError

    access = shock.user.find_access(node_id)
    if access is None:
        return "another"
    if access.owner == "public":
        return "nobody"
    try:
        shock.user.set_public(node_id, access.public.read)
    except ShockRefusalError:
        return "another"
    return "this user"


def not_the_owner(name: str, node_id: str) -> AlreadyPublishedError:
    """Return the error for a name on a node that this user may not change."""
    return AlreadyPublishedError(
        f"{name} is published by another user (node {node_id}). Publish under another name, or ask the owner."
    )
