"""Thin images: built on a published image, and published without its layers, which who loads them has to have."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from skyport_wf.errors import ShockError
from skyport_wf.publication.attributes import OWN_KEY
from skyport_wf.publication.awe_lookup import IMAGE_TYPE
from skyport_wf.publication.published import PublishedNode, find_published
from skyport_wf.records.source import ThinBase

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import Node


def name_of(node: Node) -> str:
    """Return the name of the image on a node."""
    return node.text("name")


def id_of(node: Node) -> str:
    """Return the id of the image on a node."""
    return node.text("id")


def base_of(node: Node) -> tuple[str, str]:
    """Return name and id of the base of the thin image on the node, both empty if it is whole.

    Another tool may have written only one of them.
    """
    return node.text("base_image_tag"), node.text("base_image_id")


def same_image(image_id: str, said: str) -> bool:
    """Return whether the image of an id may be the one that something says; other tools write ids without `sha256:`.

    said: the other id. If it is empty, as other tools may leave it out, any image may be meant.
    """
    return not said or image_id.removeprefix("sha256:") == said.removeprefix("sha256:")


def check_base(shock: Shock, name: str, base: ThinBase, *, public: bool) -> PublishedNode:
    """Return the published base of a thin image.

    name, public: the thin image's, and whether everyone is to read it.
    Raises ShockError if the base is not published, not for all who may read the thin image, or is another image now.
    """
    node, problem = _look_for(shock, name, base, public=public)
    if node is None:
        raise ShockError(problem)
    return node


def base_problem(shock: Shock, name: str, base: ThinBase, *, public: bool) -> str:
    """Return why `check_base` would fail, an empty text if it would not."""
    return _look_for(shock, name, base, public=public)[1]


def has_id(node: PublishedNode, image_id: str | None) -> bool:
    """Return whether a node has the image of this id, or may have it if the id is unknown.

    The id may be one that the engine gave, and that on containerd's image store is not the config digest.
    """
    known = node.attributes.skyport_wf
    ids = (node.attributes.id, known.engine_image_id if known else None)
    return any(same_image(own, image_id or "") for own in ids if own)


def with_base_id(attributes: Mapping[str, Any], image_id: str) -> dict[str, Any]:
    """Return the attributes of a thin image with the id under which its base is published."""
    own = attributes.get(OWN_KEY)
    told = {**own, "thin_on": {**own["thin_on"], "image_id": image_id}} if own and own.get("thin_on") else own
    return {**attributes, "base_image_id": image_id, OWN_KEY: told}


def find_ambiguity(found: Sequence[PublishedNode]) -> str:
    """Return why nobody can tell which image the nodes of a name mean, an empty text if that is clear."""
    if not any(node.damaged or not same_image(node.attributes.id, found[0].attributes.id) for node in found):
        return ""
    nodes = ", ".join(f"{node.id} ({'damaged' if node.damaged else node.attributes.id})" for node in found)
    return (
        f"nothing can be built on {found[0].attributes.name}, as nobody can tell which image that is. These nodes have "
        f"the name: {nodes}. Retire those that are wrong, or ask their owners to."
    )


def find_thin_on(shock: ShockClient, node: PublishedNode) -> list[str]:
    """Return the names of the published thin images that are built on the one on the node."""
    return sorted(map(name_of, find_thin_nodes(shock, node)))


def find_thin_nodes(shock: ShockClient, node: PublishedNode) -> list[Node]:
    """Return the nodes of the published thin images that are built on the one on the node."""
    name, image_id = node.attributes.name, node.attributes.id
    if name:
        asked = [{"base_image_tag": name}]
    else:
        # Only by its id can anything be built on it: an empty name would find all images that have the attribute.
        bare = image_id.removeprefix("sha256:")
        asked = [{"base_image_id": one} for one in (bare, f"sha256:{bare}") if bare]
    found = [other for fields in asked for other in shock.query({"type": IMAGE_TYPE, **fields})]
    return [other for other in found if base_of(other)[0] == name and has_id(node, base_of(other)[1])]


def would_lack(names: Sequence[str], base: str) -> str:
    """Return what becomes of thin images if the one that they are built on loses its name."""
    what = "are thin images" if len(names) > 1 else "is a thin image"
    return f"{', '.join(names)} {what} built on {base}, and would lack its layers"


def thinnest_first(nodes: Collection[Node]) -> list[Node]:
    """Return the nodes so that each thin image comes before the one that it is built on."""
    bases = {name_of(node): base_of(node)[0] for node in nodes}

    def height(node: Node) -> int:
        """Return how many of the images are below this one; nodes of others may be on each other."""
        below: list[str] = []
        name = base_of(node)[0]
        while name in bases and name not in below:
            below.append(name)
            name = bases[name]
        return len(below)

    return sorted(nodes, key=height, reverse=True)


def workers_need(name: str, base: str) -> str:
    """Return what has to be known of a thin image where AWE runs."""
    return (
        f"{name} is a thin image built on {base}: AWE workers fetch no base by themselves, each needs it loaded "
        f"beforehand (skyport-wf pull {base})"
    )


def _look_for(shock: Shock, name: str, base: ThinBase, *, public: bool) -> tuple[PublishedNode | None, str]:
    """Return the base's node, or why it is not there for the thin image."""
    found = find_published(shock.as_worker(public=public), base.name)
    if not base.image_id and (problem := find_ambiguity(found)):
        return None, problem
    if same := [node for node in found if has_id(node, base.image_id)]:
        return same[-1], ""
    if found:
        return None, (
            f"{name} is a thin image built on {base.name} with image {base.image_id}, and {base.name} is image "
            f"{found[-1].attributes.id} now (node {found[-1].id}). Build {name} on that (skyport-wf pull {base.name} "
            "gets it); if it is published already, under a new tag."
        )
    if public and find_published(shock.user, base.name):
        return None, (
            f"{name} is public and thin on {base.name}, which is private, so that others could not load it. Make both "
            "public, or both private."
        )
    return None, (
        f"{name} is a thin image built on {base.name}, which {shock.name} does not have, so nobody could load it. "
        f"Publish {base.name} first, or {name} without `base`."
    )
