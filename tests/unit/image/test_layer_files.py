"""What a layer's tar says that it does: read as others write it, refused where no engine would take it."""

import io
import itertools
import os
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from skyport_wf.errors import ArchiveError
from skyport_wf.image.layers.entries import MAX_PATH, LayerEntry, open_layer, read_entries
from skyport_wf.image.tar.header import parse_header
from skyport_wf.image.tar.reader import MAX_EXTENSION
from tests.support.docker_archives import File, file_member, member, tar_of
from tests.support.odd_layers import SOUND, UNSOUND, header, long_name, pax, record


def changes(*pieces: bytes) -> list[LayerEntry]:
    """Return what the layer does, without modes, owners and times."""
    return [LayerEntry(*entry[:4]) for entry in read_entries(open_layer(pieces, name="the layer"))]


def changes_of(*members: File, tar_format: int = tarfile.PAX_FORMAT) -> list[LayerEntry]:
    return changes(tar_of(members, tar_format=tar_format))


def refusal(*pieces: bytes, then: Iterable[bytes] = ()) -> str:
    with pytest.raises(ArchiveError) as caught:
        for _ in read_entries(open_layer(itertools.chain(pieces, then), name="the layer x")):
            pass
    return str(caught.value)


def test_what_an_engine_writes() -> None:
    assert changes_of(
        member("usr/", tarfile.DIRTYPE),
        file_member("usr/file", b"12345"),
        member("usr/link", tarfile.SYMTYPE, target="/etc/passwd"),
        member("usr/same", tarfile.LNKTYPE, target="usr/file"),
        member("dev/null", tarfile.CHRTYPE),
        member("run/pipe", tarfile.FIFOTYPE),
        file_member("usr/.wh.gone", b""),
        file_member("var/.wh..wh..opq", b""),
        file_member(".wh.top", b""),
        file_member(".wh..wh..opq", b""),
    ) == [
        LayerEntry(b"usr", "folder"),
        LayerEntry(b"usr/file", "file", 5),
        LayerEntry(b"usr/link", "symbolic link", 0, b"/etc/passwd"),
        LayerEntry(b"usr/same", "hard link", 0, b"usr/file"),
        LayerEntry(b"dev/null", "character device", 0, b"0:0"),
        LayerEntry(b"run/pipe", "named pipe"),
        LayerEntry(b"usr/gone", "deleted"),
        LayerEntry(b"var", "emptied"),
        LayerEntry(b"top", "deleted"),
        LayerEntry(b"", "emptied"),
    ]


@pytest.mark.parametrize("name", [".wh..wh.plnk", ".wh..wh.plnk/1.2", ".wh.", "a/.wh.", "a/.wh..", "a/.wh..."])
def test_whiteouts_that_hide_nothing(name: str) -> None:
    assert changes_of(file_member(name, b"")) == [LayerEntry(name.encode(), "ignored")]


def test_headers_that_belong_to_no_member() -> None:
    layer = pax(record(b"comment=x"), kind=tarfile.XGLTYPE)
    assert [entry.kind for entry in changes(header("x", tarfile.XGLTYPE), header("a"), bytes(1024))] == [
        "ignored",
        "file",
    ]
    assert layer


def test_a_tar_that_lacks_its_last_bytes() -> None:
    # Docker takes it for whole.
    for pieces in ([header(size=10), b"1234567890"], [header(size=10), b"1234567890" + bytes(100)]):
        assert changes(*pieces) == [LayerEntry(b"x", "file", 10)]


@pytest.mark.parametrize(
    ("name", "path"),
    [("./", b""), ("./a/./b", b"a/b"), ("/etc/x", b"etc/x"), ("a/../b", b"b"), ("a//b", b"a/b"), ("..a/b", b"..a/b")],
)
def test_detours_are_taken_out(name: str, path: bytes) -> None:
    assert changes_of(file_member(name.rstrip("/") or ".", b""))[0].path == path


@pytest.mark.parametrize("tar_format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names(tar_format: int) -> None:
    name = "/".join(["folder" * 10] * 20)
    target = member("link", tarfile.LNKTYPE, target=name)
    assert changes_of(file_member(name, b"1"), target, tar_format=tar_format) == [
        LayerEntry(name.encode(), "file", 1),
        LayerEntry(b"link", "hard link", 0, name.encode()),
    ]


@pytest.mark.parametrize("tar_format", ["gnu", "pax", "ustar", "v7"])
def test_names_that_are_no_utf8_as_tar_writes_them(tar_format: str, tmp_path: Path) -> None:
    name = b"caf\xe9"
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))).write_bytes(b"abc")
    command = ["tar", f"--format={tar_format}", "-C", str(tmp_path), "-cf", "-", "."]
    archive = subprocess.run(command, check=True, capture_output=True).stdout
    assert LayerEntry(name, "file", 3) in changes(archive)


