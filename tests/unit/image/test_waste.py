"""Bytes that a layer holds and the image does not show, against counts made by other means."""

import os
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyport_wf.errors import SkyportError
from skyport_wf.image.examination.waste import Waste, WastedFile, find_waste
from skyport_wf.image.layers.entries import LayerEntry, open_layer, read_entries
from skyport_wf.image.layers.file_index import FileIndex, TooManyFilesError
from tests.support.docker_archives import File, file_member, member, tar_of


def waste_of(*layers: bytes, order: Sequence[int] | None = None, largest: int = 20) -> Waste:
    with FileIndex() as index:
        for number, layer in enumerate(layers):
            for entry in read_entries(open_layer([layer], name="the layer")):
                index.add(number, entry)
        order = order or range(len(layers))
        index.stack(order)
        return find_waste(index, len(order), largest=largest)


def layer(*members: File | str | tuple[str, int]) -> bytes:
    """Return a layer: a name ending in `/` is a folder, another one an empty file, a pair has a size."""
    made = []
    for given_member in members:
        if isinstance(given_member, str):
            folder = given_member.endswith("/")
            made.append(member(given_member, tarfile.DIRTYPE) if folder else file_member(given_member, b""))
        elif isinstance(given_member[0], str):
            made.append(file_member(given_member[0], b"x" * given_member[1]))
        else:
            made.append(given_member)
    return tar_of(made)


def hard_link(name: str, target: str) -> File:
    return member(name, tarfile.LNKTYPE, target=target)


def test_nothing_is_wasted() -> None:
    assert waste_of(layer("a/", ("a/b", 10)), layer(("c", 5))) == Waste((0, 0), (), ())


def test_a_file_that_is_deleted() -> None:
    waste = waste_of(layer("a/", ("a/b", 10)), layer("x"), layer("a/", "a/.wh.b"))
    assert waste == Waste((10, 0, 0), (WastedFile("a/b", 10, 1, 3, "deleted"),), ())
    assert waste.total == 10


def test_a_file_that_is_overwritten_twice() -> None:
    waste = waste_of(layer(("f", 10)), layer(("f", 20)), layer(("f", 30)))
    assert waste.by_layer == (10, 20, 0)
    assert waste.largest == (WastedFile("f", 20, 2, 3, "overwritten"), WastedFile("f", 10, 1, 2, "overwritten"))


def test_a_folder_that_is_deleted() -> None:
    lower = layer("d/", ("d/a", 1), "d/e/", ("d/e/b", 2), ("d.c", 4), ("d-", 8), ("da", 16))
    waste = waste_of(lower, layer(".wh.d"))
    assert waste.by_layer == (3, 0)
    assert {file.path for file in waste.largest} == {"d/a", "d/e/b"}


def test_a_folder_that_is_made_anew() -> None:
    waste = waste_of(layer("d/", ("d/a", 1), ("d/b", 2)), layer("d/", "d/.wh..wh..opq", ("d/a", 4)))
    assert waste.by_layer == (3, 0)
    assert {(file.path, file.how) for file in waste.largest} == {("d/a", "overwritten"), ("d/b", "deleted")}


def test_a_whiteout_leaves_its_own_layer_alone() -> None:
    for order in (["d/.wh..wh..opq", ("d/a", 4), ".wh.f", ("f", 8)], [("d/a", 4), "d/.wh..wh..opq", ("f", 8), ".wh.f"]):
        assert waste_of(layer(("d/a", 1), ("f", 2)), layer(*order)).by_layer == (3, 0)


def test_the_whole_root_is_emptied() -> None:
    assert waste_of(layer(("a", 1), ("b/c", 2)), layer(".wh..wh..opq", ("a", 4))).by_layer == (3, 0)


@pytest.mark.parametrize("replacement", ["link", "hard link", "file"])
def test_a_folder_that_becomes_something_else(replacement: str) -> None:
    something = {
        "link": member("d", tarfile.SYMTYPE, target="x"), "hard link": hard_link("d", "x"), "file": ("d", 5),
    }[replacement]  # fmt: skip
    waste = waste_of(layer("d/", ("d/a", 1)), layer(("x", 2), something))
    assert waste.largest == (WastedFile("d/a", 1, 1, 2, "deleted"),)


def test_a_file_that_becomes_a_folder_and_a_link() -> None:
    waste = waste_of(layer(("f", 1), ("g", 2)), layer("f/", member("g", tarfile.SYMTYPE, target="x")))
    assert waste.by_layer == (3, 0)


