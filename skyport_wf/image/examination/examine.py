"""Examine the image in an archive, in one pass and in bounded memory: layers, waste, packages."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Final

import msgspec

from skyport_wf.byte_streams import ByteStream
from skyport_wf.image.archive.limits import MAX_UNPACKED
from skyport_wf.image.archive.reader import ArchiveReader
from skyport_wf.image.contents import ImageContents
from skyport_wf.image.examination.packages.catalogue import PackageCatalogue
from skyport_wf.image.examination.packages.operating_system import OperatingSystem
from skyport_wf.image.examination.packages.package import Package
from skyport_wf.image.examination.waste import Waste, find_waste
from skyport_wf.image.layers.entries import open_layer, read_entries
from skyport_wf.image.layers.file_index import FileIndex, TooManyFilesError
from skyport_wf.image.tar.reader import TarReader

MAX_LAYERS: Final = 500
"""Layers above which waste is not counted; engines take 127."""
_BASH: Final = frozenset({b"bin/bash", b"usr/bin/bash"})
"""Where it is; in the second where /bin is a link to /usr/bin."""


class ImageExamination(msgspec.Struct, frozen=True):
    """The contents of an image, as its archive has them."""

    contents: ImageContents
    """The image."""
    config: bytes
    """The config JSON, byte for byte."""
    files: tuple[int, ...]
    """How many files each layer holds, the lowest first; links, folders and devices are not counted."""
    waste: Waste | None
    """None if there are too many files; then the packages are unknown, too."""
    packages: tuple[Package, ...]
    """In order of kind and name."""
    operating_system: OperatingSystem | None
    """None if the image does not say."""
    has_bash: bool
    """False if no layer brings a /bin/bash: no AWE task can start then, as a worker gives it a script for that."""
    notes: tuple[str, ...]
    """Reasons why something is unknown, in sentences."""
    from_bases: tuple[str, ...] = ()
    """Of a thin archive, for each layer that it lacks, the lowest first, the image whose archive has it."""


def examine_archive(
    stream: ByteStream, *, wanted: str = "", index: FileIndex | None = None, max_unpacked: int = MAX_UNPACKED
) -> ImageExamination:
    """Read a docker archive to its end and return all that is in it.

    stream: an uncompressed archive; its `name`, if it has one, goes into messages.
    wanted: the name of the image that is meant, where the archive holds several; REPO:TAG.
    index: an empty one, to be filled and stacked; of no use if there are too many files, and so no waste.
    Raises ArchiveError if it is not a whole archive of exactly one image, or unpacks to more than `max_unpacked` bytes.
    """
    archive = ArchiveReader(stream, wanted=wanted, max_unpacked=max_unpacked)
    with ExitStack() as opened:
        survey = _Survey(index or opened.enter_context(FileIndex()))
        numbers: dict[str, int] = {}
        for layer in archive.layers():
            numbers[layer.name] = len(numbers)
            survey.read(open_layer(layer.pieces(), name=f"{archive.name}: the layer {layer.name!r}"))
        image = archive.image()
        layers = [numbers[path] for path in image.layers]
        waste = survey.find_waste(layers)
    shown = waste.documents if waste else ()
    return ImageExamination(
        contents=image.contents,
        config=image.config,
        files=tuple(survey.files[number] for number in layers),
        waste=waste,
        packages=survey.catalogue.packages(shown),
        operating_system=survey.catalogue.operating_system(shown),
        has_bash=survey.has_bash or waste is None,
        notes=survey.catalogue.notes if waste else (f"waste and packages are unknown: {survey.given_up}",),
    )


class _Survey:
    """The files of the layers, as they come by."""

    def __init__(self, index: FileIndex) -> None:
        self.catalogue = PackageCatalogue()
        self.files: list[int] = []
        self.has_bash = False
        self.given_up = ""
        """Why not all files are known; empty if they are."""
        self._index = index

    def read(self, layer: TarReader) -> None:
        """Take note of all that the next layer does."""
        self.files.append(0)
        if self.given_up:
            return
        try:
            for entry in read_entries(layer):
                document = None
                if entry.kind == "file":
                    self.files[-1] += 1
                    document = self.catalogue.read(entry.path, entry.size, layer.peek)
                self.has_bash |= entry.path in _BASH and entry.kind not in ("folder", "deleted", "emptied")
                self._index.add(len(self.files) - 1, entry, layer, document=document)
        except TooManyFilesError as error:
            self._give_up(str(error))

    def find_waste(self, layers: list[int]) -> Waste | None:
        """Return the waste of the layers, the lowest first; None if there are too many files."""
        if len(layers) > MAX_LAYERS:
            self._give_up(f"it has {len(layers):,} layers, and no engine loads more than 127")
        if self.given_up:
            return None
        try:
            self._index.stack(layers)
        except TooManyFilesError as error:
            self._give_up(str(error))
            return None
        return find_waste(self._index, len(layers))

    def _give_up(self, reason: str) -> None:
        self.given_up = reason
        # Its paths may fill the disk, and are of no use now.
        self._index.close()
