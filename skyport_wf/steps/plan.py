"""What there is to build, and in which order: from the image list and the files it names, without an engine."""

import graphlib
from pathlib import Path

import msgspec

from skyport_wf.errors import UsageError
from skyport_wf.records import encode_json
from skyport_wf.spec import ImageList, ImageSpec, SourceKind
from skyport_wf.steps.connect import settle
from skyport_wf.steps.source import digest_of, named_images, read_dockerfile_source


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
    archive: str | None
    """The file that it comes from, if it comes from one."""


def order_images(images: ImageList, folder: Path) -> list[ImageSpec]:
    """Return the images, each after those that it is built on.

    Raises UsageError if some are built on each other in a circle.
    """
    needs = {image.name: needed_images(image, images, folder) for image in images.images}
    try:
        order = tuple(graphlib.TopologicalSorter(needs).static_order())
    except graphlib.CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        raise UsageError(f"images are built on each other in a circle: {circle}") from error
    return [images.find(name) for name in order]


def needed_images(image: ImageSpec, images: ImageList, folder: Path) -> tuple[str, ...]:
    """Return the names of the images of the list that `image`'s Dockerfile names."""
    listed = {other.name for other in images.images}
    return tuple(name for name in named_images(image, folder) if name in listed)


def source_digests(images: ImageList, folder: Path) -> dict[str, str]:
    """Return the source digest of each image by name, in building order; empty for one that is not built.

    Raises UsageError for a missing Dockerfile or context, or a circle.
    """
    digests: dict[str, str] = {}
    for image in order_images(images, folder):
        needs = {name: digests[name] for name in needed_images(image, images, folder)}
        source = read_dockerfile_source(image, folder, needs)
        digests[image.name] = source.digest if source else ""
    return digests


def plan_images(images: ImageList, folder: Path) -> list[PlannedImage]:
    """Return what there is to build, each image after those that it is built on.

    folder: what the paths of the image list start from.
    Raises UsageError for a missing Dockerfile or context, or a circle.
    """
    return [_plan(images.find(name), images, folder, digest) for name, digest in source_digests(images, folder).items()]


def _plan(image: ImageSpec, images: ImageList, folder: Path, source_digest: str) -> PlannedImage:
    settings = settle(images.shock, public=image.public)
    return PlannedImage(
        name=image.name,
        key=image.reference.key,
        source=image.source,
        digest=digest_of(encode_json([image, settings, source_digest])),
        needs=needed_images(image, images, folder),
        archive=image.archive and str(folder / image.archive),
    )
