"""The list of packages that a published image's node has: made once, when the image is saved or sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyport_wf.publication.attributes import PACKAGES_KEY

if TYPE_CHECKING:
    from skyport_wf.image.examination.package_list import PackageList
    from skyport_wf.shock.node import Node


def packed_list(node: Node) -> str:
    """Return the packed list of a node, as whoever owns the node has written it; empty if there is none."""
    packed = (node.attributes or {}).get(PACKAGES_KEY)
    return packed if isinstance(packed, str) else ""


def listed_packages(node: Node) -> PackageList | None:
    """Return the packages in the image on a node, None if the node does not tell them.

    Nodes of other tools do not, and those that were published before there were such lists.
    """
    from skyport_wf.image.examination.package_list import unpack

    return unpack(packed_list(node), image_id=str((node.attributes or {}).get("id")))
