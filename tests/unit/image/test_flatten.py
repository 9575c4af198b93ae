"""One layer made of an image's archive: the same files, the same config, the same bytes each time."""

import io
import json
import os
import subprocess
import tarfile
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyport_wf.errors import ArchiveError, SkyportError
from skyport_wf.image.archive.flatten import FlatArchive, flattened
from skyport_wf.image.archive.layers import check_archive
from skyport_wf.image.archive.reader import inspect_archive
from skyport_wf.image.examination.examine import examine_archive
from skyport_wf.image.layers.entries import open_layer, read_entries
from skyport_wf.image.layers.file_index import FileIndex
from skyport_wf.image.layers.loading import check_layers
from skyport_wf.image.layers.stacking import path_of
from skyport_wf.image_list.reference import parse_reference
from tests.support.big_archive import BigArchive
from tests.support.docker_archives import (
    LAYOUTS,
    REPO_TAG,
    File,
    Image,
    file_member,
    legacy,
    manifest_of,
    member,
    tar_of,
)
from tests.support.layer_words import layer

REFERENCE = parse_reference(REPO_TAG)


@contextmanager
def flat(archive: bytes, folder: Path) -> Iterator[FlatArchive]:
    with flattened(io.BytesIO(archive), REFERENCE, folder) as made:
        yield made


def flatten(*layers: bytes, folder: Path) -> bytes:
    """Return the one layer that is made of these."""
    with flat(tar_of(legacy(Image(layers))), folder) as made, tarfile.open(fileobj=archive_of(made)) as tar:
        content = tar.extractfile(tar.getmembers()[2])
        assert content is not None
        return content.read()


def archive_of(made: FlatArchive) -> io.BytesIO:
    return io.BytesIO(b"".join(made.pieces()))


def shown(*layers: bytes) -> dict[str, tuple[Any, ...]]:
    """Return the files that layers show: all of each but its place, and which others are the same file."""
    with FileIndex(with_contents=True) as index:
        for number, content in enumerate(layers):
            tar = open_layer([content], name="the layer")
            for entry in read_entries(tar):
                index.add(number, entry, tar)
        index.stack(range(len(layers)))
        assert check_layers(index) == []
        files = [file for file in index.shown() if file.kind != "hard link"]
    same: dict[tuple[int, int], set[str]] = {}
    for file in files:
        same.setdefault((file.place, file.number), set()).add(path_of(file.key))
    return {
        path_of(file.key): (
            *(file.kind, file.size, file.target, file.mode, file.uid, file.gid, file.mtime, file.xattrs, file.content),
            frozenset(same[file.place, file.number]),
        )
        for file in files
    }


def test_only_what_shows_is_kept(tmp_path: Path) -> None:
    made = flatten(layer("d/ d/a d/b e>d"), layer("d/.wh.a f .wh.e"), folder=tmp_path)
    with tarfile.open(fileobj=io.BytesIO(made)) as tar:
        assert [(info.name, info.type) for info in tar] == [
            ("d", tarfile.DIRTYPE), ("d/b", tarfile.REGTYPE), ("f", tarfile.REGTYPE),
        ]  # fmt: skip
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("upper", ["d/.wh..wh..opq", "d/a d/.wh..wh..opq", "d/.wh.a", "d/a"])
@pytest.mark.parametrize("lower", ["d>b", "d>b b/ b/c", "d"])
def test_a_folder_that_a_layer_only_implies_replaces_a_link_or_a_file(lower: str, upper: str, tmp_path: Path) -> None:
    """As Docker 20.10 with overlay2 shows them."""
    with tarfile.open(fileobj=io.BytesIO(flatten(layer(lower), layer(upper), folder=tmp_path))) as tar:
        assert tar.getmember("d").isdir()
        assert ("d/a" in tar.getnames()) == upper.startswith("d/a")


