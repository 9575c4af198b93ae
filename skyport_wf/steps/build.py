"""The first step: make the image, or find out that it is published already."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.errors import UsageError
from skyport_wf.image_list.spec import ImageList, ImageSpec
from skyport_wf.publication.connect import open_shock, settle
from skyport_wf.publication.name_state import PublishedNode, check_ownership, find_published, judge
from skyport_wf.publication.thin import leave_out, require_published
from skyport_wf.records.records import BuildRecord, Source, ThinBase
from skyport_wf.sources import archive, container, dockerfile, engine_image, snapshot
from skyport_wf.sources.listed import ListedImage, MadeImage
from skyport_wf.sources.order import needed_images, source_digests, with_needs

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.shock.client import ShockClient

_log = logging.getLogger(__name__)


def build(image: ImageSpec, images: ImageList, folder: Path, *, output: Callable[[str], None]) -> BuildRecord:
    """Build the image, or take note that Shock has it.

    folder: what the paths of the image list start from.
    output: called with each piece of text that the build prints.
    Raises AlreadyPublishedError, before anything is built, if another image has the name.
    """
    record = describe(image, images, folder)
    if same := _find_same(open_shock(record.shock), record):
        _log.info("%s is published already (node %s), nothing to build", image.name, same.id)
        return msgspec.structs.replace(record, published=same.id)
    return record if record.archive else _make(record, ListedImage(image, images, folder), output)


def describe(image: ImageSpec, images: ImageList, folder: Path) -> BuildRecord:
    """Return what is known of the image before it is made; asks the engine only for an `image` or a `container`.

    Raises UsageError for a file that is not there, ArchiveError for one that is no archive.
    """
    listed = ListedImage(image, images, folder)
    return BuildRecord(
        name=image.name,
        source=listed.final(_describe_source(listed)),
        shock=settle(images.shock, public=image.public),
        replace=image.replace,
        description=image.description,
        thin_on=ThinBase(image.base) if image.base else None,
        archive=str(archive.find_archive(listed)) if image.archive else None,
    )


def _describe_source(image: ListedImage) -> Source:
    match image.spec.source:
        case "archive":
            return archive.describe(image)
        case "image":
            return engine_image.describe(_connect(), image)
        case "container":
            return container.describe(_connect(), image)
        case "dockerfile":
            return dockerfile.describe(image, _digests_of_needs(image))
        case "snapshot":
            return snapshot.describe(image, _digests_of_needs(image))


def _digests_of_needs(image: ListedImage) -> dict[str, str]:
    if not (needs := needed_images(image)):
        return {}
    digests = source_digests(with_needs(image.images, image.folder, [image.spec.name]), image.folder)
    return {name: digests[name] for name in needs}


def _find_same(shock: ShockClient, record: BuildRecord) -> PublishedNode | None:
    """Return the node that has the image; raise AlreadyPublishedError if the name cannot be had."""
    found = find_published(shock, record.name)
    digest = record.source.digest
    # Of an archive and an engine's image the digest is the image id.
    standing = judge(
        record.name, found, source_digest=digest, image_id=digest, replace=record.replace, thin_on=record.thin_on_name
    )
    for other in standing.others:
        check_ownership(shock, other.id, record.name)
    return standing.same


def _make(record: BuildRecord, image: ListedImage, output: Callable[[str], None]) -> BuildRecord:
    from skyport_wf.engine.capabilities import read_version

    needs = needed_images(image)
    base = record.thin_on
    if base and base.name not in needs:
        # Before anything is built: it is not in the list, so nothing here can publish it.
        require_published(record, base.name)
    engine = _connect()
    provide(engine, record, needs)
    made = make_from_source(engine, image, output)
    if image.spec.flatten:
        made = flatten(engine, image, made)
    if base:
        base = leave_out(engine, record, base.name, made.id, listed=base.name in needs)
    return msgspec.structs.replace(record, image=made.id, engine=read_version(engine), base=made.base, thin_on=base)


def make_from_source(engine: APIClient, image: ListedImage, output: Callable[[str], None]) -> MadeImage:
    """Make the image, not flattened yet, under its name."""
    _log.info("making %s from its %s", image.spec.name, image.spec.source)
    match image.spec.source:
        case "image":
            return engine_image.make(engine, image)
        case "container":
            return container.make(engine, image)
        case "dockerfile":
            return dockerfile.make(engine, image, output)
        case "snapshot":
            return snapshot.make(engine, image, output)
        case "archive":
            raise UsageError(f"image {image.spec.name} comes from an archive, there is nothing to make")


def flatten(engine: APIClient, image: ListedImage, made: MadeImage) -> MadeImage:
    """Make one layer of the image that was made; it takes over the name."""
    from skyport_wf.engine.flatten import flatten_image

    _log.info("making one layer of %s", image.spec.name)
    return MadeImage(flatten_image(engine, made.id, image.spec.reference), made.base)


def provide(engine: APIClient, record: BuildRecord, needs: Sequence[str]) -> None:
    """See that the engine has the images that this one is built on, as they are published; that it is thin on, too."""
    from skyport_wf.engine.images import find_image
    from skyport_wf.transfer.pull import fetch

    shock = open_shock(record.shock)
    for name in dict.fromkeys((*needs, *filter(None, [record.thin_on_name]))):
        published = find_published(shock, name)
        if published and find_image(engine, published[-1].attributes.id) is None:
            _log.info("%s is built on %s, fetching it from Shock", record.name, name)
            fetch(shock, engine, published[-1].id, name)


def _connect() -> APIClient:
    from skyport_wf.engine.connection import connect

    return connect()
