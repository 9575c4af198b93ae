"""All images of a Shock, in any state: published, retired, replaced, unfinished, or as other tools left them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from skyport_wf.errors import SkyportError
from skyport_wf.image_list.reference import fits, is_pattern, pattern_start
from skyport_wf.publication.attributes import OWN_KEY, RETIRED_TYPE, UPLOAD_TYPE
from skyport_wf.publication.awe_lookup import IMAGE_TYPE
from skyport_wf.publication.awe_problems import find_problems

if TYPE_CHECKING:
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import Node

ImageState = Literal["published", "ambiguous", "expiring", "legacy", "broken", "retired", "replaced", "unfinished"]
LOST_NAME: Final = ("retired", "replaced")
"""States of nodes that had a name and have lost it."""
HIDDEN: Final = (*LOST_NAME, "unfinished")
"""States of nodes that no AWE query finds."""


class StoredImage(msgspec.Struct, frozen=True):
    """A node that holds an image, or is about to."""

    node: Node
    name: str
    """As its attributes have it, the first of a list; empty if they do not."""
    state: ImageState
    notes: tuple[str, ...] = ()
    """Problems of it, and what an AWE worker does about it."""


def list_images(shock: ShockClient, patterns: Sequence[str] = (), *, hidden: bool = False) -> list[StoredImage]:
    """Return the images whose names fit one of the patterns, newest first; all if there are none.

    patterns: see `fits`.
    hidden: also those in states that no AWE query finds.
    """
    nodes = _find(shock, patterns, f"{IMAGE_TYPE}*" if hidden else IMAGE_TYPE)
    names = Counter(name for node in nodes if IMAGE_TYPE in node.texts("type") for name in set(node.texts("name")))
    replaced = {replaced for node in nodes for replaced in _replaces(node)}
    return [_describe(node, names, replaced) for node in nodes]


def expand_names(shock: ShockClient, names: Sequence[str], *, retired: bool = False) -> list[str]:
    """Return the names that are meant, each once: those with `*`, `?` or `[...]` stand for all images that fit.

    What other tools left without a name is not meant: nobody finds it by one.
    retired: mean those that were retired, instead of published ones; a pattern that fits these alone means none.
    Raises SkyportError if nothing fits a pattern.
    """
    found: list[str] = []
    for name in names:
        if not is_pattern(name):
            found.append(name)
            continue
        images = list_images(shock, [name], hidden=retired)
        fitting = [image for image in images if image.name and image.state != "unfinished"]
        if not fitting:
            raise SkyportError(f"{shock.name} has no image that fits {name}. `skyport-wf ls` shows what it has.")
        found += sorted({image.name for image in fitting if (image.state in LOST_NAME) == retired})
    return list(dict.fromkeys(found))


def _find(shock: ShockClient, patterns: Sequence[str], kind: str) -> list[Node]:
    """Return the nodes, newest first: by their names, as other tools' nodes have no attribute `repository`."""
    if not patterns:
        found = shock.query({"type": kind})
    else:
        # The server knows no pattern but a beginning: what is before the first special character.
        starts = {pattern_start(pattern) for pattern in patterns}
        by_id = {
            node.id: node
            for start in starts
            if not any(start.startswith(other) for other in starts - {start})
            for node in shock.query({"type": kind, "name": f"{start}*"} if start else {"type": kind})
        }
        found = sorted(by_id.values(), key=lambda node: node.created_on, reverse=True)
    return [node for node in found if node.attributes is None or _is_image(node, patterns)]


def _is_image(node: Node, patterns: Sequence[str]) -> bool:
    kinds = {IMAGE_TYPE, RETIRED_TYPE, UPLOAD_TYPE}
    fitting = not patterns or any(fits(name, patterns) for name in node.texts("name"))
    return fitting and not kinds.isdisjoint(node.texts("type"))


def _replaces(node: Node) -> list[str]:
    own = (node.attributes or {}).get(OWN_KEY)
    replaced = own.get("replaces") if isinstance(own, dict) else None
    return [one for one in replaced if isinstance(one, str)] if isinstance(replaced, list) else []


def _describe(node: Node, names: Counter[str], replaced: set[str]) -> StoredImage:
    name, kinds = next(iter(node.texts("name")), ""), node.texts("type")
    if IMAGE_TYPE not in kinds and UPLOAD_TYPE in kinds:
        return StoredImage(node, name, "unfinished")
    if IMAGE_TYPE not in kinds and RETIRED_TYPE in kinds:
        return StoredImage(node, name, "replaced" if node.id in replaced else "retired")
    problems = find_problems(node)
    notes = tuple(problem.text for problem in problems)
    if any(problem.fatal for problem in problems):
        return StoredImage(node, name, "broken", notes)
    if names[name] > 1:
        return StoredImage(node, name, "ambiguous", (*notes, f"{names[name]} nodes have its name, and AWE takes none"))
    if node.expires:
        return StoredImage(node, name, "expiring", notes)
    return StoredImage(node, name, "legacy" if problems else "published", notes)
