"""Write a member's header: the same file gives the same bytes, whoever wrote the tar that it came from.

Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header".
"""

import tarfile
from collections.abc import Mapping
from typing import NamedTuple

from skyport_wf.image.tar.header import BLOCK
from skyport_wf.image.tar.sparse import SPARSE

_LONGEST = 100
_LARGEST = 0o77777777777
"""The largest number in 11 octal digits."""
_LARGEST_ID = 0o7777777


class NewMember(NamedTuple):
    """A member to write. A named tuple: there are many, each for a moment."""

    name: bytes
    type: bytes
    """As `tarfile` names types."""
    size: int
    """Bytes of the data that follow."""
    target: bytes
    """The name that a link has in it."""
    mode: int
    uid: int
    gid: int
    mtime: int
    devices: tuple[int, int]
    """Major and minor number."""
    records: Mapping[bytes, bytes]
    """More pax records: extended attributes, or a time with a fraction."""


def write_header(member: NewMember) -> bytes:
    """Return the header of a member, with a pax header before it for all that it has no room for.

    No names of users and groups: which those are depends on the machine.
    """
    records = dict(member.records)
    for key, text in {b"path": member.name, b"linkpath": member.target}.items():
        if len(text) > _LONGEST:
            records[key] = text
    for key, number, largest in (
        (b"size", member.size, _LARGEST),
        (b"uid", member.uid, _LARGEST_ID),
        (b"gid", member.gid, _LARGEST_ID),
        (b"mtime", member.mtime, _LARGEST),
    ):
        if not 0 <= number <= largest:
            records.setdefault(key, b"%d" % number)
    block = _block(member)
    if not records:
        return block
    # GNU tar wants to know how long the list of a sparse file's chunks is before it comes.
    keys = sorted(records, key=lambda key: (key == SPARSE + b"map", key))
    data = b"".join(_record(key, records[key]) for key in keys)
    pax = NewMember(b"PaxHeaders.0", tarfile.XHDTYPE, len(data), b"", 0o644, 0, 0, 0, (0, 0), {})
    return _block(pax) + data + bytes(-len(data) % BLOCK) + block


def _record(key: bytes, value: bytes) -> bytes:
    """Return a pax record, which begins with its own length."""
    length = rest = len(key) + len(value) + 3
    while len(b"%d" % length) + rest != length:
        length = len(b"%d" % length) + rest
    return b"%d %s=%s\n" % (length, key, value)


def _block(member: NewMember) -> bytes:
    def number(value: int, width: int) -> bytes:
        digits = b"%0*o\0" % (width - 1, max(value, 0))
        # A number that is too large is in a pax record, but for a device's: those are in base 256.
        return digits if len(digits) == width else bytes((0x80,)) + value.to_bytes(width - 1)

    block = bytearray(BLOCK)
    block[:100] = member.name[:_LONGEST].ljust(100, b"\0")
    block[100:136] = b"".join((
        number(member.mode, 8),
        number(member.uid if 0 <= member.uid <= _LARGEST_ID else 0, 8),
        number(member.gid if 0 <= member.gid <= _LARGEST_ID else 0, 8),
        number(member.size if member.size <= _LARGEST else 0, 12),
    ))  # fmt: skip
    block[136:148] = number(member.mtime if 0 <= member.mtime <= _LARGEST else 0, 12)
    block[148:156] = b" " * 8
    block[156:157] = member.type
    block[157:257] = member.target[:_LONGEST].ljust(100, b"\0")
    block[257:265] = b"ustar\x0000"
    block[329:345] = number(member.devices[0], 8) + number(member.devices[1], 8)
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)