@pytest.mark.parametrize(
    ("layers", "names"),
    [
        (["a b=a c=b"], {"a": "", "b": "a", "c": "a"}),
        (["z a=z"], {"a": "", "z": "a"}),
        (["a b=a", ".wh.a"], {"b": ""}),
        (["m b=m c=m", ".wh.m"], {"b": "", "c": "b"}),
        (["a b=a", "a"], {"a": "", "b": ""}),
        (["a b=a", "a c=a"], {"a": "", "c": "a", "b": ""}),
        (["d/ d/a d/b=d/a", "d/.wh..wh..opq d/c"], {"d": "", "d/c": ""}),
        (["l>x m=l"], {"l": "", "m": "l"}),
        # A file lives on in its other names when its folder is gone, or when it went through a link.
        (["d/b a=d/b c=d/b d>x"], {"a": "", "c": "a", "d": ""}),
        (["d/b a=d/b c=a d!"], {"a": "", "c": "a", "d": ""}),
        (["d/ l>d l/x a=l/x"], {"a": "", "d": "", "d/x": "a", "l": ""}),
        (["d/a l>d l/x d!"], {"d": "", "l": ""}),
    ],
)
def test_hard_links_within_and_across_layers(layers: list[str], names: dict[str, str], tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(flatten(*map(layer, layers), folder=tmp_path))) as tar:
        assert {info.name: info.linkname if info.islnk() else "" for info in tar} == names


def test_a_folder_that_only_its_files_tell_of_takes_the_place_of_a_link(tmp_path: Path) -> None:
    made = flatten(layer("usr/bin/ usr/bin/a bin>usr/bin"), layer("bin/x"), folder=tmp_path)
    with tarfile.open(fileobj=io.BytesIO(made)) as tar:
        assert [(info.name, info.type) for info in tar][:2] == [("bin", tarfile.DIRTYPE), ("bin/x", tarfile.REGTYPE)]


def special() -> list[File]:
    """Return files with all that a header can say of them."""
    info, data = file_member("f", b"data")
    info.mode, info.uid, info.gid, info.mtime = 0o104755, 1 << 24, 7, 1_700_000_000.75  # type: ignore[assignment]
    info.pax_headers = {
        "SCHILY.xattr.security.capability": "\x01\x00\x00\x02" + "\x00" * 16,
        "SCHILY.xattr.user.x": "y",
    }
    old = file_member("old", b"", mtime=-5)
    long = file_member("/".join(["folder" * 10] * 5), b"1")
    device = member("null", tarfile.CHRTYPE)
    device[0].devmajor, device[0].devminor = 1, 3
    large = member("large", tarfile.BLKTYPE)
    large[0].devmajor, large[0].devminor = 2_000, 1_000_000
    folder = member("d/", tarfile.DIRTYPE)
    folder[0].mode, folder[0].pax_headers = 0o1777, {"SCHILY.xattr.user.x": "z"}
    link = member("link", tarfile.SYMTYPE, target="/" + "x" * 150)
    hard = member("again", tarfile.LNKTYPE, target=long[0].name)
    root = member("./", tarfile.DIRTYPE)
    root[0].mode = 0o700
    odd = file_member("caf\udce9", b"2")
    return [root, (info, data), old, long, device, large, folder, link, hard, odd, member("pipe", tarfile.FIFOTYPE)]


def test_all_that_headers_say_is_kept(tmp_path: Path) -> None:
    content = tar_of(special())
    made = flatten(content, folder=tmp_path)
    assert shown(made) == shown(content)
    with tarfile.open(fileobj=io.BytesIO(made)) as tar:
        members = {info.name: info for info in tar}
        assert {(info.uname, info.gname) for info in members.values()} == {("", "")}
        assert members["f"].pax_headers["mtime"] == "1700000000.75"
        assert members["f"].pax_headers["SCHILY.xattr.user.x"] == "y"
        assert (members["large"].devmajor, members["large"].devminor) == (2_000, 1_000_000)
        assert members["null"].pax_headers == {}


