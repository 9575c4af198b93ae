"""Asking Shock for an image the way an AWE worker does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyport_wf.publication.awe_lookup import choose, plan_lookup
from skyport_wf.publication.replacement import finish_replacement

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock
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


def find_for_worker(shock: Shock, asked: str, *, anonymous: bool = False) -> Node:
    """Return what `resolve` returns, after finishing a replacement of the name that was interrupted.

    anonymous: as a worker without a token asks; otherwise as the user.
    """
    lookup = plan_lookup(asked)
    if not lookup.latest and shock.is_known_user and not anonymous:
        finish_replacement(shock, asked)
    return resolve(shock.anybody if anonymous else shock.user, asked)
