"""Entries of a layer: each adds or changes a file, or deletes one of the layers below.

Unlike the archive around it, a layer may hold anything that a file system can: devices, names that are no UTF-8,
millions of files. Nothing of it is ever written to disk, and no link is followed.

Source: OCI image-spec, layer.md, "Whiteouts" and "Opaque Whiteout", whose names are AUFS's; POSIX.1-2017, pax.
"""

import hashlib
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal, NamedTuple

from skyport_wf.byte_streams import ChunkReader
from skyport_wf.image.tar.header import parse_number
from skyport_wf.image.tar.reader import FILE_TYPES, XATTR, TarMember, TarPolicy, TarReader

MAX_PATH: Final = 4096
"""Bytes of a path: no Linux system call takes more."""

FileType = Literal[
    "file", "folder", "symbolic link", "hard link", "character device", "block device", "named pipe", "unknown"
]
EntryKind = FileType | Literal["deleted", "emptied"]
"""`deleted` hides all that lower layers have at the path, `emptied` all that they have below the folder."""

_POLICY: Final = TarPolicy("No engine loads it; save the image again.")
_TYPES: Final[Mapping[bytes, FileType]] = {
    **dict.fromkeys(FILE_TYPES, "file"),
    tarfile.DIRTYPE: "folder",
    tarfile.SYMTYPE: "symbolic link",
    tarfile.LNKTYPE: "hard link",
    tarfile.CHRTYPE: "character device",
    tarfile.BLKTYPE: "block device",
    tarfile.FIFOTYPE: "named pipe",
}
_WHITEOUT: Final = b".wh."
_OPAQUE: Final = b".wh..wh..opq"
_AUFS: Final = b".wh..wh."
"""The beginning of names that AUFS keeps for itself; none but the one above means anything to others."""
_LARGEST: Final = 1 << 63


class LayerEntry(NamedTuple):
    """A change that a layer makes at one path. A named tuple: there are many, each for a moment."""

    path: bytes
    """From the root of the file system, without `/` at either end, `.` and `..`; empty for the root itself."""
    kind: EntryKind
    size: int = 0
    """Bytes of a file's content, as the layer stores it."""
    target: bytes = b""
    """Where a symbolic link leads, as it says it; the path that a hard link is another name of; a device's numbers."""
    mode: int = 0
    """Permissions, with the bits for set-user-id, set-group-id and sticky."""
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    """Seconds since 1970; fractions are dropped, as not every engine writes them."""
    xattrs: bytes = b""
    """A digest of the extended attributes; empty if there are none."""


def open_layer(pieces: Iterable[bytes], *, name: str) -> TarReader:
    """Return the tar of the layer whose bytes `pieces` yields; `name` is what messages call it."""
    return TarReader(ChunkReader(pieces), _POLICY, name=name)


def read_entries(layer: TarReader) -> Iterator[LayerEntry]:
    """Yield the entries of a layer, in the order of its tar; the content of a file can be read from `layer` meanwhile.

    Raises ArchiveError for a layer that is damaged or leads out of the file system.
    """
    for member in layer:
        path = _inside(layer, member.name)
        folder, slash, name = path.rpartition(b"/")
        if not name.startswith(_WHITEOUT):
            yield _file_entry(layer, member, path)
        elif name == _OPAQUE:
            yield LayerEntry(folder, "emptied")
        elif not name.startswith(_AUFS) and name != _WHITEOUT:
            yield LayerEntry(folder + slash + name.removeprefix(_WHITEOUT), "deleted")


def _file_entry(layer: TarReader, member: TarMember, path: bytes) -> LayerEntry:
    kind, target = _TYPES.get(member.type, "unknown"), b""
    block, records = member.block, member.records
    try:
        if kind == "hard link":
            target = _inside(layer, member.target)
        elif kind == "symbolic link":
            target = member.target
        elif kind in ("character device", "block device"):
            target = b"%d:%d" % (parse_number(block[329:337]), parse_number(block[337:345]))
        return LayerEntry(
            path, kind, member.size if kind == "file" else 0, target, parse_number(block[100:108]) & 0o7777,
            _number(records.get(b"uid"), block[108:116]), _number(records.get(b"gid"), block[116:124]),
            _number(records.get(b"mtime"), block[136:148]), _digest_xattrs(records) if records else b"",
        )  # fmt: skip
    except ValueError as error:
        raise layer.error("has a member with a number in its header that is none") from error


def _number(record: bytes | None, field: bytes) -> int:
    """Return a number from its pax record, without a fraction, or else from its field."""
    number = parse_number(field) if record is None else int(record.partition(b".")[0] or b"0")
    if not -_LARGEST <= number < _LARGEST:
        raise ValueError("a number that no file system takes")
    return number


def _digest_xattrs(records: Mapping[bytes, bytes]) -> bytes:
    attributes = sorted((key, value) for key, value in records.items() if key.startswith(XATTR))
    if not attributes:
        return b""
    digest = hashlib.sha256()
    for key, value in attributes:
        digest.update(b"%d %s %d " % (len(key), key, len(value)) + value)
    return digest.digest()


def _inside(layer: TarReader, name: bytes) -> bytes:
    """Return the path without detours, from the root, which it must not leave."""
    if len(name) > MAX_PATH:
        raise layer.error(f"has a path of {len(name):,} bytes, which no file system takes")
    if b"\0" in name:
        raise layer.error("has a path with a NUL in it")
    # Nearly all names, where a layer has a million.
    if b"/." not in name and b"//" not in name and not name.startswith((b"/", b".")):
        return name.rstrip(b"/")
    steps: list[bytes] = []
    for step in name.split(b"/"):
        if step == b"..":
            if not steps:
                raise layer.error(f"names {name.decode(errors='backslashreplace')!r}, a path outside of the image")
            steps.pop()
        elif step not in (b"", b"."):
            steps.append(step)
    return b"/".join(steps)