@pytest.mark.parametrize("form", ["--sparse-version=0.0", "--sparse-version=0.1", "--sparse-version=1.0"])
def test_files_that_are_stored_sparsely_stay_so(form: str, tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        for number in range(5):
            file.seek(number * 1_000_000)
            file.write(b"data")
    (tmp_path / "z").write_bytes(b"after")
    command = ["tar", "--sparse", "--format=pax", form, "-C", str(tmp_path), "-cf", "-", "sparse", "z"]
    made = flatten(subprocess.run(command, check=True, capture_output=True).stdout, folder=tmp_path)
    assert len(made) < 100_000
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-C", str(tmp_path / "out"), "-x"], input=made, check=True)
    for name in ("sparse", "z"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / name).read_bytes()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_bytes(layout: str, tmp_path: Path) -> None:
    image = Image((tar_of(special()), layer("x y=x"), layer(".wh.f z")))
    with flat(LAYOUTS[layout](image), tmp_path) as made:
        pieces = archive_of(made).getvalue()
    with flat(tar_of(legacy(image)), tmp_path) as again:
        assert again.image_id == made.image_id
        assert archive_of(again).getvalue() == pieces
    contents = inspect_archive(io.BytesIO(pieces))
    assert contents.image_id == made.image_id
    assert len(contents.layers) == 1
    assert contents.repo_tags == (REPO_TAG,)
    assert check_archive(io.BytesIO(pieces)).warnings == ()


def test_these_bytes_never_change(tmp_path: Path) -> None:
    with flat(tar_of(legacy(Image((tar_of(special()), layer("x y=x"), layer(".wh.f z"))))), tmp_path) as made:
        assert made.image_id == "sha256:a6ed3b9af84d612764fa89a899b613715c639e6f0abe9026de3f2163a44aeb8d"


def test_the_config_is_kept_but_for_how_the_layers_were_built(tmp_path: Path) -> None:
    image = Image((layer("a"), layer("b")), {"x": "y"})
    settings_of = {
        "Cmd": ["b"], "Entrypoint": ["/a"], "Env": ["A=b", "PATH=/bin"], "ExposedPorts": {"80/tcp": {}}, "User": "12",
        "Healthcheck": {"Test": ["NONE"]}, "Labels": {"l": "m"}, "OnBuild": ["RUN x"], "Shell": ["/bin/bash", "-c"],
        "StopSignal": "SIGINT", "Volumes": {"/v": {}}, "WorkingDir": "/w", "Other": None,
    }  # fmt: skip
    config = {
        **json.loads(image.config), "config": settings_of, "container": "0123", "docker_version": "20.10",
        "variant": "v8", "comment": "by hand", "os.version": "1",
        "history": [{"created_by": "x", "comment": "first"}, {"created_by": "y", "comment": "by a script"}],
    }  # fmt: skip
    with flat(archive_with(config, image), tmp_path) as made:
        found = json.loads(examine_archive(archive_of(made)).config)
    assert found.pop("rootfs").keys() == {"type", "diff_ids"}
    (step,) = found.pop("history")
    assert step["created_by"].startswith("flattened sha256:")
    assert (step["created"], step["comment"]) == (config["created"], "by a script")
    kept = {"architecture", "author", "comment", "config", "created", "os", "os.version", "variant"}
    assert found == {key: config[key] for key in kept}


def test_fields_of_the_config_have_their_names_in_any_case(tmp_path: Path) -> None:
    image = Image((layer("a"),))
    config = {
        "RootFS": {"diff_ids": image.diff_ids}, "Config": {"Env": ["A=b"]}, "OS": "linux", "architecture": "amd64",
        "Architecture": None, "History": [{"created_by": "x", "comment": "by hand"}],
    }  # fmt: skip
    with flat(archive_with(config, image), tmp_path) as made:
        found = json.loads(examine_archive(archive_of(made)).config)
    assert (found["config"], found["os"], found["architecture"]) == ({"Env": ["A=b"]}, "linux", "amd64")
    assert found["history"][0]["comment"] == "by hand"


def test_half_of_a_surrogate_pair_in_the_config(tmp_path: Path) -> None:
    image = Image((layer("a"),))
    config = {"rootfs": {"diff_ids": image.diff_ids}, "author": "caf\udce9"}
    with flat(archive_with(config, image), tmp_path) as made:
        assert json.loads(examine_archive(archive_of(made)).config)["author"] == "caf\ufffd"


def archive_with(config: dict[str, Any], image: Image) -> bytes:
    names = [f"{number}.tar" for number in range(len(image.layers))]
    layers = [file_member(name, content) for name, content in zip(names, image.layers, strict=True)]
    manifest = file_member("manifest.json", manifest_of("config.json", names))
    return tar_of([*layers, file_member("config.json", json.dumps(config).encode()), manifest])


def test_an_image_without_history_or_time(tmp_path: Path) -> None:
    image = Image((layer("a"),))
    with flat(archive_with({"rootfs": {"diff_ids": image.diff_ids}}, image), tmp_path) as made:
        config = json.loads(examine_archive(archive_of(made)).config)
    assert list(config["history"][0]) == ["created_by"]


def test_flattening_twice_changes_only_the_history(tmp_path: Path) -> None:
    with flat(tar_of(legacy(Image((tar_of(special()), layer("x"))))), tmp_path) as once:
        first = archive_of(once)
    with flat(first.getvalue(), tmp_path) as twice:
        second = archive_of(twice)
    layers = [inspect_archive(io.BytesIO(archive.getvalue())).layers for archive in (first, second)]
    assert layers[0][0].diff_id == layers[1][0].diff_id


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (layer("b=a"), "holds 'b', a hard link to a file that is not there, which no layer can have"),
        (tar_of([member("a", tarfile.GNUTYPE_SPARSE)]), "has 'a': it is stored sparsely, in GNU tar's own format"),
        (tar_of([member("a", b"Z")]), "has 'a': it is of type 'Z', which layers do not have"),
    ],
)
def test_what_no_layer_can_have_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError) as caught:
        flatten(content, folder=tmp_path)
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_archive(tmp_path: Path) -> None:
    archive = tar_of(legacy(Image((layer("a"), layer("b")))))
    for wrong in (archive[:3000], archive.replace(b"amd64", b"arm64"), b""):
        with pytest.raises(ArchiveError), flat(wrong, tmp_path):
            pass


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with (
        pytest.raises(SkyportError, match=r"cannot write .*/none: No such file or directory"),
        flat(tar_of(legacy(Image((layer("a"),)))), tmp_path / "none"),
    ):
        pass