@pytest.mark.parametrize("tar_format", ["gnu", "pax"])
def test_sparse_files_as_tar_writes_them(tar_format: str, tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        for number in range(60):
            file.seek(number * 100_000)
            file.write(b"data")
    (tmp_path / "z").write_bytes(b"after")
    command = ["tar", "--sparse", f"--format={tar_format}", "-C", str(tmp_path), "-cf", "-", "sparse", "z"]
    found = changes(subprocess.run(command, check=True, capture_output=True).stdout)
    assert [change.path for change in found] == [b"sparse", b"z"]
    assert 60 * 4 <= found[0].size < 1_000_000
    assert found[1].size == 5


def test_the_data_of_a_member_can_be_taken_or_left() -> None:
    layer = tar_of([file_member("a", b"A" * 3000), file_member("b", b"B" * 700), file_member("c", b"C")])
    tar = open_layer(cut(layer, 97), name="the layer")
    taken = {change.path: tar.peek(700) for change in read_entries(tar) if change.path != b"c"}
    assert taken == {b"a": b"A" * 700, b"b": b"B" * 700}


def test_what_was_looked_at_is_read_again() -> None:
    layer = tar_of([file_member("a", b"A" * 300 + b"B" * 2700), file_member("b", b"B")])
    tar = open_layer(cut(layer, 97), name="the layer")
    for change in read_entries(tar):
        if change.path == b"a":
            assert tar.peek(300) == b"A" * 300
            assert (tar.read(299), tar.peek(2), tar.read(1)) == (b"A" * 299, b"AB", b"A")
            assert tar.read(10_000) == b"B" * 2700
            assert tar.read(1) == b""


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def test_links_and_devices_that_claim_a_size_have_no_data() -> None:
    layer = header("link", tarfile.SYMTYPE, 5000, "x") + header("device", tarfile.CHRTYPE, 5000) + header("after")
    assert [change.path for change in changes(layer, bytes(1024))] == [b"link", b"device", b"after"]


def test_what_follows_the_end_is_read_through() -> None:
    pieces = iter([tar_of([file_member("a", b"")]), b"x" * 10_000, b"y"])
    assert [change.path for change in read_entries(open_layer(pieces, name="the layer"))] == [b"a"]
    assert next(pieces, None) is None


def test_an_empty_layer() -> None:
    assert changes() == changes(bytes(1024)) == []


@pytest.mark.parametrize("name", ["..", "../x", "a/../../x", "/../x", ".././x"])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE])
def test_paths_outside(name: str, kind: bytes) -> None:
    shown = name + "/" if kind == tarfile.DIRTYPE else name
    assert refusal(header(name, kind)) == (
        f"the layer x names {shown!r}, a path outside of the image. Docker 28 and later refuse that; do not use it."
    )


def test_hard_links_outside() -> None:
    assert "names '../etc/shadow', a path outside" in refusal(header("x", tarfile.LNKTYPE, target="../etc/shadow"))


@pytest.mark.parametrize(
    ("pieces", "problem"),
    [
        ([b"not a tar" * 100], "has something that is not a tar header"),
        ([header(size=5000), b"short"], "breaks off before its end"),
        ([header()[:300]], "has something that is not a tar header"),
        ([header("x", tarfile.XHDTYPE, MAX_EXTENSION + 1)], "has an extension header of 1,048,577 bytes"),
        ([header("x", tarfile.XHDTYPE, 1 << 30)], "has an extension header of 1,073,741,824 bytes"),
        ([header("x", tarfile.GNUTYPE_LONGNAME, 1 << 30)], "has an extension header of 1,073,741,824 bytes"),
        ([header("x", tarfile.XGLTYPE, 1 << 30)], "has an extension header of 1,073,741,824 bytes"),
    ],
)
def test_damaged_layers(pieces: list[bytes], problem: str) -> None:
    assert refusal(*pieces) == f"the layer x {problem}. No engine loads it; save the image again."


def test_a_path_that_is_too_long() -> None:
    name = b"x" * (MAX_PATH + 1)
    data = header("././@LongLink", tarfile.GNUTYPE_LONGNAME, len(name)) + name + bytes(-len(name) % 512)
    assert "has a path of 4,097 bytes, which no file system takes" in refusal(data, header())


