"""The archive of an image in a registry: its layers are joined as they come, and those in gzip stay as they are."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType

from skyport_wf.byte_streams import PIECE, ChunkReader, pieces_of
from skyport_wf.image.archive.compression import open_gzip_member, recognise_format
from skyport_wf.image.archive.joined import GzippedLayer, JoinedArchive
from skyport_wf.image.archive.layer_scan import compress_layer, scan_layer
from skyport_wf.image.contents import SavedArchive
from skyport_wf.image.examination.examine import examine_loadable
from skyport_wf.image.tar.header import BLOCK
from skyport_wf.image_list.reference import ImageReference
from skyport_wf.image_list.registry_address import parse_registry_address
from skyport_wf.output_file import OutputFile, scratch_file
from skyport_wf.progress import UNSEEN, Progress
from skyport_wf.records.source import RegistryOrigin
from skyport_wf.retries import retrying
from skyport_wf.sources.remote.registry_images import RegistryImage, find_image, foresee_size, read_blob
from skyport_wf.sources.remote.registry_session import RegistrySession


class RegistryArchive:
    """The archive of an image in a registry, to be read as often as needed. Use it in a `with` statement."""

    def __init__(self, origin: RegistryOrigin, reference: ImageReference, progress: Progress = UNSEEN) -> None:
        """Open the very image that the name stood for when it was resolved.

        reference: the name that the image gets.
        progress: called with the bytes of each piece of the archive that is sent.
        Raises TemporaryError, SkyportError if the registry does not have it any more.
        """
        named = parse_registry_address(origin.name)
        self._address = parse_registry_address(f"{named.host}/{named.repository}@{origin.manifest_digest}")
        self._reference = reference
        self._progress = progress
        self._archive: JoinedArchive
        self._platform = origin.platform
        self._image: RegistryImage | None = None
        self._foresees = True
        self._opened = ExitStack()
        self._session = self._opened.enter_context(RegistrySession(self._address))
        self._layer_file = ExitStack()

    def __enter__(self) -> RegistryArchive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._layer_file.close()
        self._opened.close()

    @property
    def image(self) -> RegistryImage:
        """Manifest and config."""
        self._image = self._image or retrying(lambda: find_image(self._session, self._address, platform=self._platform))
        return self._image

    @property
    def about_size(self) -> int:
        """About how many bytes the archive will have, and rather too many."""
        manifest = self.image.parsed_manifest
        return sum(manifest.sizes[layer] for layer in manifest.layers) + PIECE

    @property
    def image_id(self) -> str:
        """The image's config digest."""
        return self.image.image_id

    @property
    def manifest(self) -> str:
        """The manifest by which the registry has it, JSON."""
        return self.image.manifest

    @property
    def saved(self) -> SavedArchive:
        """Contents and digests of the archive, and the packages in its image, known once it has been read."""
        return self._archive.result

    def open(self) -> Iterator[bytes]:
        """Yield the archive, to be sent."""
        for piece in self._begin():
            yield piece
            self._progress(len(piece))

    def read_through(self) -> SavedArchive:
        """Read the archive, and return what it has turned out to be."""
        for _ in self._begin():
            pass
        return self.saved

    def _begin(self) -> JoinedArchive:
        diff_ids = self.image.parsed_config.rootfs.diff_ids or ()
        digests = dict(zip(diff_ids, self.image.parsed_manifest.layers, strict=True))
        config, examine = self.image.config.encode(), partial(examine_loadable, wanted=str(self._reference))
        manifest = self.manifest.encode()
        self._archive = JoinedArchive(
            self._reference, config, lambda diff_id: self._layer(digests[diff_id]), examine=examine, manifest=manifest
        )
        return self._archive

    def make_otherwise(self) -> bool:
        """Take no layer's size any more from its last bytes, which may tell another: the archive was wrong.

        From now on each layer is in a file until its size is known, one after the other.
        Returns False if that was so already.
        """
        foresaw, self._foresees = self._foresees, False
        return foresaw

    def _layer(self, digest: str) -> GzippedLayer:
        manifest = self.image.parsed_manifest
        stored = manifest.sizes[digest]

        def read() -> Iterator[bytes]:
            return read_blob(self._session, self._address, digest, stored)

        # The header in front of a layer has its uncompressed size.
        if self._foresees and digest in manifest.gzipped and (size := foresee_size(self._session, digest, stored)):
            return GzippedLayer(size, read, digest)
        return self._spooled(read())

    def _spooled(self, pieces: Iterator[bytes]) -> GzippedLayer:
        """Return a layer by way of a file, as gzip. The file goes when the next one is needed."""
        self._layer_file.close()
        file = self._layer_file.enter_context(scratch_file(Path(tempfile.gettempdir())))
        stream = ChunkReader(pieces)
        head = stream.read(BLOCK)
        arriving = itertools.chain([head], pieces_of(stream))
        if recognise_format(head) != "gzip":
            return self._compressed(arriving, file)
        kept = _written(arriving, file)
        if facts := scan_layer(ChunkReader(kept)):
            return GzippedLayer(facts.size, lambda: _read_file(file))
        # It is gzip that Docker does not read, and need not have come to its end yet.
        for _ in kept:
            pass
        other = self._layer_file.enter_context(scratch_file(Path(tempfile.gettempdir())))
        return self._compressed(_read_file(file), other)

    def _compressed(self, pieces: Iterator[bytes], file: OutputFile) -> GzippedLayer:
        with ExitStack() as member:
            facts = compress_layer(ChunkReader(pieces), lambda: member.enter_context(open_gzip_member(file)))
        return GzippedLayer(facts.size, lambda: _read_file(file))


def _written(pieces: Iterator[bytes], file: OutputFile) -> Iterator[bytes]:
    for piece in pieces:
        file.write(piece)
        yield piece


def _read_file(file: OutputFile) -> Iterator[bytes]:
    for start in range(0, file.size, PIECE):
        yield os.pread(file.descriptor, PIECE, start)
