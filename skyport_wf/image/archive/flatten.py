"""Make one layer of an image, from its archive alone: what lower layers hold but the image no longer shows is gone.

The same image gives the same layer and the same id, whichever engine exported it, every time. No container is made, so
the files that an engine puts into one, such as /etc/hosts, stay as the layers have them.
"""

import hashlib
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from skyport_wf.byte_streams import PIECE, ByteStream, pieces_of
from skyport_wf.decoding import decode_msgpack
from skyport_wf.image.archive.go_json import read_like_go
from skyport_wf.image.archive.layers import read_layers
from skyport_wf.image.archive.layout import END, config_name, layer_name, padding, tar_file, tar_header
from skyport_wf.image.archive.manifest import image_id, manifest_document
from skyport_wf.image.archive.reader import MANIFEST, ArchiveReader
from skyport_wf.image.layers.entries import EntryKind, LayerEntry
from skyport_wf.image.layers.file_index import FileIndex
from skyport_wf.image.layers.loading import check_layers
from skyport_wf.image.layers.stacking import PlacedEntry, path_bytes, path_of
from skyport_wf.image.tar.reader import XATTR, TarReader
from skyport_wf.image.tar.sparse import SPARSE
from skyport_wf.image.tar.writer import NewMember, write_header
from skyport_wf.image_list.reference import ImageReference
from skyport_wf.output_file import OutputFile, scratch_file

_TYPES: Final[Mapping[EntryKind, bytes]] = {
    "file": tarfile.REGTYPE,
    "folder": tarfile.DIRTYPE,
    "symbolic link": tarfile.SYMTYPE,
    "character device": tarfile.CHRTYPE,
    "block device": tarfile.BLKTYPE,
    "named pipe": tarfile.FIFOTYPE,
}
_CONFIG: Final = (
    "architecture", "author", "comment", "config", "created", "os", "os.features", "os.version", "variant",
)  # fmt: skip
"""Fields that stay. The others tell how the layers were built, which are gone (OCI image-spec, config.md; `comment` is
Docker's)."""


class FlatArchive:
    """An uncompressed docker archive, in canonical layout, of an image with one layer."""

    def __init__(self, files: "_Files", config: bytes, name: str) -> None:
        layer, size = hashlib.sha256(), 0
        for piece in files.layer():
            layer.update(piece)
            size += len(piece)
        self._files = files
        self._size = size
        self._diff_id = f"sha256:{layer.hexdigest()}"
        self._config = _flat_config(config, self._diff_id)
        self._name = name

    @property
    def image_id(self) -> str:
        """The config digest."""
        return image_id(self._config)

    def pieces(self) -> Iterator[bytes]:
        """Yield the archive."""
        config, layer = config_name(self.image_id), layer_name(self._diff_id)
        yield tar_file(MANIFEST, manifest_document(config=config, name=self._name, layers=(layer,)))
        yield tar_file(config, self._config) + tar_header(layer, self._size)
        yield from self._files.layer()
        yield padding(self._size) + END


@contextmanager
def flattened(source: ByteStream, reference: ImageReference, folder: Path) -> Iterator[FlatArchive]:
    """Make an image of one layer that shows the files of the image in `source`, and has its config.

    source: an uncompressed archive, any layout. Of several images the one of this name counts.
    reference: the one name that the image gets.
    folder: whose disk takes the content of all layers, in a file without a name, for as long as the `with` statement.
    Raises ArchiveError if the archive is damaged, or holds something that no layer can have; SkyportError if the folder
    is full or not writable. Exceptions of `source` pass through.
    """
    with scratch_file(folder) as scratch, FileIndex() as index:
        files = _Files(index, scratch)
        archive = ArchiveReader(source, wanted=str(reference))
        image, layers = read_layers(archive, files.take)
        index.stack(layers)
        check_layers(index)  # for the corrections that it makes
        try:
            yield FlatArchive(files, image.config, str(reference))
        except _NotTakenError as error:
            raise archive.error(str(error)) from error


