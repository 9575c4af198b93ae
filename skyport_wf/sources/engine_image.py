"""An image that the engine already has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyport_wf.records.records import Source
from skyport_wf.sources.listed import ListedImage, MadeImage

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.engine.images import EngineImage


def describe(engine: APIClient, image: ListedImage) -> Source:
    """Return which image it is. Raises EngineError if the engine does not have it."""
    return Source(kind="image", digest=_find(engine, image).id)


def make(engine: APIClient, image: ListedImage) -> MadeImage:
    """Give the image its name: others of the list may be built on it."""
    from skyport_wf.engine.images import tag_image

    found = _find(engine, image)
    tag_image(engine, found.id, image.spec.reference)
    return MadeImage(found.id)


def _find(engine: APIClient, image: ListedImage) -> EngineImage:
    from skyport_wf.engine.images import require_image

    return require_image(engine, image.spec.image or "", wanted_by=image.spec.name)
