"""Examine the image in an archive, in one pass and in bounded memory: layers, waste, packages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Final

import msgspec

from skyport_wf.byte_streams import ByteStream, stream_name
from skyport_wf.formatting import printable
from skyport_wf.image.archive.config_check import check_config
from skyport_wf.image.archive.layers import read_layers, require_loadable
from skyport_wf.image.archive.limits import MAX_UNPACKED
from skyport_wf.image.archive.reader import ArchiveReader
from skyport_wf.image.contents import ImageContents
from skyport_wf.image.examination.linked_databases import file_at, find_linked
from skyport_wf.image.examination.package_list import PackageList, pack
from skyport_wf.image.examination.packages.catalogue import LOGS, PackageCatalogue
from skyport_wf.image.examination.packages.operating_system import PLACES, OperatingSystem
from skyport_wf.image.examination.packages.package import Package
from skyport_wf.image.examination.waste import Waste, find_waste
from skyport_wf.image.layers.entries import LayerEntry
from skyport_wf.image.layers.file_index import MAX_PATHS, FileIndex, TooManyFilesError
from skyport_wf.image.layers.links import follow
from skyport_wf.image.layers.loading import LoadProblem, check_layers
from skyport_wf.image.layers.stacking import path_of
from skyport_wf.image.tar.reader import TarReader

MAX_LAYERS: Final = 500
"""Layers above which waste is not counted; engines take 127."""
_BASH: Final = b"bin/bash"
_STORES: Final = {
    b"gnu/store": "Guix",
    b"nix/store": "Nix",
    b"var/lib/pacman/local": "pacman",
    b"var/db/pkg": "Portage",
    b"usr/lib/opkg/status": "opkg",
    b"var/lib/opkg/status": "opkg",
    b"var/db/xbps/pkgdb-0.38.plist": "xbps",
    b"home/linuxbrew/.linuxbrew/Cellar": "Homebrew",
    b"var/lib/chisel/manifest.wall": "Chisel",
}
"""Where package managers have what is in no list: folders, or files."""
_STORE_OF_SPACK: Final = b"/.spack-db/index.json"
"""The end of its path: Spack may be anywhere."""
_MOST_STORES: Final = 100


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
    """False if there is no program /bin/bash: no AWE task can start then, as a worker gives it a script for that."""
    notes: tuple[str, ...]
    """Reasons why something is unknown, in sentences."""
    problems: tuple[LoadProblem, ...]
    """Reasons why engines refuse to load it; only those in its config if there are too many files to tell."""
    from_bases: tuple[str, ...] = ()
    """Of a thin archive, for each layer that it lacks, the lowest first, the image whose archive has it."""
    base: str = ""
    """The image that it is built on, as far as its node says; the archive does not."""

    @property
    def listed(self) -> PackageList:
        """The packages, as they are kept with a published image."""
        return PackageList(self.contents.image_id, self.packages, self.operating_system, self.notes, self.has_bash)


def examine_archive(
    stream: ByteStream,
    *,
    wanted: str = "",
    image_id: str = "",
    index: FileIndex | None = None,
    max_unpacked: int = MAX_UNPACKED,
    known: Mapping[str, str] | None = None,
) -> ImageExamination:
    """Read a docker archive to its end and return all that is in it.

    stream: an uncompressed archive; its `name`, if it has one, goes into messages.
    wanted, image_id: of the image that is meant, where the archive holds several, as `choose_image` takes them.
    known: as `ArchiveReader` takes it.
    index: an empty one, to be filled and stacked; of no use if there are too many files, and so no waste.
    Raises ArchiveError if it is not a whole archive of exactly one image, or unpacks to more than `max_unpacked` bytes.
    """
    archive = ArchiveReader(stream, wanted=wanted, image_id=image_id, max_unpacked=max_unpacked, known=known)
    with ExitStack() as opened:
        survey = _Survey(index or opened.enter_context(FileIndex()))
        image, layers = read_layers(archive, survey.take)
        problems = check_config(image.config)
        if survey.stack(layers):
            problems += check_layers(survey.index, image.contents)
            waste = find_waste(survey.index, len(layers), behind=survey.catalogue.to_look_at)
            linked, unread = find_linked(survey.index, survey.catalogue, waste)
            has_bash, shown = _has_bash(survey.index), [*survey.catalogue.own(waste.documents), *linked]
            system, unnamed = _operating_system(survey)
            missing = (*unread, *_unread_logs(survey.index), *unnamed, *_unlisted_stores(survey))
            notes = (*map(_note, problems), *survey.catalogue.notes, *missing)
        else:
            waste, has_bash, shown, system = None, True, [], None
            notes = (*map(_note, problems), f"waste and packages are unknown: {survey.given_up}")
    return ImageExamination(
        contents=image.contents,
        config=image.config,
        files=tuple(survey.files[number] for number in layers),
        waste=waste,
        packages=survey.catalogue.packages(shown),
        operating_system=system,
        has_bash=has_bash,
        notes=notes,
        problems=tuple(problems),
    )


def examine_loadable(
    stream: ByteStream, *, wanted: str, known: Mapping[str, str] | None = None
) -> tuple[ImageContents, str]:
    """Return an image with the packed list of its packages, as `examine_archive` finds them.

    known: as `ArchiveReader` takes it.
    Raises ArchiveError, too, if no Docker loads it.
    """
    found = examine_archive(stream, wanted=wanted, known=known)
    require_loadable(found.problems, name=stream_name(stream) or wanted)
    return found.contents, pack(found.listed)


def _operating_system(survey: _Survey) -> tuple[OperatingSystem | None, list[str]]:
    """Return the distribution that the image says it is of, and notes on files that may say it and were not read."""
    notes: list[str] = []
    for path in PLACES:
        file = file_at(survey.index, path)
        if file is None or file.kind != "file":
            continue
        if file.document is None or not survey.catalogue.is_whole(file.document):
            shown = path.decode()
            notes.append(f"{shown} was not read for the distribution: it is a link to {path_of(file.key)}")
        elif found := survey.catalogue.operating_system([file.document]):
            return found, []
    return None, notes


def _unread_logs(index: FileIndex) -> Iterator[str]:
    """Yield a note for each database beside which there is more that was not read."""
    found = (file_at(index, path) for path in LOGS)
    # One folder may be a link to another.
    for at in {path_of(file.key): None for file in found if file and file.kind == "file" and file.size}:
        yield f"{at} was not read for packages: there may be more than its database names"


def _unlisted_stores(survey: _Survey) -> Iterator[str]:
    """Yield a note for each package manager and place whose packages are in no list."""
    # One place may be a link to another.
    told = set()
    for path, whose in survey.stores.items():
        found = follow(path, survey.index.lookup)
        if found and found not in told and _holds_something(survey.index, found):
            told.add(found)
            shown = printable(path.decode(errors="backslashreplace"))
            yield f"packages of {whose} are not listed: it has them in /{shown}"


def _holds_something(index: FileIndex, path: bytes) -> bool:
    """Return whether the image shows a file at a path without links, or anything in a folder there."""
    file = file_at(index, path)
    return bool(file and file.size) or next(index.below(path, most=MAX_PATHS), None) is not None


def _has_bash(index: FileIndex) -> bool:
    """Return whether the kernel finds a program at /bin/bash, links followed, all layers together."""
    program = file_at(index, _BASH)
    return program is not None and program.kind == "file" and program.size > 0 and bool(program.mode & 0o111)


def _note(problem: LoadProblem) -> str:
    return f"{problem.by} refuse to load it: {problem}" if problem.by else f"Docker cannot load it: {problem}"


class _Survey:
    """The files of the layers, as they come by."""

    def __init__(self, index: FileIndex) -> None:
        self.index = index
        self.catalogue = PackageCatalogue()
        self.files: Counter[int] = Counter()
        self.stores = dict(_STORES)
        self.given_up = ""
        """The reason why not all files are known; empty if they are."""

    def take(self, number: int, entry: LayerEntry, layer: TarReader) -> bool:
        """Take note of an entry of the layer with this number."""
        if self.given_up:
            return False
        document = None
        if entry.kind == "file":
            self.files[number] += 1
            document = self.catalogue.read(entry.path, entry.size, layer.peek)
            if entry.path.endswith(_STORE_OF_SPACK) and len(self.stores) < _MOST_STORES:
                self.stores[entry.path] = "Spack"
        try:
            self.index.add(number, entry, layer, document=document)
        except TooManyFilesError as error:
            self._give_up(str(error))
        return not self.given_up

    def stack(self, layers: list[int]) -> bool:
        """Stack the image's layers, the lowest first; return False if there are too many files."""
        if len(layers) > MAX_LAYERS:
            self._give_up(f"it has {len(layers):,} layers, and no engine loads more than 127")
        try:
            if not self.given_up:
                self.index.stack(layers)
        except TooManyFilesError as error:
            self._give_up(str(error))
        return not self.given_up

    def _give_up(self, reason: str) -> None:
        self.given_up = reason
        # Its paths may fill the disk, and are of no use now.
        self.index.close()
