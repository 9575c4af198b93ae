"""How an image stands with a Shock: not there, there already, or its name taken by another image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.errors import AlreadyPublishedError, ShockError
from skyport_wf.publication.attributes import NodeAttributes, read_attributes
from skyport_wf.publication.awe_lookup import IMAGE_TYPE

_NOT_AUTHORIZED = 401
OTHERWISE = "give this image a new tag, or set `replace: true` for it in the image list."
"""What there is to do if another image has the name."""

if TYPE_CHECKING:
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import Node


class PublishedNode(msgspec.Struct, frozen=True):
    """A node that an AWE query for a name finds."""

    id: str
    created_on: str
    attributes: NodeAttributes

    def holds(self, *, source_digest: str, image_id: str | None, thin_on: str = "") -> bool:
        """Return whether it is the image of this source; or of this id, and as whole or thin as is wanted.

        thin_on: the name of the image whose layers are to be left out, empty for a whole archive.
        """
        known, base = self.attributes.skyport_wf, self.attributes.thin_on
        if known is not None and known.source_digest == source_digest:
            return True
        return self.attributes.id == image_id and (base.name if base else "") == thin_on


class Standing(msgspec.Struct, frozen=True):
    """What a Shock has under an image's name."""

    same: PublishedNode | None
    """The node that holds this very image."""
    others: tuple[PublishedNode, ...]
    """Nodes that have to give up the name to it."""


def find_published(shock: ShockClient, name: str) -> list[PublishedNode]:
    """Return the nodes that have the name, oldest first, as far as the client may see them."""
    return sorted(filter(None, map(_published, shock.query({"type": IMAGE_TYPE, "name": name}))), key=_age)


def judge(
    name: str,
    found: Sequence[PublishedNode],
    *,
    source_digest: str,
    image_id: str | None,
    replace: bool,
    thin_on: str = "",
    otherwise: str = OTHERWISE,
) -> Standing:
    """Return how the image stands.

    found: the nodes that have the name.
    source_digest, image_id: of the image that is to have it; the id only if it is known yet.
    thin_on: the name of the image whose layers its archive leaves out, empty for a whole archive.
    otherwise: what a message says can be done if another image has the name.
    Raises AlreadyPublishedError if another image has the name and may not be replaced.
    """
    same = [node for node in found if node.holds(source_digest=source_digest, image_id=image_id, thin_on=thin_on)]
    others = [node for node in found if node not in same]
    if others and not replace:
        raise AlreadyPublishedError(f"{_taken(name, others, thin_on)}: {otherwise}")
    return Standing(same[0] if same else None, (*others, *same[1:]))


def check_ownership(shock: ShockClient, node_id: str, name: str) -> None:
    """Raise AlreadyPublishedError if the node is another user's.

    Shock does not tell who one is, but only an owner may set a node's public reading, even to what it is.
    """
    from skyport_wf.shock.connection import ShockRefusalError

    access = shock.read_access(node_id)
    try:
        if access.owner != "public":
            shock.set_public(node_id, access.public.read)
    except ShockRefusalError as error:
        if error.status == _NOT_AUTHORIZED:
            raise  # a token is missing or wrong, and nobody can tell whose the node is
        raise AlreadyPublishedError(
            f"{name} is published by another user (node {node_id}). Publish under another name, or ask the owner."
        ) from error


def _published(node: Node) -> PublishedNode | None:
    attributes = read_attributes(node.attributes)
    if attributes is None:
        raise ShockError(
            f"node {node.id} says it is a Docker image, but its attributes are damaged, and AWE workers fail on its "
            "name. Delete it."
        )
    return PublishedNode(node.id, node.created_on, attributes)


def _age(node: PublishedNode) -> tuple[str, str]:
    return node.created_on, node.id


def _taken(name: str, others: Sequence[PublishedNode], thin_on: str) -> str:
    nodes = ", ".join(f"node {node.id} with image {node.attributes.id}{_thinness(node, thin_on)}" for node in others)
    known = others[0].attributes.skyport_wf
    when = f", registered {known.registered}" if known else ""
    return f"{name} is published already, as another image ({nodes}{when}). A published name stays what it is"


def _thinness(node: PublishedNode, wanted: str) -> str:
    """Return what else tells two publications of one image apart."""
    base = node.attributes.thin_on
    return f", thin on {base.name}" if base else ", whole" if wanted else ""
