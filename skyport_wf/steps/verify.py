"""Comparing what Shock holds with the lock file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.awe import AweLookupError
from skyport_wf.steps.resolve import resolve

if TYPE_CHECKING:
    from skyport_wf.records import LockedImage, LockFile
    from skyport_wf.shock.client import ShockClient


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
    held = {"node": node.id, "image id": (node.attributes or {}).get("id"), "MD5": node.file.checksum.md5}
    for what, locked in {"node": image.node, "image id": image.image_id, "MD5": image.md5}.items():
        if held[what] != locked:
            yield f"the {what} is {held[what]}, the lock file says {locked}"
