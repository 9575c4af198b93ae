"""Layers whose headers are unusual or wrong, each as the pieces of its tar, to try on readers and on engines."""

import tarfile
from typing import Final

from skyport_wf.image.layers.entries import LayerEntry

NO_NUMBER: Final = "has a member with a number in its header that is none"
NO_LIST: Final = "has a pax header with a list of chunks that cannot be read"
NOT_ITS_LIST: Final = "has a sparse file with a list of chunks that does not fit its data"
UNREADABLE: Final = "has a pax header that cannot be read"
NUL: Final = "has a pax header with a NUL in it"


def header(name: str = "x", kind: bytes = tarfile.REGTYPE, size: int = 0, target: str = "") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, target
    return info.tobuf(tarfile.GNU_FORMAT)


def with_field(at: int, field: bytes) -> bytes:
    """Return a header that has other bytes in a field, and the checksum that belongs to them."""
    block = bytearray(header())
    block[at : at + len(field)] = field
    block[148:156] = b"%06o\0 " % (sum(block[:148] + block[156:]) + 8 * 32)
    return bytes(block)


def record(text: bytes) -> bytes:
    """Return a record of a pax header, which begins with its own length. text: KEY=VALUE."""
    length = len(text) + 2
    while len(b"%d %s\n" % (length, text)) != length:
        length += 1
    return b"%d %s\n" % (length, text)