def test_extension_headers_without_end() -> None:
    assert "too many extension headers" in refusal(then=itertools.repeat(pax(record(b"path=a"))))


def test_a_lying_size_is_not_taken_into_memory() -> None:
    tar = open_layer([header(size=8 << 30), bytes(512)], name="the layer")
    with pytest.raises(ArchiveError, match="breaks off"):
        for _ in tar:
            assert len(tar.peek(512)) == 512


@pytest.mark.parametrize(("pieces", "entry"), SOUND)
def test_odd_layers_that_engines_read(pieces: list[bytes], entry: LayerEntry) -> None:
    assert [*read_entries(open_layer(pieces, name="the layer"))] == [entry]


@pytest.mark.parametrize(("pieces", "problem"), UNSOUND)
def test_odd_layers_that_no_engine_reads(pieces: list[bytes], problem: str) -> None:
    assert refusal(*pieces) == f"the layer x {problem}. No engine loads it; save the image again."


def test_an_old_tar_says_by_the_name_that_it_is_a_folder() -> None:
    old = header("a/" * 50, tarfile.AREGTYPE)
    assert [entry.kind for entry in changes(old, long_name(b"b"), old, long_name(b"b/"), header("c", b"\0"))] == [
        "folder", "file", "folder"
    ]  # fmt: skip


@given(st.binary(max_size=2000), st.integers(0, 1500))
def test_garbage_is_refused_or_read(garbage: bytes, at: int) -> None:
    whole = bytearray(tar_of([file_member("a/b", b"12345"), member("l", tarfile.LNKTYPE, target="a/b")])[:2560])
    whole[at : at + len(garbage)] = garbage
    try:
        found = changes(bytes(whole))
    except ArchiveError as error:
        assert str(error).startswith("the layer ")
    else:
        assert all(not change.path.startswith(b"/") for change in found)


_CHECKSUM_AT = 148
"""Where a header has its checksum, which alone does not count in it."""


@pytest.mark.slow
@given(
    st.text("ab/é", min_size=1, max_size=90),
    st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE]),
    st.integers(0, 1 << 50),
    st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT]),
    st.one_of(st.none(), st.tuples(st.integers(0, 511), st.integers(0, 255))),
)
def test_tarfile_reads_the_same_headers(
    name: str, kind: bytes, size: int, tar_format: int, damage: tuple[int, int] | None
) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname, info.mtime = kind, size, "target", 1_700_000_000
    assume(tar_format == tarfile.GNU_FORMAT or size < 8 << 30)
    # Python takes these in or around a number; engines do not.
    assume(not damage or chr(damage[1]) not in "+-_\t\n\v\f\r\x1c\x1d\x1e\x1f")
    # Go takes a zero off the front of a number, here of the checksum, and Python ends there.
    assume(damage != (_CHECKSUM_AT, 0))
    block = bytearray(info.tobuf(tar_format)[-512:])
    if damage:
        block[damage[0]] = damage[1]
    try:
        expected = tarfile.TarInfo.frombuf(bytes(block), "latin-1", "strict")
    except tarfile.HeaderError:
        with pytest.raises(ValueError, match=r"not a tar header|not a number"):
            parse_header(bytes(block))
        return
    found = parse_header(bytes(block))
    assert found is not None
    assert (found.name.rstrip(b"/"), found.size) == (expected.name.encode("latin-1").rstrip(b"/"), expected.size)
    assert (found.type, found.target) == (expected.type, expected.linkname.encode("latin-1"))


def test_sizes_beyond_eight_gigabytes() -> None:
    parsed = parse_header(header(size=8 << 30))
    assert parsed is not None
    assert parsed.size == 8 << 30


def test_checksums_of_signed_bytes() -> None:
    block = bytearray(header("caf\xe9"))
    signed = sum(byte - 256 * (byte > 127) for byte in block[:148] + b" " * 8 + block[156:])
    block[148:156] = b"%06o\0 " % signed
    assert parse_header(bytes(block)) is not None


def test_names_that_are_split_in_two() -> None:
    name = "/".join(["folder"] * 25)
    found = changes_of(file_member(name, b"1"), tar_format=tarfile.USTAR_FORMAT)
    assert found == [LayerEntry(name.encode(), "file", 1)]


def test_tarfile_agrees() -> None:
    members = [file_member(f"folder{number % 7}/file{number}", b"x" * (number * 37)) for number in range(100)]
    layer = tar_of(members)
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        expected = [(info.name.encode(), info.size) for info in tar]
    assert [(change.path, change.size) for change in changes(*cut(layer, 1000))] == expected
