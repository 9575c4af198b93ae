"""Gzip files that Docker reads to their end, and others: each was loaded into Docker 20.10 as part of an archive."""

import gzip
import io
import random
import zlib
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyport_wf.byte_streams import PIECE, ByteStream
from skyport_wf.image.archive.compression import CompressionError, decompressed
from skyport_wf.image.archive.layer_scan import LayerFacts, compress_layer, scan_layer
from skyport_wf.image.archive.strict_gzip import decompressed_strictly
from tests.support.docker_archives import sha256

TEXT = b"layer" * 1000


def member(
    content: bytes = TEXT, *, extra: bytes | None = None, name: bytes = b"", comment: bytes = b"", flags: int = 0
) -> bytes:
    """Return a gzip member. name, comment: with the zero; flags: more than follow from the rest, 2 for a checksum."""
    flags |= 4 * (extra is not None) | 8 * bool(name) | 16 * bool(comment)
    header = b"\x1f\x8b\x08" + bytes((flags,)) + bytes(5) + b"\xff"
    if extra is not None:
        header += len(extra).to_bytes(2, "little") + extra
    header += name + comment
    if flags & 2:
        header += (zlib.crc32(header) & 0xFFFF).to_bytes(2, "little")
    return header + gzip.compress(content, mtime=0)[10:]


def read(stored: bytes) -> bytes:
    return b"".join(decompressed_strictly(io.BytesIO(stored)))


@pytest.mark.parametrize(
    "stored",
    [
        member(), member() + member(b"more"), member(b"") + member() + member(b""),
        member(name=b"layer.tar\0"), member(name=b"n" * 511 + b"\0"), member(comment=b"c" * 511 + b"\0"),
        member(name=b"n" * 511 + b"\0", comment=b"c" * 511 + b"\0", extra=bytes(65535), flags=2),
        member(extra=b""), member(flags=2), member(flags=1), member(random.Random(1).randbytes(3 * PIECE)),
    ],
)  # fmt: skip
def test_what_docker_reads(stored: bytes) -> None:
    assert read(stored) == gzip.decompress(stored)
    assert scan_layer(io.BytesIO(stored)) == LayerFacts(
        len(stored), f"sha256:{sha256(gzip.decompress(stored))}", len(gzip.decompress(stored)), is_kept=True
    )


@pytest.mark.parametrize(
    "stored",
    [
        member() + b"\0", member() + bytes(300), member() + bytes(8) + member(),
        member(name=b"n" * 512 + b"\0"), member(comment=b"c" * 600 + b"\0"),
        member() + member(name=b"n" * 512 + b"\0"),
        # Docker 20.10 reads it; pigz, which others have beside it, does not.
        member(flags=0x20),
    ],
)  # fmt: skip
def test_what_docker_does_not_read_is_compressed_anew(stored: bytes) -> None:
    assert b"".join(decompressed(io.BytesIO(stored), "gzip")).startswith(TEXT)
    with pytest.raises((CompressionError, EOFError)):
        read(stored)
    assert scan_layer(io.BytesIO(stored)) is None
    made = io.BytesIO()
    facts = compress_layer(io.BytesIO(stored), lambda: made)
    assert not facts.is_kept
    assert (facts.stored, facts.size) == (len(stored), len(made.getvalue()))
    assert facts.diff_id == f"sha256:{sha256(made.getvalue())}"


@pytest.mark.parametrize(
    "stored",
    [
        member()[:-1], member()[:12], member()[:5], member() + member()[:5], member() + b"rubbish",
        member()[:-1] + b"\x01", member()[:-5] + b"\x01" + member()[-4:], member(flags=2).replace(b"\xff", b"\x03", 1),
        b"\x1f\x8b\x07" + member()[3:], member(name=b"no end" * 10)[:40],
    ],
)  # fmt: skip
def test_damaged_files(stored: bytes) -> None:
    with pytest.raises((CompressionError, EOFError)):
        read(stored)
    assert scan_layer(io.BytesIO(stored)) is None


class Dribble:
    """Gives a few bytes at a time."""

    def __init__(self, content: bytes, size: int) -> None:
        self._content, self._size = io.BytesIO(content), size

    def read(self, size: int, /) -> bytes:
        return self._content.read(min(size, self._size))


_MEMBERS = st.builds(
    member,
    st.binary(max_size=200) | st.integers(0, 20_000).map(lambda size: b"x" * size),
    extra=st.none() | st.binary(max_size=20),
    name=st.sampled_from([b"", b"name\0"]),
    comment=st.sampled_from([b"", b"a comment\0"]),
    flags=st.sampled_from([0, 1, 2]),
)


@given(st.lists(_MEMBERS, min_size=1, max_size=5), st.integers(1, 7000), st.data())
def test_any_members_in_any_pieces(members: list[bytes], size: int, data: st.DataObject) -> None:
    stored = b"".join(members)

    def dribble(content: bytes) -> ByteStream:
        return Dribble(content, size)

    assert b"".join(decompressed_strictly(dribble(stored))) == gzip.decompress(stored)
    ends = [*accumulate(map(len, members), initial=0)]
    cut = data.draw(st.integers(0, len(stored)))
    if cut in ends:
        whole = members[: ends.index(cut)]
        assert b"".join(decompressed_strictly(dribble(stored[:cut]))) == b"".join(map(gzip.decompress, whole))
    else:
        with pytest.raises((CompressionError, EOFError)):
            b"".join(decompressed_strictly(dribble(stored[:cut])))


def test_pieces_are_small_whatever_comes_out_of_them() -> None:
    pieces = decompressed_strictly(io.BytesIO(member(bytes(20 << 20))))
    assert max(map(len, pieces)) <= PIECE
