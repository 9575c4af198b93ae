"""Asking Shock for an image the way an AWE worker does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyport_wf.formatting import one_line
from skyport_wf.image_list.reference import LATEST, is_pattern
from skyport_wf.publication.awe_lookup import NEGATION, AweLookupError, SeveralMeantError, choose, plan_lookup
from skyport_wf.publication.awe_problems import how_to_mend
from skyport_wf.publication.inventory import list_images
from skyport_wf.publication.replacement import finish_replacement

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import Node

_TOLD = 2
"""Images that a message tells of."""
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


def find_for_worker(shock: Shock, asked: str) -> Node:
    """Return what `ask_as_worker` returns for the name of one image.

    Raises SeveralMeantError for what Shock does not take for a name: a `*` is any text there, `!a/b` any other name;
    and AWE takes the first node that it gets.
    """
    if is_pattern(asked):
        raise SeveralMeantError(
            f"{asked!r} stands for all images that fit it, and one is to be named: REPO:TAG, or REPO for its highest "
            "tag. `skyport-wf ls` with the pattern lists them."
        )
    if asked.startswith(NEGATION):
        raise SeveralMeantError(
            f"{asked!r} is not the name of an image: Shock takes it for all others. Give REPO:TAG, or REPO for its "
            "highest tag."
        )
    node = ask_as_worker(shock, asked)
    if asked.removesuffix(f":{LATEST}").removesuffix(":") not in (node.text("name"), node.text("repository")):
        raise SeveralMeantError(
            f"{asked!r} is not the name of an image: Shock takes it for a question that others fit, such as "
            f"{node.text('name')}. Give REPO:TAG, or REPO for its highest tag."
        )
    return node


def ask_as_worker(shock: Shock, asked: str, *, anonymous: bool = False) -> Node:
    """Return what `resolve` returns, after finishing a replacement of the name that was interrupted.

    anonymous: as a worker without a token asks; otherwise as the user.
    Raises AweLookupError where a worker would fail, with what there is of that repository that none finds, and where
    the server tells nothing to those without a token; SeveralMeantError for an empty name, as of a variable that is
    not set: Shock takes it for any.
    """
    if not asked.partition(":")[0]:
        raise SeveralMeantError(f"{asked!r} names no image. Give REPO:TAG, or REPO for its highest tag.")
    lookup = plan_lookup(asked)
    if not lookup.latest and shock.is_known_user and not anonymous:
        finish_replacement(shock, asked)
    if anonymous and "read" not in shock.anonymous_rights:
        # What the server says would be advice to whoever has no token.
        raise AweLookupError(
            f"{shock.name} tells nothing to those without a token, so an AWE worker without one finds no image there. "
            "Jobs that have one do."
        )
    client = shock.anybody if anonymous else shock.user
    try:
        return resolve(client, asked)
    except AweLookupError as error:
        if hint := _tell_of_problems(client, asked) if lookup.latest else "":
            told = str(error)
            raise AweLookupError(f"{told}{'' if told.endswith(('.', '?')) else '.'} {hint}") from error
        raise


def _tell_of_problems(shock: ShockClient, asked: str) -> str:
    """Return what is wrong with images of the repository that was asked for, empty if there are none."""
    found = [image for image in list_images(shock, [asked.partition(":")[0]]) if image.notes]
    told = [
        f"There is {one_line(image.name) or 'one without a name'} (node {image.node.id}), but "
        f"{'; '.join(image.notes)}. {how_to_mend(image.node)} mends it."
        for image in found[:_TOLD]
    ]
    more = [f"There are {len(found) - _TOLD} more: `skyport-wf ls` lists them."] if len(found) > _TOLD else []
    return " ".join((*told, *more))
