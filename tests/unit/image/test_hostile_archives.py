"""Archives that were made to do harm: refused, soon, without taking memory or a path outside."""

import io
import itertools
import tarfile
import tracemalloc
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive.members import MAX_HEADERS
from skyport_wf.image.archive.reader import inspect_archive
from tests.support.docker_archives import example_image, file_member, legacy, manifest_of, member, tar_of
from tests.support.odd_layers import header, pax, record, with_field

GIB = 1 << 30


class Stream:
    """A stream of any length that counts what is taken of it."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = b""
        self.taken = 0

    def read(self, size: int, /) -> bytes:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = piece
        piece, self._rest = self._rest[:size], self._rest[size:]
        self.taken += len(piece)
        return piece


def zeros() -> Iterator[bytes]:
    return itertools.repeat(bytes(1 << 20))


def refusal(*pieces: bytes, then: Iterable[bytes] = ()) -> str:
    with pytest.raises(ArchiveError) as caught:
        inspect_archive(Stream(itertools.chain(pieces, then)))
    return str(caught.value)


def test_extension_headers_are_read_as_others_write_them() -> None:
    image = example_image()
    long = b"d" * 90 + b"/" + b"f" * 90
    extended = pax(record(b"path=" + long), record(b"mtime=1.5"), record(b"size=%d" % len(image.config)))
    archive = extended + header("short") + image.config + bytes(-len(image.config) % 512)
    layers = [str(number) for number in range(len(image.layers))]
    others = [file_member(name, data) for name, data in zip(layers, image.layers, strict=True)]
    manifest = file_member("manifest.json", manifest_of(long.decode(), layers))
    whole = pax(record(b"comment=x"), kind=tarfile.XGLTYPE) + archive + tar_of([*others, manifest])
    assert inspect_archive(io.BytesIO(whole)).image_id == image.image_id


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../up", "names '../up', a path outside of it. Do not use it."),
        ("/../up", "names '/../up', a path outside of it"),
        ("a/../../up", "names 'a/../../up', a path outside of it"),
        ("..", "names '..', a path outside of it"),
    ],
)
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_names_outside(name: str, shown: str, kind: bytes) -> None:
    assert shown in refusal(header(name, kind))


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "../../etc/shadow"),
        (tarfile.SYMTYPE, "/../etc/shadow"),
        (tarfile.LNKTYPE, "/../etc/shadow"),
        (tarfile.LNKTYPE, "../etc/shadow"),
    ],
)
def test_links_outside(kind: bytes, target: str) -> None:
    assert "shadow', a path outside of it" in refusal(header("folder/layer.tar", kind, target=target))


@pytest.mark.parametrize(
    "kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE, b"X", b"Z"]
)
def test_members_that_no_docker_archive_has(kind: bytes) -> None:
    assert "holds 'x', which is neither file, folder nor link" in refusal(header("x", kind))


@pytest.mark.slow
def test_a_million_members() -> None:
    headers = (header(f"{number}", tarfile.DIRTYPE) for number in range(1_000_000))
    stream = Stream(headers)
    with pytest.raises(ArchiveError, match="has more than 10,000 members"):
        inspect_archive(stream)
    assert stream.taken == MAX_HEADERS * 512


def test_a_million_extension_headers_before_one_member() -> None:
    longname = header("././@LongLink", tarfile.GNUTYPE_LONGNAME, 512) + b"n" * 512
    assert "has a member with too many extension headers" in refusal(then=itertools.repeat(longname))


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_an_extension_header_of_a_gibibyte_is_not_read(kind: bytes) -> None:
    stream = Stream(itertools.chain([header("x", kind, GIB)], zeros()))
    with pytest.raises(ArchiveError, match="has an extension header of 1,073,741,824 bytes"):
        inspect_archive(stream)
    assert stream.taken == 512


def test_a_name_of_many_characters() -> None:
    long = header("x", tarfile.GNUTYPE_LONGNAME, 100_000) + b"n" * 100_000 + bytes(352)
    assert "has a member whose name has 100,000 characters" in refusal(long, header())
    assert "has a member whose name has 9,999 characters" in refusal(pax(record(b"path=" + b"n" * 9_999)), header())


@pytest.mark.parametrize(
    ("extended", "message"),
    [
        (pax(b"nonsense"), "has a pax header that cannot be read"),
        (pax(b"99 path=x\n"), "has a pax header that cannot be read"),
        (pax(b"0 path=x\n"), "has a pax header that cannot be read"),
        (pax(b"-5 path=x\n"), "has a pax header that cannot be read"),
        (pax(b"999999999999999999999999999 path=x\n"), "has a pax header that cannot be read"),
        (pax("٣ path=x\n".encode()), "has a pax header that cannot be read"),
        (pax(b"5 abc\n"), "has a pax header that cannot be read"),
        (pax(record(b"path=\xff\xfe")), "has a member whose name is not UTF-8"),
        (pax(record(b"size=-1")), "has a member that claims to have '-1' bytes"),
        (pax(record(b"size=lots")), "has a member that claims to have 'lots' bytes"),
        (pax(record("size=٣".encode())), "has a member that claims to have '٣' bytes"),
        (pax(record(b"size=" + b"9" * 5000)), "has a member that claims to have '99999"),
        (pax(record(b"GNU.sparse.major=1")), "stores 'x' sparsely"),
        (pax(record(b"path=/../etc/passwd")), "a path outside of it"),
        (pax(record(b"path=a\0b/../../..")), "has a pax header with a NUL in it"),
    ],
)
def test_extension_headers_that_lie(extended: bytes, message: str) -> None:
    assert message in refusal(extended, header(), bytes(1024))


def test_an_extension_header_that_belongs_to_nothing() -> None:
    assert "ends with a header that belongs to no member" in refusal(pax(record(b"path=x")), bytes(1024))


def test_names_that_are_not_utf_8() -> None:
    block = bytearray(header("x"))
    block[0] = 0xFF
    block[148:156] = b"%06o\0 " % (sum(block[:148] + block[156:]) + 8 * 32)
    assert "has a member whose name is not UTF-8" in refusal(header("a"), bytes(block))


def test_a_negative_size() -> None:
    assert "has a member that claims to have '-1' bytes" in refusal(with_field(124, b"\xff" * 12))


def test_a_size_that_is_a_lie() -> None:
    assert "breaks off before its end" in refusal(header("layer.tar", size=1 << 50), bytes(1 << 20))


def test_a_size_of_more_than_any_disk() -> None:
    assert "has a member with a number in its header that is none" in refusal(
        with_field(124, b"\x80" + b"\x7f" + b"\xff" * 10)
    )


def test_a_stream_that_goes_on_after_its_end() -> None:
    stream = Stream(itertools.chain([tar_of(legacy(example_image()))], zeros()))
    with pytest.raises(ArchiveError, match="goes on after its end"):
        inspect_archive(stream)
    assert stream.taken < 100 << 20


@pytest.mark.parametrize("name", ["manifest.json", "config.json"])
def test_a_document_of_unbelievable_size_is_not_kept(name: str) -> None:
    documents = {
        "config.json": example_image().config,
        "manifest.json": manifest_of("config.json", []),
    }
    documents[name] += b" " * (25 << 20)
    archive = tar_of(file_member(*document) for document in documents.items())
    with pytest.raises(
        ArchiveError, match=r"(manifest|config).json, its .*, has 26,21\d,\d\d\d bytes, more than is bel"
    ):
        inspect_archive(io.BytesIO(archive))


@pytest.mark.slow
def test_thousands_of_documents_do_not_fill_the_memory() -> None:
    document = b"{" + b" " * 999_424
    members = (
        header(f"{number}", size=len(document)) + document + bytes(-len(document) % 512) for number in range(500)
    )
    tracemalloc.start()
    message = refusal(then=itertools.chain(members, [bytes(1024)]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "has no manifest.json" in message
    assert peak < 30 << 20


def test_names_that_come_twice() -> None:
    members = legacy(example_image())
    for name in ("manifest.json", "repositories"):
        again = next(entry for entry in members if entry[0].name == name)
        with pytest.raises(ArchiveError, match=f"holds {name} twice"):
            inspect_archive(io.BytesIO(tar_of([*members, again])))


def test_links_in_a_circle() -> None:
    layers = [member("a", tarfile.SYMTYPE, target="b"), member("b", tarfile.SYMTYPE, target="a")]
    config = file_member("config.json", example_image().config)
    manifest = file_member("manifest.json", manifest_of("config.json", ["a"]))
    with pytest.raises(ArchiveError, match="a, its layer, is something else"):
        inspect_archive(io.BytesIO(tar_of([*layers, config, manifest])))


def test_a_manifest_that_is_a_link_to_itself() -> None:
    with pytest.raises(ArchiveError, match=r"manifest\.json, its manifest, is something else"):
        inspect_archive(io.BytesIO(tar_of([member("manifest.json", tarfile.SYMTYPE, target="manifest.json")])))


@pytest.mark.parametrize("path", ["/etc/passwd", "../../etc/passwd", "", ".", "a\\b", "\x00"])
def test_paths_of_a_manifest_stay_in_the_archive(path: str) -> None:
    manifest = file_member("manifest.json", manifest_of(path, []))
    with pytest.raises(ArchiveError, match=r"its image config, is missing"):
        inspect_archive(io.BytesIO(tar_of([manifest])))


ARCHIVE = tar_of(legacy(example_image()))
CONTENTS = inspect_archive(io.BytesIO(ARCHIVE))


@pytest.mark.slow
@settings(deadline=None)
@given(st.data())
def test_damage_anywhere_is_an_archive_error_or_harmless(data: st.DataObject) -> None:
    damaged = bytearray(ARCHIVE)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) // 512 - 1)) * 512 + data.draw(st.integers(0, 511))
        damaged[at : at + 1] = data.draw(st.binary(min_size=1, max_size=1))
    try:
        found = inspect_archive(io.BytesIO(bytes(damaged)))
    except ArchiveError:
        return
    assert found.layers == CONTENTS.layers
    assert found.image_id == CONTENTS.image_id


@settings(deadline=None)
@given(st.binary(max_size=3000))
def test_noise_is_an_archive_error(noise: bytes) -> None:
    with pytest.raises(ArchiveError):
        inspect_archive(io.BytesIO(noise))