def pax(*records: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    return _with_data("pax", kind, b"".join(records))


def long_name(text: bytes) -> bytes:
    return _with_data("././@LongLink", tarfile.GNUTYPE_LONGNAME, text)


def sparse(major: bytes, minor: bytes, **values: bytes | int) -> list[bytes]:
    """Return the records of a sparse file."""
    first = [record(b"GNU.sparse.major=" + major), record(b"GNU.sparse.minor=" + minor)]
    texts = {key: value if isinstance(value, bytes) else b"%d" % value for key, value in values.items()}
    return [*first, *(record(b"GNU.sparse.%s=%s" % (key.encode(), text)) for key, text in texts.items())]


def sparse_file(records: list[bytes], data: bytes, *, listed: bytes = b"") -> list[bytes]:
    """Return a file with these records. listed: the list of its chunks, where that is in its data."""
    data = listed + bytes(-len(listed) % 512) + data
    return [pax(*records), _with_data("x", tarfile.REGTYPE, data)]


def _with_data(name: str, kind: bytes, data: bytes) -> bytes:
    return header(name, kind, len(data)) + data + bytes(-len(data) % 512)


def _file(name: bytes, size: int = 0, **numbers: int) -> LayerEntry:
    return LayerEntry(name, "file", size, mode=0o644, **numbers)


SOUND: Final[list[tuple[list[bytes], LayerEntry]]] = [
    # Of several extension headers, the last counts, and GNU tar's before those of pax.
    ([pax(record(b"path=a"), record(b"mtime=5")), pax(record(b"uid=3")), header("b")], _file(b"b", uid=3)),
    ([pax(record(b"path=a"), record(b"path=")), header("b")], _file(b"b")),
    ([pax(record(b"path=a")), long_name(b"c"), header("b")], _file(b"c")),
    ([long_name(b"c"), pax(record(b"path=a")), header("b")], _file(b"c")),
    ([long_name(b""), pax(record(b"path=a")), header("b")], _file(b"a")),
    ([long_name(b"c"), pax(*sparse(b"0", b"0", numblocks=0, name=b"d")), header("b")], _file(b"d")),
    ([pax(*sparse(b"2", b"0", map=b"nonsense", name=b"d")), header("b")], _file(b"b")),
    ([pax(*sparse(b"1", b"", name=b"d")), header("b")], _file(b"b")),
    *(
        ([with_field(136, field)], _file(b"x", mtime=seconds))
        for field, seconds in {
            b"\0\0" + b"17" * 5: 0o1717171717,
            b"  17\0junk   ": 15,
            b"\x80" + bytes(3) + b"\x40" + bytes(7): 1 << 62,
            b"\xff" * 12: -1,
        }.items()
    ),
    *(
        ([pax(record(b"mtime=" + time)), header()], _file(b"x", mtime=seconds))
        for time, seconds in {b"1.9": 1, b"+1.": 1, b"-1": -1, b"-1.5": -2, b"-0.5": -1, b"-1.00": -1}.items()
    ),
    (sparse_file(sparse(b"0", b"1", numblocks=2, map=b"0,5,10,3", size=20), b"12345678"), _file(b"x", 8)),
    (sparse_file(sparse(b"0", b"1", numblocks=0, realsize=20), b""), _file(b"x")),
    (sparse_file(sparse(b"", b"", numblocks=1, map=b"0,8"), b"12345678"), _file(b"x", 8)),
    (sparse_file(sparse(b"1", b"0", size=20), b"12345678", listed=b"2\n0\n5\n+10\n3\n"), _file(b"x", 520)),
    (sparse_file(sparse(b"1", b"0", size=5000), b"", listed=b"300\n" + b"0\n0\n" * 300), _file(b"x", 1536)),
]

UNSOUND: Final[list[tuple[list[bytes], str]]] = [
    ([pax(b"8 path=a"), header()], UNREADABLE),
    ([pax(b"x path=a\n"), header()], UNREADABLE),
    ([pax(b"999 path=a\n"), header()], UNREADABLE),
    ([pax(b"0 \n"), header()], UNREADABLE),
    ([pax(b"4 =\n"), header()], UNREADABLE),
    ([pax(b"nonsense", kind=tarfile.XGLTYPE), header()], UNREADABLE),
    ([pax(record(b"size=-10")), header()], "has a member that claims to have '-10' bytes"),
    ([pax(record(b"size=1e9")), header()], "has a member that claims to have '1e9' bytes"),
    ([pax(record(b"path=a\0b")), header()], NUL),
    ([pax(record(b"c\0d=a")), header()], NUL),
    ([pax(*sparse(b"0", b"0", numblocks=0, name=b"a\0b")), header()], "has a path with a NUL in it"),
    ([pax(record(b"atime=noon")), header()], NO_NUMBER),
    ([pax(record(b"ctime=1.5.5")), header()], NO_NUMBER),
    ([pax(record(b"uid=1_0")), header()], NO_NUMBER),
    ([with_field(100, b"0o644  ")], NO_NUMBER),
    ([with_field(108, b"1_0    ")], NO_NUMBER),
    ([with_field(116, b"+7     ")], NO_NUMBER),
    ([with_field(136, b"7 8        ")], NO_NUMBER),
    ([with_field(329, b"\t7     ")], NO_NUMBER),
    ([with_field(136, b"\xc0" + bytes(11))], NO_NUMBER),
    ([header(), bytes(512), header()], "goes on after an empty block"),
    ([header(), bytes(512), bytes(100)], "goes on after an empty block"),
    ([pax(*sparse(b"0", b"0", numblocks=1), record(b"GNU.sparse.numbytes=5")), header()], NO_LIST),
    ([pax(*sparse(b"0", b"0", numblocks=1), *2 * [record(b"GNU.sparse.offset=0")]), header()], NO_LIST),
    *(
        ([pax(*sparse(b"0", b"1", numblocks=0)), header("x", kind, target="y")], NOT_ITS_LIST)
        for kind in (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE)
    ),
    *(
        (sparse_file(sparse(b"0", b"1", **told), data), NOT_ITS_LIST)
        for told, data in (
            ({"numblocks": 2, "map": b"0,5,10", "size": 20}, b"12345678"),
            ({"numblocks": 1, "map": b"0,5,10,3", "size": 20}, b"12345678"),
            ({"map": b"0,5", "size": 20}, b"12345"),
            ({"numblocks": 1, "map": b"0,5", "size": 20}, b"1234"),
            ({"numblocks": 1, "map": b"0,5", "size": 20}, b"123456"),
            ({"numblocks": 1, "map": b"0,5", "size": 4}, b"12345"),
            ({"numblocks": 2, "map": b"0,5,4,3", "size": 20}, b"12345678"),
            ({"numblocks": 2, "map": b"10,5,0,3", "size": 20}, b"12345678"),
            ({"numblocks": 1, "map": b"-5,5", "size": 20}, b"12345"),
            ({"numblocks": 2, "map": b"0,9,9,-1", "size": 20}, b"12345678"),
            ({"numblocks": 1, "map": b"9223372036854775808,5"}, b"12345"),
            ({"numblocks": 0, "size": -1}, b""),
            ({"numblocks": 0, "size": b"lots"}, b""),
        )
    ),
    *(
        (sparse_file(sparse(b"1", b"0", size=20), data, listed=listed), NOT_ITS_LIST)
        for listed, data in (
            (b"", b""),
            (b"2\n0\n5\n10\n", b"12345678"),
            (b"1\r\n0\n5\n", b"12345"),
            (b"1\n0\n5\n", b"1234"),
            (b"999999999999999999\n" * 40, b""),
            (b"-1\n0\n5\n", b"12345"),
            (b"", b"1\n0\n5\n12345"),
        )
    ),
]
