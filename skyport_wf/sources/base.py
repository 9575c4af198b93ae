"""The image that another one is made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyport_wf.records.records import BaseImage

if TYPE_CHECKING:
    from docker import APIClient


def find_base(engine: APIClient, name: str) -> BaseImage:
    """Return the base image as the engine has it."""
    from skyport_wf.engine.images import find_image

    found = find_image(engine, name)
    return BaseImage(name, found.id if found else None)
