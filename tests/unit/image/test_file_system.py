"""The files that an image shows: hand-made layers, against what is expected and what `tar` makes of them."""

import os
import stat
import subprocess
import tarfile
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyport_wf.errors import ArchiveError
from skyport_wf.image.layers.entries import open_layer, read_entries
from skyport_wf.image.layers.file_index import FileIndex, TooManyFilesError
from skyport_wf.image.layers.stacking import PlacedEntry, path_of
from tests.support.docker_archives import File, file_member, member, tar_of


def fill(index: FileIndex, layers: Iterable[bytes], order: Iterable[int] | None = None) -> None:
    tars = [open_layer([layer], name="the layer") for layer in layers]
    for number, tar in enumerate(tars):
        for entry in read_entries(tar):
            index.add(number, entry, tar)
    index.stack(list(order) if order is not None else range(len(tars)))


def shown(*layers: bytes, order: Iterable[int] | None = None) -> dict[str, PlacedEntry]:
    with FileIndex(with_contents=True) as system:
        fill(system, layers, order)
        return {path_of(file.key): file for file in system.shown()}


def texts(*layers: bytes, order: Iterable[int] | None = None) -> dict[str, int | str]:
    """Return the size of each file, the type of everything else."""
    return {path: file.size if file.kind == "file" else file.kind for path, file in shown(*layers, order=order).items()}


def layer(*members: File | str | tuple[str, int]) -> bytes:
    """Return a layer: a name ending in `/` is a folder, another one an empty file, a pair has a size."""
    made = []
    for given_member in members:
        if isinstance(given_member, str):
            folder = given_member.endswith("/")
            made.append(member(given_member, tarfile.DIRTYPE) if folder else file_member(given_member, b""))
        elif isinstance(given_member[0], str):
            made.append(file_member(given_member[0], b"x" * int(given_member[1])))  # type: ignore[call-overload]
        else:
            made.append(given_member)
    return tar_of(made)


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> File:
    return member(name, kind, target=target)


def test_what_the_highest_layer_says_counts() -> None:
    assert texts(layer("d/", ("d/a", 1), ("d/b", 2)), layer(("d/b", 3))) == {"d": "folder", "d/a": 1, "d/b": 3}


def test_a_whiteout() -> None:
    assert texts(layer("d/", ("d/a", 1), ("da", 2), ("d-", 3)), layer(".wh.d")) == {"da": 2, "d-": 3}
    assert texts(layer("d/", ("d/a", 1)), layer("d/", "d/.wh.a")) == {"d": "folder"}
    assert texts(layer("d/", ("d/a", 1)), layer("d/.wh.a"), layer(("d/a", 2))) == {"d": "folder", "d/a": 2}


def test_an_opaque_folder() -> None:
    lower = layer("d/", "d/e/", ("d/e/a", 1), ("d/b", 2))
    for upper in (layer("d/", "d/.wh..wh..opq", ("d/b", 4)), layer(("d/b", 4), "d/.wh..wh..opq", "d/")):
        assert texts(lower, upper) == {"d": "folder", "d/b": 4}
        assert texts(lower, upper, layer(("d/c", 5))) == {"d": "folder", "d/b": 4, "d/c": 5}


def test_a_whiteout_leaves_its_own_layer_alone() -> None:
    lower = layer("d/", ("d/old", 1), ("f", 1))
    for members in (["d/", ("d/new", 2), ".wh.d"], [".wh.d", "d/", ("d/new", 2)]):
        assert texts(lower, layer(*members)) == {"d": "folder", "d/new": 2, "f": 1}


def test_other_types() -> None:
    folder = layer("x/", ("x/a", 1))
    assert texts(folder, layer(("x", 3))) == {"x": 3}
    assert texts(folder, layer(link("x", "y"))) == {"x": "symbolic link"}
    assert texts(folder, layer(("x", 3)), layer("x/", ("x/b", 4))) == {"x": "folder", "x/b": 4}
    assert texts(layer(("x", 3)), folder) == {"x": "folder", "x/a": 1}


def test_a_layer_that_is_there_twice() -> None:
    one, two = layer(("a", 1), ("b", 1)), layer(".wh.a", ("b", 2))
    assert texts(one, two, order=[0, 1, 0]) == {"a": 1, "b": 1}
    assert texts(one, two, order=[1, 0]) == {"a": 1, "b": 1}
    assert texts(one, two, order=[0, 1]) == {"b": 2}


