"""Asking Shock for an image the way an AWE worker does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyport_wf.publication.awe_lookup import choose, plan_lookup

if TYPE_CHECKING:
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import Node

_FIRST_PAGE = 25
"""Shock's default page, and a worker looks at no other."""


def resolve(shock: ShockClient, asked: str) -> Node:
    """Return the node that a worker would take for `asked`, REPO or REPO:TAG.

    shock: the server as the worker would ask it, with its token or without.
    Raises AweLookupError where the worker would fail the work unit.
    """
    lookup = plan_lookup(asked)
    found = shock.query(lookup.query, limit=_FIRST_PAGE)
    return found[choose(lookup, [node.attributes or {} for node in found])]
