import bz2
import gzip
import io
import lzma
import struct

import pytest

from skyport_wf.byte_streams import CountedStream
from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive.compression import recognise_format
from skyport_wf.image.archive.reader import inspect_archive
from skyport_wf.image.archive.stream import ArchiveStream
from tests.support.docker_archives import example_image, legacy, tar_of, zstd

ARCHIVE = tar_of(legacy(example_image()))


class OneByOne:
    """A stream that cannot seek and gives little at a time, as sockets do."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int, /) -> bytes:
        return self._data.read(min(size, 997))


@pytest.mark.parametrize(
    "stored",
    [
        ARCHIVE,
        *(
            compressed
            for compress in (gzip.compress, bz2.compress, lzma.compress, zstd)
            for compressed in (compress(ARCHIVE), compress(ARCHIVE[:50_000]) + compress(ARCHIVE[50_000:]))
        ),
    ],
    ids=["plain", *(f"{kind}{two}" for kind in ("gzip", "bzip2", "xz", "zstd") for two in ("", ", two streams"))],
)
def test_archives_as_they_come(stored: bytes) -> None:
    stream = ArchiveStream(OneByOne(stored), name="the download")
    assert inspect_archive(stream).image_id == example_image().image_id


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (b"", "the download is empty. Save the image again."),
        (b"text" * 1000, "the download is not a tar, so it is not a docker archive"),
        (b"PK\3\4" + bytes(600), "the download is in zip format, which no engine loads."),
        (bz2.compress(ARCHIVE)[:-9], "the download breaks off before its end. Publish it again."),
        (lzma.compress(ARCHIVE)[:-9], "the download breaks off before its end. Publish it again."),
        (gzip.compress(ARCHIVE)[:1000], "the download breaks off before its end. Publish it again."),
        (gzip.compress(ARCHIVE)[:-8] + bytes(8), "the download is damaged: "),
    ],
    ids=["empty", "text", "zip", "bzip2, cut off", "xz, cut off", "cut off", "damaged"],
)
def test_what_is_no_archive(stored: bytes, message: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        inspect_archive(ArchiveStream(OneByOne(stored), name="the download"))
    assert message in str(caught.value)


def skippable(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", 0x184D2A50 + kind, len(data)) + data


@pytest.mark.parametrize("kind", range(16))
def test_zstd_may_begin_with_a_frame_that_is_skipped(kind: int) -> None:
    """As pzstd writes it, which puts one before each of its frames."""
    stored = b"".join(skippable(kind, b"size") + zstd(part) for part in (ARCHIVE[:50_000], ARCHIVE[50_000:]))
    stream = ArchiveStream(OneByOne(stored), name="the download")
    assert inspect_archive(stream).image_id == example_image().image_id
    with pytest.raises(ArchiveError, match="the download breaks off before its end"):
        inspect_archive(ArchiveStream(OneByOne(skippable(kind, b"size")[:-1]), name="the download"))


@pytest.mark.parametrize("kind", [-1, 16])
def test_what_only_looks_like_a_frame_that_is_skipped(kind: int) -> None:
    assert recognise_format(skippable(kind, bytes(600))) == ""


def test_bytes_are_counted() -> None:
    counts: list[int] = []
    inspect_archive(CountedStream(io.BytesIO(ARCHIVE), counts.append, name="x"))
    assert sum(counts) == len(ARCHIVE)
    assert CountedStream(ArchiveStream(OneByOne(ARCHIVE), name="inner"), counts.append).name == "inner"


def test_compressed_zeros_whose_time_makes_the_sum_of_a_header_are_no_tar() -> None:
    head = gzip.compress(bytes(10**7), 9, mtime=0)[:512]

    def checksum(head: bytes) -> int:
        """Return the sum that a header may have, too; where it stands, these have zeros."""
        return 256 + sum(struct.unpack("148b8x356b", head))

    time, missing = [], -checksum(head)
    for _ in range(4):
        time.append(max(-128, min(127, missing - sum(time))))
    head = head[:4] + struct.pack("4b", *time) + head[8:]
    assert checksum(head) == 0
    assert recognise_format(head) == "gzip"
