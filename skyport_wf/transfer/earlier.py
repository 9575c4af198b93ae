"""Nodes that an earlier run has left of publishing an image, so that nothing is sent a second time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyport_wf.publication.attributes import RETIRED_TYPE, UPLOAD_EXPIRATION, UPLOAD_TYPE, read_attributes
from skyport_wf.publication.published import is_ours_alone
from skyport_wf.records.records import BuildRecord

if TYPE_CHECKING:
    from skyport_wf.image.contents import ArchiveDigests
    from skyport_wf.publication.connection import Shock
    from skyport_wf.shock.node import Node


def find_uploads(shock: Shock, build: BuildRecord) -> list[Node]:
    """Return the hidden nodes that are to become this image, or were, newest first; others may have made them."""
    found = shock.user.query({"type": UPLOAD_TYPE, "name": build.name})
    return [node for node in found if node.expires and node.text("source_digest") == build.source.digest]


def find_retired(shock: Shock, build: BuildRecord) -> list[Node]:
    """Return the nodes that were this image, and lost the name."""
    return [
        node
        for node in shock.user.query({"type": RETIRED_TYPE, "name": build.name})
        if (known := read_attributes(node.attributes)) and known.skyport_wf
        if known.skyport_wf.source.digest == build.source.digest
    ]


def holds(node: Node, digests: ArchiveDigests) -> bool:
    """Return whether the node's file has these bytes."""
    return node.file.complete and (node.file.size, node.file.checksum.md5) == (digests.size, digests.md5)


def take_up(shock: Shock, node: Node) -> bool:
    """Return whether an upload can be gone on with; it is given time for that then.

    One that another user may write to cannot: he could change it later. Nor can one that nobody owns, if this user owns
    what he uploads.
    """
    from skyport_wf.shock.connection import ShockRefusalError

    now = shock.user.find(node.id)
    if now is None or not _is_upload(now) or not is_ours_alone(shock, node.id):
        return False
    try:
        now = shock.user.expire(node.id, UPLOAD_EXPIRATION)
    except ShockRefusalError:  # it has vanished
        return False
    if not _is_upload(now):
        # In this very moment its own publisher has registered it, and it is to stay.
        shock.user.keep(node.id)
        return False
    return True


def _is_upload(node: Node) -> bool:
    return node.text("type") == UPLOAD_TYPE and node.expires
