import bz2
import gzip
import io

import pytest

from skyport_wf.byte_streams import CountedStream
from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive.reader import inspect_archive
from skyport_wf.image.archive.stream import ArchiveStream
from tests.support.docker_archives import example_image, legacy, tar_of

ARCHIVE = tar_of(legacy(example_image()))


class OneByOne:
    """A stream that cannot seek and gives little at a time, as sockets do."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int, /) -> bytes:
        return self._data.read(min(size, 997))


@pytest.mark.parametrize(
    "stored",
    [ARCHIVE, gzip.compress(ARCHIVE), gzip.compress(ARCHIVE[:50_000]) + gzip.compress(ARCHIVE[50_000:])],
    ids=["plain", "gzipped", "gzipped in two members"],
)
def test_archives_as_they_come(stored: bytes) -> None:
    stream = ArchiveStream(OneByOne(stored), name="the download")
    assert inspect_archive(stream).image_id == example_image().image_id


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (b"", "the download is empty. Save the image again."),
        (b"text" * 1000, "the download is not a tar, so it is not a docker archive"),
        (bz2.compress(ARCHIVE), "the download is in bzip2 format, which AWE cannot load."),
        (gzip.compress(ARCHIVE)[:1000], "the download breaks off before its end. Publish it again."),
        (gzip.compress(ARCHIVE)[:-8] + bytes(8), "the download is damaged: "),
    ],
    ids=["empty", "text", "bzip2", "cut off", "damaged"],
)
def test_what_is_no_archive(stored: bytes, message: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        inspect_archive(ArchiveStream(OneByOne(stored), name="the download"))
    assert message in str(caught.value)


def test_bytes_are_counted() -> None:
    counts: list[int] = []
    inspect_archive(CountedStream(io.BytesIO(ARCHIVE), counts.append, name="x"))
    assert sum(counts) == len(ARCHIVE)
    assert CountedStream(ArchiveStream(OneByOne(ARCHIVE), name="inner"), counts.append).name == "inner"