class _NotTakenError(Exception):
    """A file that cannot be in the new layer."""


class _Files:
    """The files of all layers: their paths in the index, their content in a scratch file."""

    def __init__(self, index: FileIndex, scratch: OutputFile) -> None:
        self._index = index
        self._scratch = scratch

    def take(self, number: int, entry: LayerEntry, tar: TarReader) -> bool:
        """Keep an entry of the layer with this number."""
        for flaw in entry.flaws:
            if not flaw.by:
                raise tar.error(f"has {entry.path.decode(errors='backslashreplace')!r}: {flaw.reason}")
        records = {key: value for key, value in tar.member.records.items() if key.startswith((XATTR, SPARSE))}
        if b"." in (time := tar.member.records.get(b"mtime", b"")):
            records[b"mtime"] = time
        document = None
        if records or entry.size:
            # In front of the content, and for most files only the length of nothing.
            document = self._scratch.size
            head = msgspec.msgpack.encode([*records.items()])
            self._scratch.write(len(head).to_bytes(4) + head)
            for piece in pieces_of(tar):
                self._scratch.write(piece)
        self._index.add(number, entry, document=document)
        return True

    def layer(self) -> Iterator[bytes]:
        """Yield the tar of the files that the image shows, by path."""
        for entry, first in self._index.linked_names():
            yield from self._member(entry, first)
        yield END

    def _member(self, entry: PlacedEntry, first: bytes) -> Iterator[bytes]:
        name = path_bytes(entry.key) + (b"/" if entry.kind == "folder" else b"")
        if entry.kind not in _TYPES:
            other = self._index.in_layer(path_bytes(entry.target), place=entry.place, before=entry.number)
            if other and other.kind == "deleted":
                return  # another name of a whiteout, which in an engine's file system is a file, too
            raise _NotTakenError(
                f"holds {path_of(entry.key)!r}, a {entry.kind} to a file that is not there, which no layer can have"
            )
        kind, target, records, start = _TYPES[entry.kind], b"", {}, 0
        if entry.document is not None:
            length = int.from_bytes(os.pread(self._scratch.descriptor, 4, entry.document))
            start = entry.document + 4 + length
            head = os.pread(self._scratch.descriptor, length, entry.document + 4)
            records = dict(decode_msgpack(head, list[tuple[bytes, bytes]]))
        size = entry.size
        if first != entry.key:
            # All names of a file are one, whichever of them its layer had first.
            kind, target, size, records = tarfile.LNKTYPE, path_bytes(first), 0, {}
        elif entry.kind == "symbolic link":
            target = entry.target
        if SPARSE + b"name" in records:
            records[SPARSE + b"name"] = name
        major, _, minor = entry.target.partition(b":") if "device" in entry.kind else (b"0", b"", b"0")
        yield write_header(
            NewMember(
                name or b"./", kind, size, target, entry.mode, entry.uid, entry.gid, entry.mtime,
                (int(major), int(minor)), records,
            )
        )  # fmt: skip
        for at in range(start, start + size, PIECE):
            yield os.pread(self._scratch.descriptor, min(PIECE, start + size - at), at)
        yield padding(size)


def _flat_config(config: bytes, diff_id: str) -> bytes:
    """Return the config JSON of an image that has one layer instead of the ones it had."""
    # Docker reads the names of fields whatever their case.
    old: dict[str, Any] = {}
    for name, value in read_like_go(config).items():
        if value is not None or name.lower() not in old:
            old[name.lower()] = value
    step = {"created_by": f"flattened {image_id(config)}"}
    if old.get("created"):
        step["created"] = old["created"]
    # The message of a commit is in the last step, and engines show it as the image's.
    last = (old.get("history") or [None])[-1]
    if isinstance(last, dict) and last.get("comment"):
        step["comment"] = last["comment"]
    new = {name: old[name] for name in _CONFIG if name in old}
    return msgspec.json.encode(
        {**new, "history": [step], "rootfs": {"type": "layers", "diff_ids": [diff_id]}}, order="sorted"
    )
