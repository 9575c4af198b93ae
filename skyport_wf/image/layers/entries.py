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
from skyport_wf.errors import ArchiveError
from skyport_wf.image.layers.flaws import Flaw, find_flaws
from skyport_wf.image.tar.reader import FILE_TYPES, XATTR, TarMember, TarPolicy, TarReader

MAX_PATH: Final = 4096
"""Bytes of a path: no Linux system call takes more."""

FileType = Literal[
    "file", "folder", "symbolic link", "hard link", "character device", "block device", "named pipe", "unknown"
]
EntryKind = FileType | Literal["deleted", "emptied", "ignored"]
"""`deleted` hides all that lower layers have at the path, `emptied` all that they have below the folder. `ignored` is
something that engines pass over."""

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
_OUTSIDE: Final = "Docker 28 and later refuse that; do not use it."


class LayerError(ArchiveError):
    """A layer is no tar, damaged, or leads out of the file system."""


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
    """Seconds since 1970, without fractions, as not every engine writes them."""
    xattrs: bytes = b""
    """A digest of the extended attributes; empty if there are none."""
    absolute: bool = False
    """Whether the tar has the path with a leading `/`."""
    flaws: tuple[Flaw, ...] = ()
    """Reasons in the header why engines refuse the layer."""


_POLICY: Final = TarPolicy("No engine loads it; save the image again.", LayerError)


def open_layer(pieces: Iterable[bytes], *, name: str) -> TarReader:
    """Return the tar of the layer whose bytes `pieces` yields; `name` is what messages call it."""
    return TarReader(ChunkReader(pieces), _POLICY, name=name)


def read_entries(layer: TarReader) -> Iterator[LayerEntry]:
    """Yield the entries of a layer, in the order of its tar; the content of a file can be read from `layer` meanwhile.

    Raises LayerError for a layer that is damaged or leads out of the file system.
    """
    for member in layer:
        path = _inside(layer, member.name)
        folder, slash, name = path.rpartition(b"/")
        absolute = member.name.startswith(b"/")
        if member.type == tarfile.XGLTYPE or (not path and not absolute and member.type != tarfile.DIRTYPE):
            # Engines pass over `.` unless it is a folder, and have no use for headers that belong to no member.
            yield LayerEntry(path, "ignored")
        elif not name.startswith(_WHITEOUT) and not path.startswith(_AUFS):
            yield _file_entry(layer, member, path, absolute=absolute)
        elif name == _OPAQUE:
            yield LayerEntry(folder, "emptied", absolute=absolute)
        elif path.startswith(_AUFS):
            yield LayerEntry(path, "ignored", absolute=absolute)
        elif name.removeprefix(_WHITEOUT) in (b"", b".", b".."):
            flaw = Flaw("it is a whiteout without a name to delete")
            yield LayerEntry(path, "ignored", absolute=absolute, flaws=(flaw,))
        else:
            yield LayerEntry(folder + slash + name.removeprefix(_WHITEOUT), "deleted", absolute=absolute)


def _file_entry(layer: TarReader, member: TarMember, path: bytes, *, absolute: bool) -> LayerEntry:
    kind, target = _TYPES.get(member.type, "unknown"), b""
    if kind in ("character device", "block device"):
        target = b"%d:%d" % member.devices
    elif kind == "hard link":
        target = _inside(layer, member.target)
    elif kind == "symbolic link":
        target = member.target
    return LayerEntry(
        path, kind, member.size if kind == "file" else 0, target, member.mode & 0o7777, member.uid, member.gid,
        member.mtime, _digest_xattrs(member.records) if member.records else b"", absolute,
        find_flaws(member, path, kind),
    )  # fmt: skip


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
                shown = name.decode(errors="backslashreplace")
                raise layer.error(f"names {shown!r}, a path outside of the image", _OUTSIDE)
            steps.pop()
        elif step not in (b"", b"."):
            steps.append(step)
    return b"/".join(steps)
