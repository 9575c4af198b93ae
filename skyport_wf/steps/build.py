"""The first step: make the image, or find out that it is published already."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.errors import EngineError, UsageError
from skyport_wf.records import BaseImage, BuildRecord, Source
from skyport_wf.spec import ImageList, ImageSpec
from skyport_wf.steps.connect import open_shock, settle
from skyport_wf.steps.plan import needed_images, source_digests
from skyport_wf.steps.source import build_context, read_dockerfile, read_dockerfile_source
from skyport_wf.steps.standing import PublishedNode, check_ownership, find_published, judge

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
    shock = open_shock(record.shock)
    if same := _find_same(shock, record):
        _log.info("%s is published already (node %s), nothing to build", image.name, same.id)
        return msgspec.structs.replace(record, published=same.id)
    if image.source != "dockerfile":
        return record
    return _build(record, image, images, folder, output)


def describe(image: ImageSpec, images: ImageList, folder: Path) -> BuildRecord:
    """Return what is known of the image before it is built; asks the engine only for an `image`.

    Raises UsageError for a file that is not there, ArchiveError for one that is no archive.
    """
    settings = settle(images.shock, public=image.public)
    record = BuildRecord(
        name=image.name,
        source=Source(kind=image.source, digest=""),
        shock=settings,
        replace=image.replace,
        description=image.description,
    )
    if image.archive:
        path = (folder / image.archive).resolve()
        return msgspec.structs.replace(record, source=_archive_source(path, image), archive=str(path))
    if image.image:
        return _describe_engine_image(record, image.image)
    digests = source_digests(images, folder)
    needs = {name: digests[name] for name in needed_images(image, images, folder)}
    source = read_dockerfile_source(image, folder, needs)
    if source is None:
        raise UsageError(f"image {image.name}: its source `{image.source}` is not supported by this version yet")
    return msgspec.structs.replace(record, source=source)


def _archive_source(path: Path, image: ImageSpec) -> Source:
    from skyport_wf.image.archive import inspect_archive
    from skyport_wf.image.archive_file import open_archive

    if not path.is_file():
        raise UsageError(f"image {image.name}: there is no archive {path}. Mend `archive` in the image list.")
    with open_archive(path) as stream:
        return Source(kind="archive", digest=inspect_archive(stream).image_id)


def _describe_engine_image(record: BuildRecord, name: str) -> BuildRecord:
    from skyport_wf.engine.connection import connect, read_version
    from skyport_wf.engine.images import find_image, tag_image

    engine = connect()
    found = find_image(engine, name)
    if found is None:
        raise EngineError(f"image {record.name}: the engine has no image {name}. `docker image ls` shows what it has.")
    tag_image(engine, found.id, record.reference)
    source = Source(kind="image", digest=found.id)
    return msgspec.structs.replace(record, source=source, image=found.id, engine=read_version(engine))


def _find_same(shock: ShockClient, record: BuildRecord) -> PublishedNode | None:
    """Return the node that has the image; raise AlreadyPublishedError if the name cannot be had."""
    found = find_published(shock, record.name)
    digest = record.source.digest
    # Of an archive and an engine's image the digest is the image id.
    standing = judge(record.name, found, source_digest=digest, image_id=digest, replace=record.replace)
    for other in standing.others:
        check_ownership(shock, other.id, record.name)
    return standing.same


def _build(
    record: BuildRecord, image: ImageSpec, images: ImageList, folder: Path, output: Callable[[str], None]
) -> BuildRecord:
    from skyport_wf.engine.build import build_image
    from skyport_wf.engine.connection import connect, read_version

    engine = connect()
    _provide(engine, record, needed_images(image, images, folder))
    _log.info("building %s", image.name)
    image_id = build_image(engine, image, build_context(image, folder), output)
    return msgspec.structs.replace(
        record, image=image_id, engine=read_version(engine), base=_base_image(engine, image, folder)
    )


def _provide(engine: APIClient, record: BuildRecord, needs: Sequence[str]) -> None:
    """See that the engine has the images that this one is built on, as they are published."""
    from skyport_wf.engine.images import find_image
    from skyport_wf.steps.pull import fetch

    shock = open_shock(record.shock)
    for name in needs:
        published = find_published(shock, name)
        if published and find_image(engine, published[-1].attributes.id) is None:
            _log.info("%s is built on %s, fetching it from Shock", record.name, name)
            fetch(shock, engine, published[-1].id, name)


def _base_image(engine: APIClient, image: ImageSpec, folder: Path) -> BaseImage | None:
    from skyport_wf.engine.images import find_image
    from skyport_wf.image.dockerfile import SCRATCH

    base = read_dockerfile(image, folder).base
    if base == SCRATCH:
        return None
    found = find_image(engine, base)
    return BaseImage(base, found.id if found else None)
