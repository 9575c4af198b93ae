"""One image in the place of another: the name changes hands, and an interruption loses nobody the name.

Shock changes one node at a time, so for a moment two nodes have the name, of which the new one says which it replaces,
and the old one says by which it is replaced: anybody can make a node that says the former, and even give it away.
Whoever looks at the name next, and may, finishes what its publisher was kept from finishing.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from skyport_wf.errors import SkyportError
from skyport_wf.publication.attributes import REPLACED_BY_KEY, RETIRED_TYPE
from skyport_wf.publication.awe_lookup import IMAGE_TYPE
from skyport_wf.publication.claim import NameHeldError, claim_name
from skyport_wf.publication.published import PublishedNode, find_published

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock

_log = logging.getLogger(__name__)


def announce_replacement(shock: Shock, node: PublishedNode, new_id: str) -> None:
    """Note on a node that is ours that another one is about to take its name."""
    shock.user.replace_attributes(node.id, {**stored_attributes(node), REPLACED_BY_KEY: new_id})


def retire_node(shock: Shock, node: PublishedNode) -> None:
    """Take the name off a node that is ours: no AWE query finds it any more; whoever knows its id can still read it."""
    _log.info("retiring node %s, which was %s", node.id, node.attributes.name)
    shock.user.replace_attributes(node.id, {**stored_attributes(node), "type": RETIRED_TYPE})


def restore_node(shock: Shock, node: PublishedNode) -> None:
    """Give a node its name back that was retired, or was about to be."""
    _log.info("node %s is %s again", node.id, node.attributes.name)
    shock.user.replace_attributes(node.id, {**stored_attributes(node), "type": IMAGE_TYPE})


def stored_attributes(node: PublishedNode) -> dict[str, Any]:
    """Return the attributes as the node has them, but for a replacement that was announced.

    Another tool's may say more than this one knows.
    """
    return {key: value for key, value in (node.node.attributes or {}).items() if key != REPLACED_BY_KEY}


def finish_replacement(shock: Shock, name: str, found: list[PublishedNode] | None = None) -> list[PublishedNode]:
    """Return the nodes that have the name, after finishing a replacement that was interrupted, if this user may.

    found: the nodes that had it a moment ago, if they are known.
    """
    found = find_published(shock.user, name) if found is None else found
    if not _find_interrupted(shock, found):
        return found
    try:
        # Who is replacing an image right now holds its name: that looks the same, and is no business of ours.
        with claim_name(shock.user, name, public=shock.everyone_reads(found[-1].id), patience=0) as claim:
            found = find_published(shock.user, name)
            new = _find_interrupted(shock, found)
            # Only a node that is this user's own takes a name from his others, also where he is an admin.
            if new and shock.user.read_access(new.id).owner == claim.find_owner():
                _log.warning("the publisher of %s was interrupted while node %s took the name: finishing", name, new.id)
                for old in found:
                    if old.id != new.id:
                        retire_node(shock, old)
                if new.node.expires:
                    shock.user.keep(new.id)
    except NameHeldError as error:
        _log.debug("%s", error)
    except SkyportError as error:
        # Whoever only looks gets to see the state as it is.
        _log.warning("the image of %s that was being replaced stays as it is: %s", name, error)
    return find_published(shock.user, name)


def _find_interrupted(shock: Shock, found: list[PublishedNode]) -> PublishedNode | None:
    """Return the node that was to take the name from all the others; None if none was, or not all are ours."""
    new = next((node for node in reversed(found) if _is_interrupted(node, found)), None)
    return new if new and all(shock.may_change(node.id) for node in found) else None


def _is_interrupted(node: PublishedNode, found: list[PublishedNode]) -> bool:
    """Return whether the node was to replace all the others, or has done so and still expires."""
    known = node.attributes.skyport_wf
    if known is None or not known.replaces or not node.node.file.complete:
        return False
    others = [other for other in found if other.id != node.id]
    agreed = all((other.node.attributes or {}).get(REPLACED_BY_KEY) == node.id for other in others)
    return {other.id for other in others} <= {*known.replaces} and agreed and (bool(others) or node.node.expires)
