"""All that an archive tells of its image, in one pass and in bounded memory: layers, waste, packages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from skyport_wf.image.archive.layer_file import LayerFile
from skyport_wf.image.archive.reader import ArchiveReader
from skyport_wf.image.archive.tar_reader import ByteStream, stream_name
from skyport_wf.image.archive.unpacking import MAX_UNPACKED
from skyport_wf.image.contents import ImageContents
from skyport_wf.image.examination.file_index import MAX_PATHS, FileIndex, TooManyFilesError
from skyport_wf.image.examination.layer_files import Change, read_changes
from skyport_wf.image.examination.layer_tar import LayerTar
from skyport_wf.image.examination.packages.catalogue import PackageCatalogue
from skyport_wf.image.examination.packages.operating_system import OperatingSystem
from skyport_wf.image.examination.packages.package import Package
from skyport_wf.image.examination.waste import Waste, find_waste

MAX_LAYERS: Final = 500
"""Layers above which waste is not counted; engines take 127."""
_BASH: Final = frozenset({b"bin/bash", b"usr/bin/bash"})
"""Where it is; in the second where /bin is a link to /usr/bin."""


class ImageFindings(msgspec.Struct, frozen=True):
    """What an archive tells of its image."""

    contents: ImageContents
    """The image."""
    config: bytes
    """The config JSON, byte for byte."""
    files: tuple[int, ...]
    """How many files each layer holds, the lowest first; links, folders and devices are not counted."""
    waste: Waste | None
    """None if there are too many files to tell; then packages are not told either."""
    packages: tuple[Package, ...]
    """In order of kind and name."""
    operating_system: OperatingSystem | None
    """None if the image does not say."""
    has_bash: bool
    """False if no layer brings a /bin/bash: no AWE task can start then, as a worker gives it a script for that."""
    notes: tuple[str, ...]
    """What could not be told, and why, in sentences."""
    from_bases: tuple[str, ...] = ()
    """Of a thin archive, for each layer that it lacks, the lowest first, the image whose archive has it."""


class ChangeObserver(Protocol):
    """Someone else who is told what the layers do."""

    def add(self, layer: int, change: Change, tar: LayerTar) -> None:
        """Take note of a change, the last that came of `tar`. Raises TooManyFilesError to end the telling."""

    def stack(self, layers: Sequence[int]) -> None:
        """Take note of the numbers of the layers that make the image, the lowest first, when all have come."""


def examine_archive(
    stream: ByteStream,
    *,
    observer: ChangeObserver | None = None,
    max_unpacked: int = MAX_UNPACKED,
    max_paths: int = MAX_PATHS,
) -> ImageFindings:
    """Read a docker archive to its end and return all that it tells.

    stream: an uncompressed docker archive; its `name`, if it has one, goes into messages.
    observer: is told of all changes, unless the findings have no waste.
    max_paths: how many paths its layers may hold for waste and packages to be told.
    Raises ArchiveError if it is not a whole archive of exactly one image, or unpacks to more than `max_unpacked` bytes.
    """
    with FileIndex(max_paths=max_paths) as index:
        examination = _Examination(stream_name(stream), index, observer)
        return examination.run(ArchiveReader(stream, max_unpacked=max_unpacked))


class _Examination:
    """The state of one pass."""

    def __init__(self, name: str, index: FileIndex, observer: ChangeObserver | None) -> None:
        self._name = name
        self._index = index
        self._observer = observer
        self._catalogue = PackageCatalogue()
        self._numbers: dict[str, int] = {}
        self._files: list[int] = []
        self._given_up = ""
        self._has_bash = False

    def run(self, archive: ArchiveReader) -> ImageFindings:
        for layer in archive.layers():
            self._numbers[layer.name] = len(self._files)
            self._files.append(0)
            self._read(layer)
        image = archive.image()
        numbers = [self._numbers[path] for path in image.layers]
        waste = self._waste(numbers)
        if self._observer:
            self._observer.stack(numbers)
        shown = waste.documents if waste else ()
        notes = self._catalogue.notes if waste else (f"waste and packages are not told: {self._given_up}",)
        return ImageFindings(
            contents=image.contents,
            config=image.config,
            files=tuple(self._files[number] for number in numbers),
            waste=waste,
            packages=self._catalogue.packages(shown),
            operating_system=self._catalogue.operating_system(shown),
            has_bash=self._has_bash or bool(self._given_up),
            notes=notes,
        )

    def _read(self, layer: LayerFile) -> None:
        pieces = layer.pieces()
        if not self._given_up:
            try:
                self._index_changes(LayerTar(pieces, name=f"{self._name}: the layer {layer.name!r}"))
            except TooManyFilesError as error:
                self._give_up(error)
        for _ in pieces:
            pass

    def _index_changes(self, tar: LayerTar) -> None:
        for change in read_changes(tar):
            document = None
            if change.kind == "file":
                self._files[-1] += 1
                document = self._catalogue.read(change.path, change.size, tar.content)
            self._has_bash |= change.path in _BASH and change.kind in ("file", "hard link", "other")
            self._index.add(len(self._files) - 1, change, document)
            if self._observer:
                self._observer.add(len(self._files) - 1, change, tar)

    def _waste(self, numbers: list[int]) -> Waste | None:
        if len(numbers) > MAX_LAYERS:
            self._given_up = f"it has {len(numbers):,} layers, and no engine loads more than 127"
        if self._given_up:
            return None
        try:
            return find_waste(self._index, numbers)
        except TooManyFilesError as error:
            self._give_up(error)
            return None

    def _give_up(self, error: TooManyFilesError) -> None:
        self._given_up = str(error)
        self._index.close()
