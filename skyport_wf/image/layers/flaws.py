"""Headers of a layer that engines refuse: what they cannot make of it on any file system, or on most.

Found out by loading such layers into Docker 20.10, 26 and 28 and podman 4.3 and 5.4. Source for the forms of
attributes: capabilities(7), acl(5) and Linux's include/uapi/linux/{capability,posix_acl_xattr}.h.
"""

import re
import struct
import tarfile
from typing import Final, NamedTuple

from skyport_wf.image.tar.reader import XATTR, TarMember

_MAX_PATH: Final = 4000
"""Bytes: the engine puts its own folder before the path, and Linux takes 4,095 in all."""
_MAX_NAME: Final = 255
_MAX_TARGET: Final = 4095
_MAX_VALUE: Final = 1 << 16
_MAX_VALUE_OF_EXT4: Final = 4000
_TYPES: Final = frozenset(
    {
        *(tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE),
        *(tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE),
    }
)
_LONG_NAME: Final = re.compile(rb"[^/]{%d,}" % (_MAX_NAME + 1))
_NAMESPACES: Final = (b"security.", b"system.", b"trusted.", b"user.")
_CAPABILITY_SIZES: Final = {0x02000000: 20, 0x03000000: 24}


class Flaw(NamedTuple):
    """A reason why a layer cannot be loaded."""

    reason: str
    """A clause about the entry."""
    by: str = ""
    """The engines that refuse it; empty if no Docker loads it."""


def find_flaws(member: TarMember, path: bytes, kind: str) -> tuple[Flaw, ...]:
    """Return the reasons in a member's headers why engines refuse it."""
    # All of it is rare, and there may be a million members: first a glance.
    if (
        member.type in (tarfile.REGTYPE, tarfile.DIRTYPE)
        and len(path) <= _MAX_NAME
        and not member.records
        and (path or kind == "folder")
    ):
        return ()
    flaws: list[Flaw] = []
    if member.type == tarfile.GNUTYPE_SPARSE:
        flaws.append(Flaw("it is stored sparsely, in GNU tar's own format"))
    elif member.type not in _TYPES:
        flaws.append(Flaw(f"it is of type {member.type.decode('latin-1')!r}, which layers do not have"))
    if len(path) > _MAX_PATH or _LONG_NAME.search(path):
        flaws.append(Flaw("its name is longer than file systems take"))
    if not path and kind != "folder" and member.name.startswith(b"/"):
        flaws.append(Flaw("it would take the place of the root"))
    if kind == "symbolic link" and not 0 < len(member.target) <= _MAX_TARGET:
        flaws.append(Flaw(f"it is a link to a name of {len(member.target):,} bytes"))
    if kind == "hard link" and member.target.startswith(b"/"):
        flaws.append(Flaw("it is a hard link to an absolute path", "Docker 29 and later"))
    for key, value in member.records.items():
        if key.startswith(XATTR) and value:
            flaws += _flaws_of_attribute(key.removeprefix(XATTR), value, kind)
    return tuple(flaws)


def _flaws_of_attribute(name: bytes, value: bytes, kind: str) -> list[Flaw]:
    shown = name[:_MAX_NAME].decode(errors="backslashreplace")
    if len(name) > _MAX_NAME or len(value) > _MAX_VALUE:
        return [Flaw(f"its attribute {shown} is larger than Linux takes")]
    if len(value) > _MAX_VALUE_OF_EXT4:
        return [Flaw(f"its attribute {shown} has {len(value):,} bytes", "engines on ext4")]
    if not name.startswith(_NAMESPACES):
        return [Flaw(f"its attribute {shown} is in no namespace that Linux has", "Docker 26 and later")]
    if name in _NAMESPACES:
        return [Flaw(f"its attribute {shown} has nothing behind its namespace")]
    if name == b"security.capability":
        revision = struct.unpack_from("<I", value.ljust(4, b"\0"))[0] & 0xFF000000
        if _CAPABILITY_SIZES.get(revision) != len(value):
            return [Flaw("its capabilities are in a form that Linux does not take")]
        if kind not in ("file", "folder", "hard link"):
            return [Flaw("it has capabilities, and is no file", "Docker 28 and later")]
    elif name.startswith(b"system.posix_acl_") and (value[:4] != b"\2\0\0\0" or len(value) % 8 != 4):
        return [Flaw("its access control list is in a form that Linux does not take")]
    elif name.startswith(b"user.") and kind not in ("file", "folder", "hard link"):
        return [Flaw(f"it has the attribute {shown}, and is neither file nor folder", "Docker 28 and podman")]
    return []
