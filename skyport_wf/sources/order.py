"""Which images are built on which, and what each is made from: without an engine."""

import graphlib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from skyport_wf.errors import UsageError
from skyport_wf.image_list.spec import ImageList, ImageSpec
from skyport_wf.sources import dockerfile, snapshot
from skyport_wf.sources.listed import ListedImage


def order_images(images: ImageList, folder: Path, *, last_copies: bool = False) -> list[ImageSpec]:
    """Return the images, each after those that it is built on.

    folder: what the paths of the image list start from.
    last_copies: whether those will do of what an address names that cannot be reached.
    Raises UsageError if some are built on each other in a circle.
    """
    needs = {image.name: needed_images(ListedImage(image, images, folder, last_copies)) for image in images.images}
    try:
        order = tuple(graphlib.TopologicalSorter(needs).static_order())
    except graphlib.CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        raise UsageError(f"images are built on each other in a circle: {circle}") from error
    return [images.find(name) for name in order]


def with_needs(images: ImageList, folder: Path, names: Iterable[str]) -> ImageList:
    """Return the list with only the named images and those that they are built on: addresses of others are not asked.

    folder: what the paths of the image list start from.
    """
    wanted: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in wanted:
            wanted.add(name)
            todo += needed_images(ListedImage(images.find(name), images, folder))
    return msgspec.structs.replace(images, images=tuple(image for image in images.images if image.name in wanted))


def needed_images(image: ListedImage) -> tuple[str, ...]:
    """Return the names of the images of the list that the image is built on."""
    base = image.listed((image.spec.base,)) if image.spec.base else ()
    return tuple(dict.fromkeys((*_built_on(image), *base)))


def _built_on(image: ListedImage) -> tuple[str, ...]:
    match image.spec.source:
        case "dockerfile":
            return dockerfile.needed(image)
        case "snapshot":
            return snapshot.needed(image)
        case _:
            return ()


def source_digests(images: ImageList, folder: Path, *, last_copies: bool = False) -> dict[str, str]:
    """Return the source digest of each image by name, in building order; empty where only an engine could tell.

    folder: what the paths of the image list start from.
    last_copies: whether those will do of what an address names that cannot be reached.
    Raises UsageError for a missing Dockerfile, context or script, or a circle.
    """
    digests: dict[str, str] = {}
    for spec in order_images(images, folder, last_copies=last_copies):
        digests[spec.name] = _source_digest(ListedImage(spec, images, folder, last_copies), digests)
    return digests


def _source_digest(image: ListedImage, digests: dict[str, str]) -> str:
    needs = {name: digests[name] for name in needed_images(image)}
    match image.spec.source:
        case "dockerfile":
            return image.final(dockerfile.describe(image, needs)).digest
        case "snapshot":
            return image.final(snapshot.describe(image, needs)).digest
        case _:
            return ""