def test_a_folder_that_is_there_again_only_adds() -> None:
    assert waste_of(layer("d/", ("d/a", 1)), layer("d/", ("d/b", 2)), layer("d/")).total == 0


def test_the_lowest_layer_that_hides_is_named() -> None:
    lower = layer("d/", "d/e/", ("d/e/f", 1))
    upper = layer(".wh.d"), layer("d/", "d/e/", ("d/e/f", 2)), layer("d/", "d/.wh.e"), layer(".wh.d")
    assert set(waste_of(lower, *upper).largest) == {
        WastedFile("d/e/f", 1, 1, 2, "deleted"),
        WastedFile("d/e/f", 2, 3, 4, "deleted"),
    }


def test_a_hard_link_keeps_the_bytes() -> None:
    lower = layer(("a", 7), hard_link("b", "a"), hard_link("c", "a"))
    assert waste_of(lower, layer(".wh.a")).total == 0
    assert waste_of(lower, layer(".wh.a", ".wh.b")).total == 0
    assert waste_of(lower, layer(".wh.a", ".wh.b", ".wh.c")).total == 7
    assert waste_of(lower, layer(("a", 9))).total == 0


def test_a_hard_link_in_another_layer_keeps_nothing() -> None:
    copied_up = layer(("a", 7), hard_link("b", "a"))
    assert waste_of(layer(("a", 7)), copied_up).by_layer == (7, 0)


def test_a_path_that_comes_twice_in_a_layer() -> None:
    waste = waste_of(layer(("a", 3), ("a", 4)))
    assert waste.largest == (WastedFile("a", 3, 1, 1, "overwritten"),)


def test_a_layer_that_the_image_has_twice() -> None:
    waste = waste_of(layer(("a", 3)), layer(".wh.a"), order=[0, 1, 0])
    assert waste.by_layer == (3, 0, 0)
    assert waste_of(layer(("a", 3)), order=[0, 0]).by_layer == (3, 0)


def test_layers_that_came_by_in_another_order() -> None:
    upper, lower = layer(".wh.a"), layer(("a", 3))
    assert waste_of(upper, lower, order=[1, 0]).by_layer == (3, 0)
    assert waste_of(upper, lower).by_layer == (0, 0)


def test_a_layer_that_is_not_of_the_image_does_not_count() -> None:
    assert waste_of(layer(("a", 3)), layer(".wh.a"), order=[0]).by_layer == (0,)


def test_only_the_largest_are_named() -> None:
    waste = waste_of(layer(*((f"f{number:03}", number) for number in range(100))), layer(".wh..wh..opq"), largest=3)
    assert [file.path for file in waste.largest] == ["f099", "f098", "f097"]
    assert waste.total == sum(range(100))


def test_names_that_are_no_utf8_are_shown_as_escapes() -> None:
    with FileIndex() as index:
        index.add(0, LayerEntry(b"caf\xe9/\xff", "file", 5))
        index.add(1, LayerEntry(b"caf\xe9", "deleted"))
        index.stack([0, 1])
        assert find_waste(index, 2).largest[0].path == r"caf\xe9/\xff"


def test_too_many_paths() -> None:
    with FileIndex(max_paths=10) as index, pytest.raises(TooManyFilesError, match="hold more than 10 files"):
        for number in range(11):
            index.add(0, LayerEntry(b"%d" % number, "file"))


def test_too_many_bytes_of_paths() -> None:
    with FileIndex(max_path_bytes=1000) as index, pytest.raises(TooManyFilesError, match="more than 1,000 bytes"):
        for number in range(11):
            index.add(0, LayerEntry(b"%0100d" % number, "file"))


def test_layers_that_are_there_twice_count_twice() -> None:
    with FileIndex(max_paths=10) as index:
        for number in range(6):
            index.add(0, LayerEntry(b"%d" % number, "file"))
        with pytest.raises(TooManyFilesError):
            index.stack([0, 0])


def test_a_full_disk() -> None:
    with FileIndex() as index:
        index._database.execute("PRAGMA max_page_count = 100")
        with pytest.raises(SkyportError, match=r"files on disk: database or disk is full. Make room, or set SQLITE_TM"):
            for number in range(100_000):
                index.add(0, LayerEntry(b"%0200d" % number, "file"))


# --- against other means ---------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "a.b", "a-"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
KINDS = st.sampled_from(["file", "folder", "deleted", "emptied", "link"])
LAYERS = st.lists(st.lists(st.tuples(PATHS, KINDS, st.integers(1, 9)), max_size=6), min_size=1, max_size=5)


