"""The entries of all layers of an archive, as they come by; and whether engines load the image that they make."""

from collections.abc import Callable, Sequence

import msgspec

from skyport_wf.byte_streams import ByteStream
from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive.config_check import check_config
from skyport_wf.image.archive.reader import ArchivedImage, ArchiveReader
from skyport_wf.image.contents import ImageContents
from skyport_wf.image.layers.entries import LayerEntry, LayerError, open_layer, read_entries
from skyport_wf.image.layers.file_index import FileIndex, TooManyFilesError
from skyport_wf.image.layers.loading import LoadProblem, check_layers
from skyport_wf.image.tar.reader import TarReader


class CheckedImage(msgspec.Struct, frozen=True):
    """An image that Docker can load."""

    contents: ImageContents
    warnings: tuple[str, ...]
    """Reasons why other engines may refuse it, or why that is unknown, in sentences."""


def read_layers(
    archive: ArchiveReader, take: Callable[[int, LayerEntry, TarReader], bool]
) -> tuple[ArchivedImage, list[int]]:
    """Read an archive to its end; return the image and the numbers of its layers, the lowest first.

    take: called with the number of a layer, an entry, and its tar, from which the entry's content can be read. Layers
    come in the archive's order, and may be of other images. Returns whether it wants more of the layer.
    Raises ArchiveError if the image is not there, whole, or a layer of it is no tar.
    """
    numbers: dict[str, int] = {}
    broken: dict[int, LayerError] = {}
    for layer in archive.layers():
        number = numbers[layer.name] = len(numbers)
        tar = open_layer(layer.pieces(), name=f"{archive.name}: the layer {layer.name!r}")
        try:
            for entry in read_entries(tar):
                if not take(number, entry, tar):
                    break
        except LayerError as error:
            # It may be no layer at all: whatever is compressed looks like one.
            broken[number] = error
    image = archive.image()
    layers = [numbers[path] for path in image.layers]
    for number in layers:
        if number in broken:
            raise broken[number]
    return image, layers


def check_archive(stream: ByteStream, *, wanted: str = "", platform: str = "") -> CheckedImage:
    """Read an archive to its end, and see whether engines load its image.

    stream: an uncompressed archive; its `name`, if it has one, goes into messages.
    wanted, platform: of the image that is meant, where the archive holds several, as `choose_image` takes them.
    Raises ArchiveError if the image is not there, whole, or if no Docker loads it.
    """
    archive = ArchiveReader(stream, wanted=wanted, platform=platform)
    with FileIndex() as index:
        too_many = ""

        def take(number: int, entry: LayerEntry, _: TarReader) -> bool:
            nonlocal too_many
            try:
                index.add(number, entry)
            except TooManyFilesError as error:
                too_many = str(error)
            return not too_many

        image, layers = read_layers(archive, take)
        problems = check_config(image.config)
        if not too_many:
            try:
                index.stack(layers)
                problems += check_layers(index, image.contents)
            except TooManyFilesError as error:
                too_many = str(error)
    require_loadable(problems, name=archive.name)
    warnings = [f"{problem.by} refuse it: {problem}" for problem in problems]
    if too_many:
        warnings.append(f"whether engines load it is unknown: {too_many}")
    return CheckedImage(image.contents, tuple(warnings))


def require_loadable(problems: Sequence[LoadProblem], *, name: str) -> None:
    """Raise ArchiveError if one of the problems keeps Docker from loading an image.

    name: the archive's, for messages.
    """
    refusals = [problem for problem in problems if not problem.by]
    if refusals:
        more = f" (and {len(refusals) - 1} more of its kind)" if len(refusals) > 1 else ""
        raise ArchiveError(
            f"{name} cannot be loaded by Docker: {refusals[0]}{more}. Build the image with another tool."
        )