def test_a_full_disk(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], check=True)
    try:
        content = tar_of([file_member("noise", os.urandom(200_000))])
        with pytest.raises(SkyportError, match=f"cannot write {tmp_path}: No space left on device. Make room"):
            flatten(content, folder=tmp_path)
        assert list(tmp_path.iterdir()) == []
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.slow
def test_memory_is_flat(tmp_path: Path) -> None:
    tracemalloc.start()
    with flattened(BigArchive(layer_size=64 << 20, layers=2), REFERENCE, tmp_path) as made:
        assert sum(map(len, made.pieces())) > 128 << 20
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30 << 20


WORDS = st.lists(
    st.sampled_from([
        *("a", "b", "d/", "d/a", "d/b", "d/e/a", "d>b", "l>d", "b=a", "d/b=a", "d/e/b=d/a", "a=d/b", ".wh.a", ".wh.d"),
        *("c=l/x", "d/.wh.a", "d/.wh..wh..opq", "d!", "b/c", "l/x"),
    ]),
    max_size=7,
)  # fmt: skip


@pytest.mark.slow
@settings(deadline=None, max_examples=300)
@given(st.lists(WORDS, min_size=1, max_size=4))
def test_any_layers_show_the_same_when_they_are_one(
    tmp_path_factory: pytest.TempPathFactory, words: list[list[str]]
) -> None:
    tars = [layer([*dict.fromkeys(each)]) for each in words]
    try:
        check_archive(io.BytesIO(tar_of(legacy(Image(tuple(tars))))))
    except ArchiveError:
        return
    made = flatten(*tars, folder=tmp_path_factory.getbasetemp())
    expected = shown(*tars)
    assert shown(made) == expected
    with tarfile.open(fileobj=io.BytesIO(made)) as tar:
        names = [info.name for info in tar]
        # Sorted, as a file's place must not depend on the layer that it came from.
        assert names == sorted(names, key=lambda name: name.split("/"))
        assert {name if name != "." else "" for name in names} == set(expected)
