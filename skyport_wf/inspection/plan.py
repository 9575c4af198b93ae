"""What there is to build, and in which order: from the image list and the files it names, without an engine."""

from pathlib import Path

import msgspec

from skyport_wf.image_list.spec import ImageList, SourceKind
from skyport_wf.publication.connect import settle
from skyport_wf.records.records import encode_json
from skyport_wf.sources.listed import ListedImage, digest_of
from skyport_wf.sources.order import needed_images, source_digests


class PlannedImage(msgspec.Struct, frozen=True):
    """One image of the list, as a workflow engine needs to know it."""

    name: str
    key: str
    """The name as a file name."""
    source: SourceKind
    digest: str
    """Changes with everything that the files and the image list say of it."""
    needs: tuple[str, ...]
    """Names of the images of the list that it is built on."""
    base: str | None
    """The one of them without whose layers it is published, so that it has to be published first."""
    archive: str | None
    """The file that it comes from, if it comes from one."""


def plan_images(images: ImageList, folder: Path) -> list[PlannedImage]:
    """Return what there is to build, each image after those that it is built on.

    Of what an address names that cannot be reached, the last copy will do, so that a dry run works offline.
    folder: what the paths of the image list start from.
    Raises UsageError for a missing Dockerfile, context or script, or a circle.
    """
    digests = source_digests(images, folder, last_copies=True)
    return [_plan(ListedImage(images.find(name), images, folder, True), digest) for name, digest in digests.items()]


def _plan(image: ListedImage, source_digest: str) -> PlannedImage:
    spec = image.spec
    settings = settle(image.images.shock, public=spec.public)
    return PlannedImage(
        name=spec.name,
        key=spec.reference.key,
        source=spec.source,
        digest=digest_of(encode_json([spec, settings.url, settings.public, source_digest])),
        needs=needed_images(image),
        base=next(iter(image.listed((spec.base,))), None) if spec.base else None,
        archive=spec.archive and str(image.folder / spec.archive),
    )
