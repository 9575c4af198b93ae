"""Read an image's archive as it streams by: any layout, in one pass, its layers checked against the image's config.

Layouts seen: `ID/layer.tar` with duplicates as links (Docker up to 24), an OCI layout with `manifest.json` beside it
(Docker 25 and later) or without (buildx, buildah, skopeo), with compressed layers (containerd), `DIGEST.tar` (podman,
skopeo, this package).
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Final

import msgspec

from skyport_wf.byte_streams import ByteStream, CountedStream, stream_name
from skyport_wf.errors import ArchiveError
from skyport_wf.formatting import count
from skyport_wf.image.archive.compression import can_decompress, recognise_format
from skyport_wf.image.archive.folder import INDEX
from skyport_wf.image.archive.layer_file import LayerFile
from skyport_wf.image.archive.limits import MAX_DOCUMENTS, UnpackingLimit
from skyport_wf.image.archive.manifest import (
    ImageConfig,
    ManifestEntry,
    NamedImage,
    choose_image,
    image_id,
    parse_config,
    parse_manifest,
    read_contents,
)
from skyport_wf.image.archive.members import MAX_HEADERS, POLICY, Member, read_members
from skyport_wf.image.archive.oci import find_images
from skyport_wf.image.contents import ImageContents, Layer
from skyport_wf.image.tar.header import BLOCK
from skyport_wf.image.tar.reader import TarReader

MANIFEST: Final = "manifest.json"
OLD_MANIFEST: Final = "repositories"
"""The file that Docker before 1.10 wrote in place of the manifest; later ones write it, too."""
_MAX_LINKS = 8
_FILE_SYSTEM = frozenset(
    (
        *(".dockerenv", "bin", "boot", "dev", "etc", "home", "lib", "mnt", "opt"),
        *("proc", "root", "run", "sbin", "srv", "sys", "tmp", "usr", "var"),
    )
)
"""Names at the root of a container's file system (Filesystem Hierarchy Standard 3.0); archives have none."""


class ArchivedImage(msgspec.Struct, frozen=True):
    """The image of an archive, once all of the archive has been read."""

    contents: ImageContents
    """The image."""
    config: bytes
    """The config JSON, byte for byte."""
    layers: tuple[str, ...]
    """Path in the archive of each layer's file, links resolved, bottom first; empty for one that only its base has."""


def inspect_archive(stream: ByteStream, *, wanted: str = "") -> ImageContents:
    """Read an archive to its end and return the contents of its image.

    stream: an uncompressed archive; its `name`, if it has one, goes into messages.
    wanted: the name of the image that is meant, where the archive holds several; REPO:TAG.
    Raises ArchiveError if it does not hold exactly one image, whole, or one of that name.
    """
    archive = ArchiveReader(stream, wanted=wanted)
    for _ in archive.layers():
        pass
    return archive.image().contents


