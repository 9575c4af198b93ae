"""What a member of a layer's tar says of a file beside its name and its bytes: kind, mode, owner, time, attributes.

Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header"; `SCHILY.xattr.` is star's and Go's.
"""

import hashlib
import tarfile
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from skyport_wf.image.examination.tar_header import parse_number

FileType = Literal["file", "folder", "symbolic link", "hard link", "character device", "block device", "named pipe"]

XATTR: Final = b"SCHILY.xattr."
"""What the keys of pax records begin with that hold a file's extended attributes, such as its capabilities."""
PAX_KEYS: Final = frozenset({b"uid", b"gid", b"mtime"})

_TYPES: Final[Mapping[bytes, FileType]] = {
    tarfile.DIRTYPE: "folder",
    tarfile.SYMTYPE: "symbolic link",
    tarfile.LNKTYPE: "hard link",
    tarfile.CHRTYPE: "character device",
    tarfile.BLKTYPE: "block device",
    tarfile.FIFOTYPE: "named pipe",
}
_DEVICES: Final = frozenset({tarfile.CHRTYPE, tarfile.BLKTYPE})
_MODE: Final = 0o7777
_LARGEST: Final = 1 << 63


class FileAttributes(NamedTuple):
    """A named tuple: there are many, each for a moment."""

    type: FileType
    mode: int
    """Permissions, with the bits for set-user-id, set-group-id and sticky."""
    uid: int
    gid: int
    mtime: int
    """Seconds since 1970; fractions are dropped, as not every engine writes them."""
    target: bytes
    """Where a symbolic link leads, as it says it; of a device, `MAJOR:MINOR`; empty for others."""
    xattrs: bytes
    """A digest of the extended attributes; empty if there are none."""


def parse_attributes(block: bytes, kind: bytes, target: bytes, records: Mapping[bytes, bytes]) -> FileAttributes:
    """Return the attributes of the member with this header.

    block: the header, 512 bytes.
    kind: its type, as `tarfile` names types.
    target: where it links to.
    records: the pax records that belong to it.
    Raises ValueError if a number in it is none.
    """
    if kind in _DEVICES:
        target = b"%d:%d" % (parse_number(block[329:337]), parse_number(block[337:345]))
    return FileAttributes(
        type=_TYPES.get(kind, "file"),
        mode=parse_number(block[100:108]) & _MODE,
        uid=_checked(int(records[b"uid"]) if b"uid" in records else parse_number(block[108:116])),
        gid=_checked(int(records[b"gid"]) if b"gid" in records else parse_number(block[116:124])),
        mtime=_checked(_seconds(records[b"mtime"]) if b"mtime" in records else parse_number(block[136:148])),
        target=target if kind in _DEVICES or kind == tarfile.SYMTYPE else b"",
        xattrs=_digest({key: value for key, value in records.items() if key.startswith(XATTR)}),
    )


def _seconds(text: bytes) -> int:
    return int(text.partition(b".")[0] or b"0")


def _checked(number: int) -> int:
    if not -_LARGEST <= number < _LARGEST:
        raise ValueError("a number that no file system takes")
    return number


def _digest(records: Mapping[bytes, bytes]) -> bytes:
    if not records:
        return b""
    digest = hashlib.sha256()
    for key, value in sorted(records.items()):
        digest.update(b"%d %s %d " % (len(key), key, len(value)) + value)
    return digest.digest()