def test_a_hard_link_is_what_it_names() -> None:
    links = layer(("a", 7), link("b", "a", tarfile.LNKTYPE), link("c", "b", tarfile.LNKTYPE))
    found = shown(links)
    assert {file._replace(key=b"") for file in found.values()} == {found["a"]._replace(key=b"")}
    assert found["b"].kind == "file"
    # The file is what it was when the link was made, though its own name is another file's now.
    assert texts(links, layer(("a", 9))) == {"a": 9, "b": 7, "c": 7}
    assert texts(links, layer(".wh.a")) == {"b": 7, "c": 7}
    assert texts(layer(("a", 1)), layer(link("b", "a", tarfile.LNKTYPE))) == {"a": 1, "b": 1}


def test_a_hard_link_that_leads_nowhere() -> None:
    found = shown(layer(link("b", "gone", tarfile.LNKTYPE), link("c", "c", tarfile.LNKTYPE)))
    assert {path: (file.kind, path_of(file.target)) for path, file in found.items()} == {
        "b": ("hard link", "gone"),
        "c": ("hard link", "c"),
    }


def test_attributes() -> None:
    info, data = file_member("f", b"data")
    info.mode, info.uid, info.gid, info.mtime = 0o104755, 1 << 20, 7, 1_700_000_000.75  # type: ignore[assignment]
    info.pax_headers = {"SCHILY.xattr.security.capability": "x"}
    device = member("d", tarfile.CHRTYPE)[0]
    device.devmajor, device.devminor = 1, 300
    plain, _ = file_member("f", b"data")
    for tar_format in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        found = shown(tar_of([(info, data), (device, b""), link("l", "/x" * 80)], tar_format=tar_format))
        file = found["f"]
        assert (file.mode, file.uid, file.gid, file.mtime) == (0o4755, 1 << 20, 7, 1_700_000_000)
        assert (found["d"].kind, found["d"].target) == ("character device", b"1:300")
        assert (found["l"].kind, found["l"].target) == ("symbolic link", b"/x" * 80)
        assert bool(file.xattrs) == (tar_format == tarfile.PAX_FORMAT)
    assert shown(tar_of([(plain, data)]))["f"].xattrs == b""


@pytest.mark.parametrize(
    "records",
    [{"uid": "x"}, {"gid": "9" * 30}, {"mtime": "-99999999999999999999.5"}, {"mtime": "nan"}, {"uid": "9" * 5000}],
)
def test_numbers_that_are_none(records: dict[str, str]) -> None:
    info, _ = file_member("f", b"")
    info.pax_headers = records
    with pytest.raises(ArchiveError, match=r"the layer has a member with a number in its header that is none"):
        shown(tar_of([(info, b"")]))


def test_too_many() -> None:
    many = layer(*(f"f{number}" for number in range(11)))
    with FileIndex(max_paths=10) as system, pytest.raises(TooManyFilesError):
        fill(system, [many])
    with FileIndex(max_path_bytes=1000) as system, pytest.raises(TooManyFilesError):
        fill(system, [layer(link("l", "x" * 1000))])


@pytest.mark.slow
def test_many_files_take_no_more_memory() -> None:
    """A layer that comes piece by piece, of which two numbers of files are compared."""

    def pieces(count: int) -> Iterator[bytes]:
        for number in range(count):
            yield tarfile.TarInfo(f"folder{number % 100}/file-{number}-{'x' * 50}").tobuf()

    def peak(count: int) -> int:
        tracemalloc.start()
        with FileIndex(with_contents=True) as system:
            tar = open_layer(pieces(count), name="the layer")
            for entry in read_entries(tar):
                system.add(0, entry, tar)
            system.stack([0])
            assert sum(1 for _ in system.shown()) == count
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few, many = peak(3_000), peak(30_000)
    assert many < few + 500_000


_NAMES = st.sampled_from(["a", "b", "d/a", "d/b", "d/e/a", "d/e/b"])


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.tuples(_NAMES, st.integers(0, 9)), max_size=4), min_size=1, max_size=3))
def test_the_same_as_unpacking_with_tar(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[tuple[str, int]]]
) -> None:
    """Layers of files, folders and hard links: what `tar` unpacks from all of them is listed from the disk."""
    layers = []
    for number, names in enumerate(files):
        members: list[File | str | tuple[str, int]] = ["d/", "d/e/"]
        for name, size in dict(names).items():
            members += [(name, size), link(f"{name}.link{number}", name, tarfile.LNKTYPE)]
        layers.append(layer(*members))
    folder = tmp_path_factory.mktemp("unpacked")
    for content in layers:
        subprocess.run(["tar", "x", "-C", str(folder)], input=content, check=True)
    assert texts(*layers) == dict(on_disk(folder))


def on_disk(folder: Path) -> Iterator[tuple[str, int | str]]:
    for path in folder.rglob("*"):
        info = os.lstat(path)
        yield str(path.relative_to(folder)), info.st_size if stat.S_ISREG(info.st_mode) else "folder"