class ArchiveReader:
    """Hands out the layers of an archive as they come by, and the image when all have been read.

    Only at the end, where engines write the manifest, is known which file is which. So files that look like layers
    are handed out, JSON documents of a bearable size are kept, and everything else is passed over.
    """

    def __init__(
        self,
        stream: ByteStream,
        *,
        wanted: str = "",
        platform: str = "",
        image_id: str = "",
        max_unpacked: int | None = None,
        known: Mapping[str, str] | None = None,
    ) -> None:
        """Read the archive in `stream`.

        wanted, platform, image_id: name, platform and id of the image that is meant, where the archive holds several,
            as `choose_image` takes them.
        max_unpacked: bytes that it and its compressed layers may unpack to; MAX_UNPACKED if None.
        known: the diff ids of layers that are known to have them, by their names in the archive.
        """
        self.name = stream_name(stream) or "the archive"
        self._limit = UnpackingLimit(self.name, max_unpacked)
        self._tar = TarReader(CountedStream(stream, self._limit.take), POLICY, name=self.name)
        self._wanted = wanted
        self._platform = platform
        self._image_id = image_id
        self._known = known or {}
        self._names: set[str] = set()
        self._links: dict[str, str] = {}
        self._layers: dict[str, tuple[str, int]] = {}
        self._documents: dict[str, bytes] = {}
        self._kept = 0
        self._roots: set[str] = set()
        self._passed = False
        self._passed_over: dict[str, str] = {}
        self._damaged: dict[str, str] = {}

    def layers(self) -> Iterator[LayerFile]:
        """Yield each file that may be a layer; the part of it that the caller does not read is read through."""
        try:
            for member in read_members(self._tar):
                self._check_kind(member.name)
                if member.kind == "file":
                    yield from self._file(member)
                elif member.kind == "link":
                    self._add(member.name)
                    self._links[member.name] = member.target
        except ArchiveError:
            # A file system has much that no archive of an image has, and the first of it is not what is wrong.
            self._check_kind("", at_least=1 if self._tar.headers == MAX_HEADERS else 3)
            raise
        self._check_kind("", at_least=3)
        self._passed = True

    def _file(self, member: Member) -> Iterator[LayerFile]:
        self._add(member.name)
        kind = recognise_format(self._tar.peek(BLOCK))
        # A file without a byte is an empty layer: Docker's own reader of tars takes it for one.
        if kind == "tar" or can_decompress(kind) or not member.size:
            compression = kind if can_decompress(kind) else ""
            diff_id = self._known.get(member.name, "")
            layer = LayerFile(
                self._tar, member.name, member.size, self._limit, compression=compression, diff_id=diff_id
            )
            yield layer
            for _ in layer.pieces():
                pass
            if layer.damage:
                self._damaged[member.name] = layer.damage
            else:
                self._layers[member.name] = layer.diff_id, layer.size
        elif kind == "json":
            self._keep_document(member)
        else:
            self._passed_over[member.name] = f"is compressed with {kind}" if kind else "is neither tar nor JSON"

    def _add(self, name: str) -> None:
        if name in self._names:
            # Readers differ in which of the two they take.
            raise self.error(f"holds {name} twice")
        self._names.add(name)

    def _check_kind(self, name: str, *, at_least: int = 5) -> None:
        """Raise ArchiveError if this is a file system.

        name: of another member.
        at_least: how many folders of a file system's root make one.
        """
        self._roots.update({name.partition("/")[0]} & _FILE_SYSTEM)
        if len(self._roots) >= at_least and not {MANIFEST, INDEX} & self._names:
            raise self.error(
                "is the file system of a container without its image, as `docker export` writes it",
                "Save the image with `docker save REPO:TAG`; or make one with `docker import FILE REPO:TAG`, and list "
                "that as `image`.",
            )

    def image(self, *, base: Sequence[Layer] = ()) -> ArchivedImage:
        """Return the image, after all `layers`.

        base: of a thin archive, the layers of the image that it is on; it may lack their files.
        Raises ArchiveError if the archive does not have exactly one image, complete and undamaged.
        """
        entry = self._manifest()
        listed = entry.layers or ()
        lacking = self._lacking(listed, base)
        paths = ("",) * lacking + tuple(self._find(path, self._layers, "layer") for path in listed[lacking:])
        config = self._documents[self._find(entry.config, self._documents, "image config")]
        below = tuple((layer.diff_id, layer.size) for layer in base[:lacking])
        with self._name_in_errors():
            expected = (parse_config(config).rootfs.diff_ids or ())[:lacking]
        if expected != tuple(diff_id for diff_id, _ in below):
            raise self.error(
                "is a thin image, and the image that should be its base has other layers", "Publish it again."
            )
        layers = below + tuple(self._layers[path] for path in paths[lacking:])
        with self._name_in_errors():
            return ArchivedImage(read_contents(entry, config, layers), config, paths)

    def head(self) -> tuple[ManifestEntry, bytes, ImageConfig] | None:
        """Return the manifest's image and its config, as bytes and as value, if both have come by already.

        None, too, if an index that is still to come may have the image that is meant.
        """
        if MANIFEST not in self._documents:
            return None
        entry = self._manifest()
        document = self._documents.get(entry.config)
        if document is None or self._platform or self._image_id not in ("", image_id(document)):
            return None
        with self._name_in_errors():
            return entry, document, parse_config(document)

    def error(self, problem: str, advice: str | None = None) -> ArchiveError:
        """Return the error that says what is wrong with this archive."""
        return self._tar.error(problem, advice)

    def _keep_document(self, member: Member) -> None:
        if member.size <= MAX_DOCUMENTS:
            self._documents[member.name] = self._tar.peek(member.size)
            self._kept += member.size
        else:
            self._passed_over[member.name] = f"has {member.size:,} bytes, more than is believable"
        while self._kept > MAX_DOCUMENTS:
            # The largest are lists of packages that builders attach, not configs.
            largest = max(self._documents, key=lambda name: len(self._documents[name]))
            size = len(self._documents.pop(largest))
            self._kept -= size
            self._passed_over[largest] = f"has {size:,} bytes, more than is believable"

    def _manifest(self) -> ManifestEntry:
        """Return the image that is meant, as the archive's manifest or index has it."""
        try:
            with self._name_in_errors():
                beside: Sequence[NamedImage] = ()
                if MANIFEST in self._names:
                    entries = parse_manifest(self._documents[self._find(MANIFEST, self._documents, "manifest")])
                    # Engines pass over the index here, so that a damaged one is no harm.
                    with suppress(ArchiveError):
                        beside = find_images(self._documents.get(INDEX, b"{}"), self._documents.get)
                elif INDEX in self._names:
                    index = self._documents[self._find(INDEX, self._documents, "index")]
                    entries = find_images(index, self._documents.get)
                    if any(entry.problem for entry in entries):
                        self._check_end()
                elif OLD_MANIFEST in self._names:
                    raise self.error(
                        "was written by a Docker before 1.10: it has no manifest.json and no image id that engines of "
                        "today know",
                        "Load it with Docker 20.10 (docker load), and publish the image that this makes.",
                    )
                else:
                    raise self._no_archive()
                return choose_image(
                    entries, self._wanted, platform=self._platform, image_id=self._image_id, beside=beside
                )
        except ArchiveError:
            self._check_end()
            raise

    def _no_archive(self) -> ArchiveError:
        """Return the error of a tar without a manifest at its top."""
        tops = {name.partition("/")[0] for name in self._names}
        for folder, document in itertools.product(tops, (MANIFEST, INDEX)):
            if len(tops) == 1 and f"{folder}/{document}" in self._names:
                return self.error(
                    f"is not a docker archive: its {document} is in a folder, {folder}, as if that was packed",
                    "Pack what is in the folder: `tar -C FOLDER -cf FILE .`.",
                )
        return self.error("is not a docker archive: it has no manifest.json", "Write it with `docker save REPO:TAG`.")

    @contextmanager
    def _name_in_errors(self) -> Iterator[None]:
        """Put the archive's name before the errors of those who know only a document of it."""
        try:
            yield
        except ArchiveError as error:
            if str(error).startswith(self.name):
                raise
            raise ArchiveError(f"{self.name} {error}") from error

    def _lacking(self, listed: Sequence[str], base: Sequence[Layer]) -> int:
        """Return how many of the lowest layers have to come from the base: all up to the last that has no file.

        One of them may have a file all the same, if the image has it again further up.
        """
        there = [_plain(path) in self._names for path in listed]
        lacking = max((number for number, found in enumerate(there, 1) if not found), default=0)
        if lacking > len(base) and (there[-1] or not any(there)):
            self._check_end()
            which = f"{there.count(False)} of its {count(len(there), 'layer')}"
            raise self.error(
                f"is incomplete: it lacks {which}, as a thin archive does, which needs its base image",
                "Save the image whole; of a published one, `skyport-wf show NAME` and `pull NAME` fetch the base too.",
            )
        return min(lacking, len(base))

    def _find(self, path: str, files: Mapping[str, object], role: str) -> str:
        """Return the name of the file that `path` means, links followed."""
        name = _plain(path)
        for _ in range(_MAX_LINKS):
            if name in files:
                return name
            if name not in self._links:
                break
            name = self._links[name]
        if name in self._damaged:
            raise self.error(self._damaged[name])
        why = self._passed_over.get(name)
        if why or name in self._names:
            raise self.error(f"is not a docker archive: {path}, its {role}, {why or 'is something else'}")
        self._check_end()
        raise self.error(f"is incomplete: {path}, its {role}, is missing")

    def _check_end(self) -> None:
        """Raise ArchiveError if something is missing because the end of the archive is."""
        if self._passed and not self._tar.ended:
            raise self.error("breaks off before its end")


def _plain(path: str) -> str:
    """Return a path of the manifest as the tar's names are."""
    return path.lstrip("/").removeprefix("./")
