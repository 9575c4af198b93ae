"""Thin images: built on a published image, and published without its layers, which who loads them has to have."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from skyport_wf.errors import ShockError, SkyportError
from skyport_wf.publication.attributes import OWN_KEY
from skyport_wf.publication.awe_lookup import IMAGE_TYPE
from skyport_wf.publication.connect import open_shock
from skyport_wf.publication.name_state import PublishedNode, find_published
from skyport_wf.records.records import BuildRecord, ThinBase

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.publication.destination import Destination
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import Node


def name_of(node: Node) -> str:
    """Return the name of the image on a node."""
    return _text(node, "name")


def id_of(node: Node) -> str:
    """Return the id of the image on a node."""
    return _text(node, "id")


def base_of(node: Node) -> tuple[str, str]:
    """Return name and id of the image that the one on the node is thin on, both empty if it is whole.

    Another tool may have written only one of them.
    """
    return _text(node, "base_image_tag"), _text(node, "base_image_id")


def same_image(one: str, other: str) -> bool:
    """Return whether two ids mean one image; other tools write them without `sha256:`, or leave one out."""
    return not other or one.removeprefix("sha256:") == other.removeprefix("sha256:")


def require_published(record: BuildRecord, base: str) -> PublishedNode:
    """Return the node of an image that another one is to be thin on. Raises ShockError if there is none."""
    shock = open_shock(record.shock)
    found = find_published(shock, base)
    if not found:
        raise ShockError(
            f"{record.name} is to be thin on {base}, which {shock.name} does not have. Publish {base} first, or remove "
            "`base`."
        )
    return found[-1]


def leave_out(engine: APIClient, record: BuildRecord, base: str, image_id: str, *, listed: bool) -> ThinBase:
    """Return the base with its id, and with the layers that the image need not have in its archive.

    base: the base's name.
    image_id: the engine's id of the image.
    listed: whether the base is an image of the list, which need not be published yet.
    Raises SkyportError if the image is not built on the base.
    """
    from skyport_wf.engine.images import require_image

    found = require_image(
        engine, base if listed else require_published(record, base).attributes.id, wanted_by=record.name
    )
    own = require_image(engine, image_id, wanted_by=record.name)
    _compare_layers(record.name, base, own.root_fs.layers, found.root_fs.layers)
    return ThinBase(base, found.id, found.root_fs.layers)


def check_base(there: Destination, name: str, base: ThinBase) -> PublishedNode:
    """Return the published image that another one is thin on.

    name: the thin image's.
    Raises ShockError if the base is not published, not for all who may read the thin image, or is another image now.
    """
    node, problem = _look_for(there, name, base)
    if node is None:
        raise ShockError(problem)
    return node


def base_problem(there: Destination, name: str, base: ThinBase) -> str:
    """Return why `check_base` would fail, an empty text if it would not."""
    return _look_for(there, name, base)[1]


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


def find_thin_on(shock: ShockClient, node: PublishedNode) -> list[str]:
    """Return the names of the published images that are thin on the one on the node."""
    found = shock.query({"type": IMAGE_TYPE, "base_image_tag": node.attributes.name})
    attributes = [other.attributes or {} for other in found]
    return sorted(str(one.get("name")) for one in attributes if has_id(node, str(one.get("base_image_id") or "")))


def workers_need(name: str, base: str) -> str:
    """Return what has to be known of a thin image where AWE runs."""
    return (
        f"{name} is thin on {base}: AWE workers fetch no base by themselves, each needs it loaded beforehand "
        f"(skyport-wf pull {base})"
    )


def _look_for(there: Destination, name: str, base: ThinBase) -> tuple[PublishedNode | None, str]:
    """Return the base's node, or why it is not there for the thin image."""
    found = find_published(there.worker, base.name)
    if same := [node for node in found if has_id(node, base.image_id)]:
        return same[-1], ""
    if found:
        return None, (
            f"{name} is thin on {base.name} with image {base.image_id}, and {base.name} is image "
            f"{found[-1].attributes.id} now (node {found[-1].id}). Build {name} on that (skyport-wf pull {base.name} "
            "gets it); if it is published already, under a new tag."
        )
    if there.public and find_published(there.shock, base.name):
        return None, (
            f"{name} is public and thin on {base.name}, which is private, so that others could not load it. Make both "
            "public, or both private."
        )
    return None, (
        f"{name} is thin on {base.name}, which {there.shock.name} does not have, so nobody could load it. Publish "
        f"{base.name} first, or {name} without `base`."
    )


def _compare_layers(name: str, base: str, own: tuple[str, ...], below: tuple[str, ...]) -> None:
    """Raise SkyportError unless an image begins with the layers of its base."""
    for number, (found, wanted) in enumerate(zip_longest(own[: len(below)], below), 1):
        if found != wanted:
            raise SkyportError(
                f"{name} cannot be thin on {base}, because it is not built on it: layer {number} of {len(below)} in "
                f"{base} is {wanted}, in {name} it is {found or 'missing'}. Build it FROM {base} as that is published "
                f"(skyport-wf pull {base}), or remove `base`."
            )


def _text(node: Node, key: str) -> str:
    value = (node.attributes or {}).get(key)
    return value if isinstance(value, str) else ""
