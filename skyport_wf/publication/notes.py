"""The description that the node of a published image has: a new one makes no other image of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from skyport_wf.publication.attributes import OWN_KEY, read_attributes
from skyport_wf.publication.awe_lookup import IMAGE_TYPE
from skyport_wf.publication.claim import claim_name
from skyport_wf.publication.receipts import receipt_of
from skyport_wf.records.receipt import Receipt

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock
    from skyport_wf.shock.node import Node

_log = logging.getLogger(__name__)


def update_notes(shock: Shock, receipt: Receipt, *, description: str) -> Receipt:
    """Let the node of a published image have this description, if the user may change it; return its receipt of now.

    A node that is gone, or published no more, is left alone: its receipt stays what it is.
    """
    node = shock.user.find(receipt.node) if shock.is_at(receipt.shock) else None
    if node is None or not _is_published(node):
        return receipt
    if _differs(node, description) and shock.may_change(node.id):
        with claim_name(shock.user, receipt.name, public=shock.everyone_reads(node.id)):
            # Looked at again: now nobody else takes the name from it.
            node = shock.user.find(receipt.node)
            if node is None or not _is_published(node):
                return receipt
            _log.info("%s: the node gets its new description", receipt.name)
            attributes = dict(node.attributes or {})
            attributes[OWN_KEY] = {**attributes[OWN_KEY], "description": description}
            shock.user.replace_attributes(node.id, attributes)
    return receipt_of(shock, node)


def _is_published(node: Node) -> bool:
    return node.text("type") == IMAGE_TYPE


def _differs(node: Node, description: str) -> bool:
    """Return whether the node has another description; one that another tool made has none."""
    attributes = read_attributes(node.attributes)
    known = attributes.skyport_wf if attributes else None
    return known is not None and known.description != description
