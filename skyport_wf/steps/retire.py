"""Taking the name off a published image."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from skyport_wf.attributes import RETIRED_TYPE, to_json_values
from skyport_wf.errors import SkyportError
from skyport_wf.steps.standing import PublishedNode, check_ownership, find_published

if TYPE_CHECKING:
    from skyport_wf.shock.client import ShockClient

_log = logging.getLogger(__name__)


def retire_node(shock: ShockClient, node: PublishedNode, name: str) -> None:
    """Take the name off a node: no AWE query finds it any more; whoever knows its id can still read it.

    Raises AlreadyPublishedError if it is another user's.
    """
    check_ownership(shock, node.id, name)
    _log.info("retiring node %s, which was %s", node.id, name)
    shock.replace_attributes(node.id, {**to_json_values(node.attributes), "type": RETIRED_TYPE})


def retire(shock: ShockClient, name: str) -> list[str]:
    """Take the name off every node that has it, and return their ids. Raises SkyportError if there is none."""
    found = find_published(shock, name)
    if not found:
        raise SkyportError(f"{shock.name} has no image {name}. `skyport-wf ls` shows what it has.")
    for node in found:
        retire_node(shock, node, name)
    return [node.id for node in found]
