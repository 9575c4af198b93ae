"""Taking the name off a published image."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from skyport_wf.errors import SkyportError
from skyport_wf.publication.attributes import RETIRED_TYPE, to_json_values
from skyport_wf.publication.name_state import PublishedNode, check_ownership, find_published
from skyport_wf.publication.thin import find_thin_on

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


def retire(shock: ShockClient, name: str, *, force: bool = False) -> list[str]:
    """Take the name off every node that has it, and return their ids.

    force: even if other published images are thin on it.
    Raises SkyportError if there is none, or if others are thin on it.
    """
    found = find_published(shock, name)
    if not found:
        raise SkyportError(f"{shock.name} has no image {name}. `skyport-wf ls` shows what it has.")
    thin = sorted({other for node in found for other in find_thin_on(shock, node)})
    if thin and not force:
        raise SkyportError(
            f"{', '.join(thin)} {'are' if len(thin) > 1 else 'is'} thin on {name}, and would lack its layers. Publish "
            "whole under another tag and retire what is thin first, or give --force."
        )
    for other in thin:
        _log.warning("%s loses its base with %s", other, name)
    for node in found:
        retire_node(shock, node, name)
    return [node.id for node in found]