def possible(changes: list[tuple[str, str, int]]) -> dict[str, tuple[str, int]]:
    """Return what one layer can do: a path once, and nothing below what is no folder."""
    done: dict[str, tuple[str, int]] = {}
    for path, kind, size in changes:
        parents = [path[:at] for at, character in enumerate(path) if character == "/"]
        below = [other for other in done if other.startswith(path + "/")]
        if path in done or (below and kind != "folder"):
            continue
        if all(done.get(parent, ("folder", 0))[0] == "folder" for parent in parents):
            done |= dict.fromkeys(parents, ("folder", 0))
            done[path] = kind, size
    return {path: (("folder" if kind == "emptied" else kind), size) for path, (kind, size) in done.items()} | {
        f"{path}/.wh..wh..opq": ("mark", 0) for path, (kind, _) in done.items() if kind == "emptied"
    }


def simulate(layers: list[dict[str, tuple[str, int]]]) -> int:
    """Return the bytes that show: each layer applied to a plain dict of paths."""
    tree: dict[str, int | None] = {}

    def remove(path: str, *, itself: bool) -> None:
        for other in list(tree):
            if (itself and other == path) or other.startswith(path + "/"):
                del tree[other]

    for done in layers:
        for path, (kind, _) in done.items():
            if kind == "deleted":
                remove(path, itself=True)
            elif kind == "mark":
                remove(path.removesuffix("/.wh..wh..opq"), itself=False)
        for path, (kind, size) in sorted(done.items()):
            if kind in ("file", "link"):
                remove(path, itself=True)
                tree[path] = size if kind == "file" else 0
            elif kind == "folder" and tree.get(path) is not None:
                tree[path] = None
    return sum(size or 0 for size in tree.values())


@pytest.mark.slow
@given(LAYERS)
def test_a_simulation_agrees(drawn: list[list[tuple[str, str, int]]]) -> None:
    layers = [possible(changes) for changes in drawn]
    total = sum(size for done in layers for kind, size in done.values() if kind == "file")
    assert waste_of(*map(tar_of_changes, layers)).total == total - simulate(layers)


def tar_of_changes(done: dict[str, tuple[str, int]]) -> bytes:
    members = []
    for path, (kind, size) in done.items():
        folder, slash, name = path.rpartition("/")
        if kind == "file":
            members.append(file_member(path, b"x" * size))
        elif kind == "folder":
            members.append(member(path, tarfile.DIRTYPE))
        elif kind == "link":
            members.append(member(path, tarfile.SYMTYPE, target="nowhere"))
        else:
            members.append(file_member(path if kind == "mark" else f"{folder}{slash}.wh.{name}", b""))
    return tar_of(members)


def test_tar_and_find_agree(tmp_path: Path) -> None:
    """Lay the layers over each other on disk with `tar` and `rm`, and count what is left with `find`."""
    lower, upper, root = (tmp_path / name for name in ("lower", "upper", "root"))
    for number in range(40):
        path = lower / f"folder{number % 5}/deep/file{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * (1000 + number))
    for number in range(10):
        os.link(lower / f"folder0/deep/file{number * 5 % 40}", lower / f"again{number}")
    (upper / "folder1/deep").mkdir(parents=True)
    for number in range(1, 40, 5):
        (upper / f"folder1/deep/file{number}").write_bytes(b"y" * number)
    for whiteout in (".wh.folder2", "folder3/.wh.deep", "folder0/deep/.wh.file5", ".wh.again1"):
        (upper / whiteout).parent.mkdir(parents=True, exist_ok=True)
        (upper / whiteout).touch()
    layers = [subprocess.run(["tar", "-C", str(folder), "-c", "."], check=True, capture_output=True).stdout
              for folder in (lower, upper)]  # fmt: skip
    root.mkdir()
    subprocess.run(["tar", "-C", str(root), "-x"], input=layers[0], check=True)
    subprocess.run(["rm", "-r", "folder2", "folder3/deep", "folder0/deep/file5", "again1"], cwd=root, check=True)
    subprocess.run(["tar", "-C", str(root), "--exclude=.wh.*", "-x"], input=layers[1], check=True)
    wasted = bytes_of_files(lower) + bytes_of_files(upper) - bytes_of_files(root)
    assert waste_of(*layers).total == wasted > 10_000


def bytes_of_files(folder: Path) -> int:
    """Return the bytes of the files below a folder, those with several names once."""
    listed = subprocess.run(["find", str(folder), "-type", "f", "-printf", "%i %s\n"], check=True, capture_output=True)
    return sum(int(size) for _, size in {tuple(line.split()) for line in listed.stdout.splitlines()})
