"""Read a docker archive as it streams by: any layout, in one pass, its layers checked against the image's config.

Layouts seen: `ID/layer.tar` with duplicates as links (Docker up to 24), an OCI layout with `manifest.json` beside it
(Docker 25 and later), the same with compressed layers (containerd), `DIGEST.tar` (podman, skopeo, this package).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import msgspec

from skyport_wf.byte_streams import ByteStream, CountedStream, stream_name
from skyport_wf.errors import ArchiveError
from skyport_wf.formatting import count
from skyport_wf.image.archive.compression import recognise_format
from skyport_wf.image.archive.layer_file import LayerFile
from skyport_wf.image.archive.limits import UnpackingLimit
from skyport_wf.image.archive.manifest import ImageConfig, ManifestEntry, parse_config, parse_manifest, read_contents
from skyport_wf.image.archive.members import POLICY, read_members
from skyport_wf.image.contents import ImageContents, Layer
from skyport_wf.image.tar.header import BLOCK
from skyport_wf.image.tar.reader import TarReader

MANIFEST: Final = "manifest.json"
MAX_DOCUMENT = 4 << 20
"""Bytes of a manifest or config: real ones have 1,000 to 100,000."""
MAX_DOCUMENTS = 16 << 20
"""Bytes of all JSON documents together, any of which may turn out to be the config."""
_MAX_LINKS = 8


class ArchivedImage(msgspec.Struct, frozen=True):
    """The image of an archive, once all of the archive has been read."""

    contents: ImageContents
    """The image."""
    config: bytes
    """The config JSON, byte for byte."""
    layers: tuple[str, ...]
    """Path in the archive of each layer's file, links resolved, bottom first; empty for one that only its base has."""


def inspect_archive(stream: ByteStream) -> ImageContents:
    """Read a docker archive to its end and return its contents.

    stream: an uncompressed docker archive; its `name`, if it has one, goes into messages.
    Raises ArchiveError if it is not a whole archive of exactly one image.
    """
    archive = ArchiveReader(stream)
    for _ in archive.layers():
        pass
    return archive.image().contents


class ArchiveReader:
    """Hands out the layers of an archive as they come by, and the image when all have been read.

    Only at the end, where engines write the manifest, is known which file is which. So files that look like layers
    are handed out, JSON documents of a bearable size are kept, and everything else is passed over.
    """

    def __init__(self, stream: ByteStream, *, max_unpacked: int | None = None) -> None:
        """Read the archive in `stream`.

        max_unpacked: bytes that it and its compressed layers may unpack to; MAX_UNPACKED if None.
        """
        self.name = stream_name(stream) or "the archive"
        self._limit = UnpackingLimit(self.name, max_unpacked)
        self._tar = TarReader(CountedStream(stream, self._limit.take), POLICY, name=self.name)
        self._names: set[str] = set()
        self._links: dict[str, str] = {}
        self._layers: dict[str, tuple[str, int]] = {}
        self._documents: dict[str, bytes] = {}
        self._passed_over: dict[str, str] = {}

    def layers(self) -> Iterator[LayerFile]:
        """Yield each file that may be a layer; the part of it that the caller does not read is read through."""
        for member in read_members(self._tar):
            if member.kind == "folder":
                continue
            if member.name in self._names:
                # Readers differ in which of the two they take.
                raise self.error(f"holds {member.name} twice")
            self._names.add(member.name)
            if member.kind == "link":
                self._links[member.name] = member.target
                continue
            kind = recognise_format(self._tar.peek(BLOCK))
            # A file without a byte is an empty layer: Docker's own reader of tars takes it for one.
            if kind in ("tar", "gzip") or not member.size:
                layer = LayerFile(self._tar, member.name, member.size, self._limit, compressed=kind == "gzip")
                yield layer
                for _ in layer.pieces():
                    pass
                self._layers[member.name] = layer.diff_id, layer.size
            elif kind == "json":
                kept = sum(map(len, self._documents.values()))
                if member.size > MAX_DOCUMENT or kept + member.size > MAX_DOCUMENTS:
                    self._passed_over[member.name] = f"has {member.size:,} bytes, more than is believable"
                else:
                    self._documents[member.name] = self._tar.peek(member.size)
            else:
                self._passed_over[member.name] = f"is compressed with {kind}" if kind else "is neither tar nor JSON"

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
            wanted = (parse_config(config).rootfs.diff_ids or ())[:lacking]
        if wanted != tuple(diff_id for diff_id, _ in below):
            raise self.error("is thin on another image: what should be its base has other layers", "Publish it again.")
        layers = below + tuple(self._layers[path] for path in paths[lacking:])
        with self._name_in_errors():
            return ArchivedImage(read_contents(entry, config, layers), config, paths)

    def head(self) -> tuple[ManifestEntry, bytes, ImageConfig] | None:
        """Return the manifest's image and its config, as bytes and as value, if both have come by already."""
        if MANIFEST not in self._documents:
            return None
        entry = self._manifest()
        document = self._documents.get(entry.config)
        if document is None:
            return None
        with self._name_in_errors():
            return entry, document, parse_config(document)

    def error(self, problem: str, advice: str | None = None) -> ArchiveError:
        """Return the error that says what is wrong with this archive."""
        return self._tar.error(problem, advice)

    def _manifest(self) -> ManifestEntry:
        if MANIFEST in self._names:
            document = self._documents[self._find(MANIFEST, self._documents, "manifest")]
            with self._name_in_errors():
                return parse_manifest(document)
        self._check_end()
        if "oci-layout" in self._names:
            raise self.error("is an OCI archive without manifest.json", "Save the image as `docker-archive`.")
        raise self.error("is not a docker archive: it has no manifest.json", "Write it with `docker save REPO:TAG`.")

    @contextmanager
    def _name_in_errors(self) -> Iterator[None]:
        try:
            yield
        except ArchiveError as error:
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
        why = self._passed_over.get(name)
        if why or name in self._names:
            raise self.error(f"is not a docker archive: {path}, its {role}, {why or 'is something else'}")
        self._check_end()
        raise self.error(f"is incomplete: {path}, its {role}, is missing")

    def _check_end(self) -> None:
        """Raise ArchiveError if something is missing because the end of the archive is."""
        if not self._tar.ended:
            raise self.error("breaks off before its end")


def _plain(path: str) -> str:
    """Return a path of the manifest as the tar's names are."""
    return path.lstrip("/").removeprefix("./")
