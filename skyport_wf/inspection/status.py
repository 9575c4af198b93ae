"""How each image of the list stands with Shock, and what publishing it would do. Nothing is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
from msgspec import structs

from skyport_wf.errors import AlreadyPublishedError, EngineError, TemporaryError
from skyport_wf.image_list.spec import ImageList, ImageSpec, SourceKind
from skyport_wf.publication.connect import open_shock
from skyport_wf.publication.destination import open_destination
from skyport_wf.publication.name_state import PublishedNode, Standing, find_published, judge
from skyport_wf.publication.thin import base_problem, workers_need
from skyport_wf.records.records import BuildRecord
from skyport_wf.steps.build import describe

State = Literal[
    "published", "not published", "unfinished", "other readers", "to be replaced", "name taken", "base missing",
    "unknown",
]  # fmt: skip
_WORK: dict[SourceKind, str] = {
    "dockerfile": "build and ", "snapshot": "make and ", "container": "commit and ", "image": "save and ",
    "archive": "",
}  # fmt: skip
FAILING = frozenset({"name taken", "base missing", "unknown"})
"""States in which publishing would fail."""


class ImageStatus(msgspec.Struct, frozen=True):
    """One image of the list."""

    name: str
    state: State
    next: str
    """What publishing it would do."""
    image_id: str | None = None
    """Of the image that has the name."""
    node: str | None = None
    size: int | None = None
    """Bytes of the node's file."""
    thin_on: str = ""
    """The image whose layers its archive leaves out."""
    warning: str = ""
    """What has to be known of the image where it is used."""


def read_status(image: ImageSpec, images: ImageList, folder: Path) -> ImageStatus:
    """Return how the image stands.

    folder: what the paths of the image list start from.
    Raises TemporaryError if Shock cannot be reached; an engine is asked only for an `image`.
    """
    status = _read(image, images, folder)
    if not image.base:
        return status
    return structs.replace(status, thin_on=image.base, warning=workers_need(image.name, image.base))


def _read(image: ImageSpec, images: ImageList, folder: Path) -> ImageStatus:
    try:
        record = describe(image, images, folder)
    except (EngineError, TemporaryError) as error:
        return ImageStatus(image.name, "unknown", f"fail: {error}")
    found = find_published(open_shock(record.shock), image.name)
    try:
        standing = judge(
            image.name, found, source_digest=record.source.digest, image_id=record.source.digest, replace=image.replace,
            thin_on=record.thin_on_name,
        )  # fmt: skip
    except AlreadyPublishedError as error:
        return _of_node(image.name, found[0], record, "name taken", f"fail: {error}")
    return _without_base(image, images, standing, record) or _judged(image, standing, record)


def _without_base(image: ImageSpec, images: ImageList, standing: Standing, record: BuildRecord) -> ImageStatus | None:
    """Return how an image stands that is, or would be, thin on what is not published; None if it is not so."""
    base = standing.same.attributes.thin_on if standing.same else record.thin_on
    listed = base and any(base.name == other.name for other in images.images)
    if base is None or (listed and not standing.same):
        return None
    problem = base_problem(open_destination(record.shock), image.name, base)
    if not problem:
        return None
    if standing.same is None:
        return ImageStatus(image.name, "base missing", f"fail: {problem}")
    return _of_node(image.name, standing.same, record, "base missing", f"fail: {problem}")


def _judged(image: ImageSpec, standing: Standing, record: BuildRecord) -> ImageStatus:
    verb = f"{_WORK[image.source]}publish it"
    if standing.others:
        nodes = ", ".join(node.id for node in standing.others)
        return _of_node(image.name, standing.others[0], record, "to be replaced", f"{verb}, and retire node {nodes}")
    if standing.same is None:
        return ImageStatus(image.name, "not published", verb)
    return _of_node(image.name, standing.same, record, "published", "do nothing")


def _of_node(name: str, published: PublishedNode, record: BuildRecord, state: State, then: str) -> ImageStatus:
    shock = open_shock(record.shock)
    node = shock.find(published.id)
    if node and state == "published":
        if node.expires:
            state, then = "unfinished", "finish its registration"
        elif shock.read_access(node.id).public.read != record.shock.public:
            state, then = (
                "other readers",
                "open it to everyone" if record.shock.public else "close it to all but its readers",
            )
    size = node.file.size if node else None
    return ImageStatus(name, state, then, published.attributes.id, published.id, size)
