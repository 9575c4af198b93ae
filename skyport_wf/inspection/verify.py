"""Comparing what Shock holds with the lock file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.publication.attributes import read_attributes
from skyport_wf.publication.awe_lookup import AweLookupError
from skyport_wf.publication.name_state import find_published
from skyport_wf.publication.resolve import resolve
from skyport_wf.publication.thin import has_id

if TYPE_CHECKING:
    from skyport_wf.records.records import LockedImage, LockFile
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import Node


class Verification(msgspec.Struct, frozen=True):
    """What was found of one image of the lock file."""

    name: str
    ok: bool
    detail: str
    """What differs."""


def verify(lock: LockFile, shock: ShockClient, url: str) -> Iterator[Verification]:
    """Yield what Shock has of each image of the lock file.

    url: the Shock that is asked; an image that was published elsewhere differs.
    """
    for name, image in lock.images.items():
        differences = "; ".join(_differences(name, image, shock, url))
        yield Verification(name, not differences, differences or f"node {image.node}")


def _differences(name: str, image: LockedImage, shock: ShockClient, url: str) -> Iterator[str]:
    if image.shock != url:
        yield f"the lock file says it is on {image.shock}, asked is {url}"
    try:
        node = resolve(shock, name)
    except AweLookupError as error:
        yield str(error)
        return
    yield from _base_differences(node, shock)
    held = {"node": node.id, "image id": (node.attributes or {}).get("id"), "MD5": node.file.checksum.md5}
    for what, locked in {"node": image.node, "image id": image.image_id, "MD5": image.md5}.items():
        if held[what] != locked:
            yield f"the {what} is {held[what]}, the lock file says {locked}"


def _base_differences(node: Node, shock: ShockClient) -> Iterator[str]:
    """Yield that a thin image has lost its base, if it has."""
    attributes = read_attributes(node.attributes)
    base = attributes.thin_on if attributes else None
    if base is None:
        return
    found = find_published(shock, base.name)
    if not any(has_id(other, base.image_id) for other in found):
        now = f"that is image {found[-1].attributes.id} now" if found else "which is not published any more"
        yield f"it is thin on {base.name} with image {base.image_id}, {now}"
