"""One image in the place of another: the name changes hands, and an interruption loses nobody the name.

Shock changes one node at a time, so for a moment two nodes have the name, of which the new one says which it replaces.
Whoever looks at the name next, and may, finishes what its publisher was kept from finishing.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from skyport_wf.errors import SkyportError
from skyport_wf.publication.attributes import RETIRED_TYPE
from skyport_wf.publication.awe_lookup import IMAGE_TYPE
from skyport_wf.publication.claim import claim_name, is_claimed
from skyport_wf.publication.published import PublishedNode, find_published, require_owner

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock

_log = logging.getLogger(__name__)


def retire_node(shock: Shock, node: PublishedNode) -> None:
    """Take the name off a node: no AWE query finds it any more; whoever knows its id can still read it.

    Raises AlreadyPublishedError if it is another user's.
    """
    name = node.attributes.name
    require_owner(shock, node.id, name)
    _log.info("retiring node %s, which was %s", node.id, name)
    shock.user.replace_attributes(node.id, {**stored_attributes(node), "type": RETIRED_TYPE})


def restore_node(shock: Shock, node: PublishedNode) -> None:
    """Give a node that was retired its name back."""
    _log.info("node %s is %s again", node.id, node.attributes.name)
    shock.user.replace_attributes(node.id, {**stored_attributes(node), "type": IMAGE_TYPE})


def stored_attributes(node: PublishedNode) -> dict[str, Any]:
    """Return the attributes as the node has them: another tool's may say more than this one knows."""
    return dict(node.node.attributes or {})


def finish_replacement(shock: Shock, name: str) -> list[PublishedNode]:
    """Return the nodes that have the name, after finishing a replacement that was interrupted, if this user may."""
    found = find_published(shock.user, name)
    new = next((node for node in reversed(found) if _is_interrupted(node, found)), None)
    if new is None or not all(shock.may_change(node.id) for node in found) or is_claimed(shock.user, name):
        return found
    _log.warning("the publisher of %s was interrupted when node %s took the name: finishing that", name, new.id)
    try:
        with claim_name(shock.user, name, public=shock.everyone_reads(new.id)):
            for old in find_published(shock.user, name):
                if old.id != new.id:
                    retire_node(shock, old)
            if new.node.expires:
                shock.user.keep(new.id)
    except SkyportError as error:
        # Whoever only looks gets to see the state as it is.
        _log.warning("that failed: %s", error)
    return find_published(shock.user, name)


def _is_interrupted(node: PublishedNode, found: list[PublishedNode]) -> bool:
    """Return whether the node was to replace all the others, or has done so and still expires."""
    known = node.attributes.skyport_wf
    if known is None or not known.replaces or not node.node.file.complete:
        return False
    others = {other.id for other in found} - {node.id}
    return others <= {*known.replaces} and (bool(others) or node.node.expires)
