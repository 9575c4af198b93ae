"""Read a docker archive as it streams by: any layout, in one pass, its layers checked against the image's config.

Layouts seen: `ID/layer.tar` with duplicates as links (Docker up to 24), an OCI layout with `manifest.json` beside it
(Docker 25 and later), the same with compressed layers (containerd), `DIGEST.tar` (podman, skopeo, this package).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import msgspec

from skyport_wf.errors import ArchiveError
from skyport_wf.formatting import count
from skyport_wf.image.archive.formats import recognise_format
from skyport_wf.image.archive.layer_file import LayerFile
from skyport_wf.image.archive.manifest import ImageConfig, ManifestEntry, parse_config, parse_manifest, read_contents
from skyport_wf.image.archive.tar_reader import ByteStream, Member, TarReader, stream_name
from skyport_wf.image.archive.unpacking import LimitedStream, UnpackingLimit
from skyport_wf.image.contents import ImageContents, Layer

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
    """Read a docker archive to its end and return what is in it.

    stream: an uncompressed docker archive; its `name`, if it has one, goes into messages.
    Raises ArchiveError if it is not a whole archive of exactly one image.
    """
    archive = ArchiveReader(stream)
    for _ in archive.layers():
        pass
    return archive.image().contents


class ArchiveReader:
    """Hands out the layers of an archive as they come by, and the image when all have been read.

    What the files are for is known only at the end, where engines write the manifest. So files that look like layers
    are handed out, JSON documents of a bearable size are kept, and everything else is passed over.
    """

    def __init__(self, stream: ByteStream, *, max_unpacked: int | None = None) -> None:
        """Read the archive in `stream`.

        max_unpacked: bytes that it and its compressed layers may unpack to; MAX_UNPACKED if None.
        """
        name = stream_name(stream)
        self._limit = UnpackingLimit(name, max_unpacked)
        self._tar = TarReader(LimitedStream(stream, self._limit, name=name))
        self._names: set[str] = set()
        self._links: dict[str, str] = {}
        self._layers: dict[str, tuple[str, int]] = {}
        self._documents: dict[str, bytes] = {}
        self._passed_over: dict[str, str] = {}

    def layers(self) -> Iterator[LayerFile]:
        """Yield each file that may be a layer; what the caller does not read of it is read through."""
        for member in self._tar:
            if member.kind != "folder":
                self._refuse_second(member.name)
            if member.kind == "link":
                self._links[member.name] = member.target
            elif member.kind == "file":
                yield from self._file(member)

    def image(self, *, base: Sequence[Layer] = ()) -> ArchivedImage:
        """Return the image, after all `layers`.

        base: of a thin archive, the layers of the image that it is on; it may lack their files.
        Raises ArchiveError if the archive does not have exactly one image, complete and undamaged.
        """
        entry = self._manifest()
        listed = entry.layers or ()
        lacking = self._lacking(listed)
        if lacking > len(base):
            self._refuse_thin(listed)
        lacking = min(lacking, len(base))
        paths = ("",) * lacking + tuple(self._find(path, self._layers, "layer") for path in listed[lacking:])
        config = self._documents[self._find(entry.config, self._documents, "image config")]
        below = tuple((layer.diff_id, layer.size) for layer in base[:lacking])
        self._check_base(config, tuple(diff_id for diff_id, _ in below))
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

    def error(self, problem: str, advice: str = "Save the image again.") -> ArchiveError:
        """Return the error that says what is wrong with this archive."""
        return self._tar.error(problem, advice)

    def _refuse_second(self, name: str) -> None:
        """Refuse a name that comes twice: readers differ in which of the two they take."""
        if name in self._names:
            raise self.error(f"holds {name} twice")
        self._names.add(name)

    def _file(self, member: Member) -> Iterator[LayerFile]:
        """Hand out, keep or pass over a file, by how it begins."""
        kind = recognise_format(self._tar.peek())
        if kind in ("tar", "gzip") or not member.size:
            layer = LayerFile(self._tar, member, self._limit, compressed=kind == "gzip")
            yield layer
            for _ in layer.pieces():
                pass
            self._layers[member.name] = layer.diff_id, layer.size
        elif kind == "json":
            self._keep_document(member)
        else:
            self._passed_over[member.name] = f"is compressed with {kind}" if kind else "is neither tar nor JSON"

    def _keep_document(self, member: Member) -> None:
        kept = sum(map(len, self._documents.values()))
        if member.size > MAX_DOCUMENT or kept + member.size > MAX_DOCUMENTS:
            self._passed_over[member.name] = f"has {member.size:,} bytes, more than is believable"
            return
        document = b""
        while piece := self._tar.read(member.size):
            document += piece
        self._documents[member.name] = document

    def _manifest(self) -> ManifestEntry:
        if MANIFEST not in self._names:
            raise self._without_manifest()
        document = self._documents[self._find(MANIFEST, self._documents, "manifest")]
        with self._name_in_errors():
            return parse_manifest(document)

    @contextmanager
    def _name_in_errors(self) -> Iterator[None]:
        try:
            yield
        except ArchiveError as error:
            raise ArchiveError(f"{self._tar.name} {error}") from error

    def _without_manifest(self) -> ArchiveError:
        if "oci-layout" in self._names:
            return self.error("is an OCI archive without manifest.json", "Save the image as `docker-archive`.")
        return self.error("is not a docker archive: it has no manifest.json", "Write it with `docker save REPO:TAG`.")

    def _lacking(self, listed: Sequence[str]) -> int:
        """Return how many of the lowest layers have to come from a base: all up to the last that has no file.

        One of them may have a file all the same, if the image has it again further up.
        """
        return max((number for number, path in enumerate(listed, 1) if _plain(path) not in self._names), default=0)

    def _refuse_thin(self, listed: Sequence[str]) -> None:
        """Raise the error that says what a thin archive is, if it is one that came without its base."""
        there = [_plain(path) in self._names for path in listed]
        if there[-1] or not any(there):
            which = f"{there.count(False)} of its {count(len(there), 'layer')}"
            raise self.error(
                f"is incomplete: it lacks {which}, as a thin archive does, which needs its base image",
                "Save the image whole; of a published one, `skyport-wf show NAME` and `pull NAME` fetch the base too.",
            )

    def _check_base(self, config: bytes, lacking: tuple[str, ...]) -> None:
        """Check that the layers that the archive lacks are those that its base has in their place."""
        with self._name_in_errors():
            wanted = (parse_config(config).rootfs.diff_ids or ())[: len(lacking)]
        if wanted != lacking:
            raise self.error("is thin on another image: what should be its base has other layers", "Publish it again.")

    def _find(self, path: str, files: dict[str, bytes] | dict[str, tuple[str, int]], what: str) -> str:
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
            raise self.error(f"is not a docker archive: {path}, its {what}, {why or 'is something else'}")
        raise self.error(f"is incomplete: {path}, its {what}, is missing")


def _plain(path: str) -> str:
    """Return a path of the manifest as the tar's names are."""
    return path.removeprefix("./")
