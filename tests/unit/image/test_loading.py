"""Layers that Docker refuses to load: each was tried on Docker 20.10, 26 and 28 (overlay2), and podman 4.3 and 5.4."""

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest

from skyport_wf.cli.main import main
from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive.layers import check_archive
from skyport_wf.image.layers.entries import open_layer, read_entries
from skyport_wf.image.layers.file_index import FileIndex
from skyport_wf.image.layers.loading import LoadProblem, check_layers
from skyport_wf.shock.client import ShockClient
from tests.support.docker_archives import File, Image, file_member, layer_tar, legacy, manifest_of, member, tar_of
from tests.support.layer_words import layer


def problems(*layers: bytes) -> list[LoadProblem]:
    with FileIndex() as index:
        for number, content in enumerate(layers):
            for entry in read_entries(open_layer([content], name="the layer")):
                index.add(number, entry)
        index.stack(range(len(layers)))
        return check_layers(index)


@pytest.mark.parametrize(
    "layers",
    [
        ["a/ a/b"], ["a/b/c"], ["a/b a/"], ["a! a/../b!"],
        # Names are compared as they are in the tar, without detours.
        ["a /a"], ["a/ a/x /a"], ["a /a/ a/x"], ["a b=a /b=a"], ["a /a b=a"],
        # A whiteout has another name than its file.
        [".wh.a a"], [".wh.a a/"], [".wh.a a>b"], ["q .wh.a a=q"],
        ["a b=a"], ["a b=./a"], ["d/ a b=d/../a"], ["x a>x b=a"], ["a>x b=a"], ["x/ a>x b=a"], ["a b=a c=b"],
        ["a! b=a"],
        ["d/ d/a l>d b=l/a"], [".wh.a b=a"], ["a .=."],
        ["d/ l>d l/x"], ["d/ l>/d l/x"], ["d/ l>d l/x/"], ["d/ m>d l>m l/x"], ["p/ d/ p/l>../d p/l/x"],
        ["d/q l>d l/x"],
        ["l>d d/.wh..wh..opq l/.wh.x"], ["d/ q l>d l/.wh.x"], ["d/ l>d l/.wh..wh..opq"], ["a a/.wh..wh..opq"],
        # Whatever is in the way is removed, with what is below it.
        ["d/b a=d/b d!"], ["d/b d/c a>d a/c=d/b"], ["a/b a"], ["a/b a>zz"], ["q a/b a=q"],
        [".wh..wh.plnk/ .wh..wh.plnk/1.2 a"], [".wh..wh.aufs a"], [".wh..wh.foo a"], [".wh..wh..opq a"],
        # A folder is emptied by an attribute, of whatever a link there leads to.
        ["b d>b d/.wh..wh..opq"], ["d>b d/../b d/.wh..wh..opq"], [".wh.b d>b d/.wh..wh..opq"],
        ["b! d>b d/.wh..wh..opq"], ["b>c c d>b d/.wh..wh..opq"], ["d>b/c b/c d/.wh..wh..opq"],
        ["d/.wh..wh..opq"], ["d/ d/.wh.x/"], ["d/ d/.wh.x>y"], ["d/e/.wh.x"], ["d/.wh.y/x"],
        # Lower layers do not matter: each is unpacked by itself.
        ["a", "a b=a"], ["usr/bin/ bin>usr/bin", "bin/ bin/x"], ["usr/bin/ bin>usr/bin", "bin/x"],
        ["a/ a/x b/", "a>b"],
        ["a/ a/x", "a"], ["a", "a/ a/x"], ["a", "a/x"], ["a/ a/x b/", "a/.wh.x a>b"], ["a/ a/x b/", "a>b", "a/.wh.x"],
        ["a/ a/x", "a>nowhere", "a/.wh.x"], ["a", "a/.wh.x"], ["a", ".wh.zz"], ["a", "no/such/.wh.zz"],
        ["a", ".wh.a a"], ["d/ d/x l>d", "l/.wh..wh..opq"],
        ["d/ d/x", "d/ d/y d/.wh..wh..opq"], ["d/ d/x", ".wh.d d/ d/y"], ["a", "a"],
    ],
)  # fmt: skip
def test_layers_that_docker_loads(layers: list[str]) -> None:
    assert problems(*map(layer, layers)) == []


TWICE = "it is there twice in its layer"


@pytest.mark.parametrize(
    ("layers", "found"),
    [
        ("a a", f"/a: {TWICE}"), ("a b a", f"/a: {TWICE}"), ("a a/", f"/a: {TWICE}"), ("a/ a", f"/a: {TWICE}"),
        ("a/ a/x a", f"/a: {TWICE}"), ("a/ a/", f"/a: {TWICE}"), ("a>b a", f"/a: {TWICE}"), ("a>b a/", f"/a: {TWICE}"),
        ("./ ./ a", f"/: {TWICE}"), ("a ./a", f"/a: {TWICE}"), ("a b a=b", f"/a: {TWICE}"), ("b a=b a", f"/a: {TWICE}"),
        (".wh.a .wh.a", f"/a: {TWICE}"), ("d/ d/.wh..wh..opq d/.wh..wh..opq", f"/d: {TWICE}"),
        (".wh..wh.plnk .wh..wh.plnk", f"/.wh..wh.plnk: {TWICE}"),
        ("a .wh.a", "/a: its layer deletes it after it has made it"),
        ("a>b .wh.a", "/a: its layer deletes it after it has made it"),
        ("d/y .wh.d", "/d: its layer deletes it after it has put something below it"),
        ("d/.wh..wh..opq .wh.d", "/d: its layer deletes it after it has made it"),
        ("d/.wh.y .wh.d", "/d: its layer deletes it after it has put something below it"),
        (".wh.d d/y", "/d/y: it lies below /d, which its layer deletes"),
        (".wh.d d/.wh.y", "/d/y: it lies below /d, which its layer deletes"),
        ("b=a a", "/b: it is a hard link to /a, which is no file before it in its layer"),
        ("b=a", "/b: it is a hard link to /a, which is no file before it in its layer"),
        ("a=a", "/a: it is a hard link to /a, which is no file before it in its layer"),
        ("a /a=a", "/a: it is a hard link to /a, which is no file before it in its layer"),
        ("a/ b=a", "/b: it is a hard link to /a, which is no file before it in its layer"),
        ("a/x b=a", "/b: it is a hard link to /a, which is no file before it in its layer"),
        ("x b=.", "/b: it is a hard link to /, which is no file before it in its layer"),
        (".wh.a b=.wh.a", "/b: it is a hard link to /.wh.a, which is no file before it in its layer"),
        ("d/b d! a=d/b", "/a: it is a hard link to /d/b, which is no file before it in its layer"),
        ("c=b b=a a", "/c: it is a hard link to /b, which is no file before it in its layer"),
        ("b/x b=b/x", "/b: it is a hard link to /b/x, which is no file before it in its layer"),
        ("e/ e/x a>e a/x=e/x", "/a/x: it is a hard link to /e/x, which is no file before it in its layer"),
        ("e/ e/x a>e b=a/x a/x=e/x", "/a/x: it is a hard link to /e/x, which is no file before it in its layer"),
        ("a /=.", "/: it would take the place of the root"), ("//>x", "/: it would take the place of the root"),
        ("l>d l/x", "/l/x: it lies below /l, a link to a folder that is not before it in its layer"),
        ("l>/etc l/x/", "/l/x: it lies below /l, a link to a folder that is not before it in its layer"),
        ("l>d l/x d/", "/l/x: it lies below /l, a link to a folder that is not before it in its layer"),
        ("d l>d l/x", "/l/x: it lies below /l, a link to a folder that is not before it in its layer"),
        ("a>b b>a a/x", "/a/x: it lies below /a, a link to a folder that is not before it in its layer"),
        ("l>d l/.wh..wh..opq", "/l: it lies below /l, a link to a folder that is not before it in its layer"),
        ("a>b a/.wh.x", "/a/x: it lies below /a, a link to a folder that is not before it in its layer"),
        ("b d>b d/x/.wh..wh..opq", "/d/x: it lies below /d, a link to a folder that is not before it in its layer"),
        ("a a/x/.wh..wh..opq", "/a/x: it lies below /a, which is no folder"),
        ("a a/b", "/a/b: it lies below /a, which is no folder"),
        ("a a/b/", "/a/b: it lies below /a, which is no folder"),
        ("a b=a b/c", "/b/c: it lies below /b, which is no folder"),
        ("a! a/c", "/a/c: it lies below /a, which is no folder"),
        ("a a/.wh.x", "/a/x: it lies below /a, which is no folder"),
        ("a /a/x", "/a/x: it lies below /a, which is no folder"),
        ("d/ d/.wh.", "/d/.wh.: it is a whiteout without a name to delete"),
        ("d/ d/.wh..", "/d/.wh..: it is a whiteout without a name to delete"),
        (".wh...", "/.wh...: it is a whiteout without a name to delete"),
        ("n" * 256, f"/{'n' * 256}: its name is longer than file systems take"),
    ],
)  # fmt: skip
def test_layers_that_no_docker_loads(layers: str, found: str) -> None:
    assert f"layer 2, {found}" in map(str, problems(layer("first"), layer(layers)))
    assert all(not problem.by for problem in problems(layer(layers)))


@pytest.mark.parametrize("upper", ["b=a", "d/ b=a", "b=a a"])
def test_a_hard_link_to_a_file_of_a_lower_layer(upper: str) -> None:
    reason = "it is a hard link to /a, which is no file before it in its layer"
    assert problems(layer("a"), layer(upper)) == [LoadProblem(2, "/b", reason)]


def with_records(file: File, **records: str) -> bytes:
    info, data = file
    info.pax_headers = {key.replace("__", "."): value for key, value in records.items()}
    return tar_of([(info, data)])


CAPABILITY = "\x01\x00\x00\x02" + "\x00" * 16


@pytest.mark.parametrize(
    ("content", "reason", "by"),
    [
        (tar_of([member("a", b"Z")]), "it is of type 'Z', which layers do not have", ""),
        (tar_of([member("a", tarfile.CONTTYPE)]), "it is of type '7', which layers do not have", ""),
        (tar_of([member("a", tarfile.GNUTYPE_SPARSE)]), "it is stored sparsely, in GNU tar's own format", ""),
        (layer(["a>"]), "it is a link to a name of 0 bytes", ""),
        (layer([f"a>{'x' * 4096}"]), "it is a link to a name of 4,096 bytes", ""),
        (layer(["a", "b=/a"]), "it is a hard link to an absolute path", "Docker 29 and later"),
        (with_records(file_member("a", b""), SCHILY__xattr__user__x="y" * 70_000),
         "its attribute user.x is larger than Linux takes", ""),
        (with_records(file_member("a", b""), SCHILY__xattr__user__x="y" * 5_000),
         "its attribute user.x has 5,000 bytes", "engines on ext4"),
        (with_records(file_member("a", b""), SCHILY__xattr__user__="x"),
         "its attribute user. has nothing behind its namespace", ""),
        (with_records(file_member("a", b""), SCHILY__xattr__security__capability="zzz"),
         "its capabilities are in a form that Linux does not take", ""),
        (with_records(member("a", tarfile.SYMTYPE, target="b"), SCHILY__xattr__security__capability=CAPABILITY),
         "it has capabilities, and is no file", "Docker 28 and later"),
        (with_records(file_member("a", b""), SCHILY__xattr__system__posix_acl_access="zz"),
         "its access control list is in a form that Linux does not take", ""),
        (with_records(file_member("a", b""), SCHILY__xattr__x="y"),
         "its attribute x is in no namespace that Linux has", "Docker 26 and later"),
        (with_records(member("a", tarfile.SYMTYPE, target="b"), SCHILY__xattr__user__x="y"),
         "it has the attribute user.x, and is neither file nor folder", "Docker 28 and podman"),
    ],
)  # fmt: skip
def test_headers_that_engines_refuse(content: bytes, reason: str, by: str) -> None:
    assert [(problem.reason, problem.by) for problem in problems(content)] == [(reason, by)]


@pytest.mark.parametrize("size", [20, 24])
def test_capabilities_as_tools_write_them(size: int) -> None:
    value = f"\x01\x00\x00{chr(2 + (size == 24))}".ljust(size, "\x00")
    assert problems(with_records(file_member("a", b""), SCHILY__xattr__security__capability=value)) == []


def test_more_layers_than_docker_takes() -> None:
    assert problems(*[layer(f"{number}") for number in range(125)]) == []
    (problem,) = problems(*[layer(f"{number}") for number in range(126)])
    assert str(problem) == "it has 126 layers, and Docker takes 125"


def test_a_million_files_below_one_make_one_problem() -> None:
    assert len(problems(layer(["a", *(f"a/{number}" for number in range(1000))]))) == 1
    assert len(problems(layer([f"{number // 2}" for number in range(1000)]))) == 20


def test_an_archive_that_docker_cannot_load_is_refused() -> None:
    archive = tar_of(legacy(Image((layer("a"), layer("c d=c b=a e=f")))))
    with pytest.raises(ArchiveError) as caught:
        check_archive(named(archive))
    assert str(caught.value) == (
        "old.tar cannot be loaded by Docker: layer 2, /b: it is a hard link to /a, which is no file before it in its "
        "layer (and 1 more of its kind). Build the image with another tool."
    )


def test_publish_refuses_it_and_nothing_is_left(
    shock: ShockClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old.tar").write_bytes(tar_of(legacy(Image((layer("a"), layer("c d=c b=a"))))))
    (tmp_path / "images.yaml").write_text("images: [{name: 'lab/old:1', archive: old.tar}]\n")
    monkeypatch.chdir(tmp_path)
    for more in ([], ["--dry-run"]):
        assert main(["publish", "lab/old:1", *more]) == 1
        printed = capsys.readouterr()
        assert "old.tar cannot be loaded by Docker: layer 2, /b: it is a hard link to /a" in printed.out + printed.err
    assert shock.query({}) == []


def test_an_archive_that_some_engines_cannot_load_is_taken_with_a_warning() -> None:
    found = check_archive(named(tar_of(legacy(Image((layer("a b=/a"),))))))
    assert found.warnings == ("Docker 29 and later refuse it: layer 1, /b: it is a hard link to an absolute path",)


def test_an_image_for_windows() -> None:
    image = Image((layer("a"),))
    config = json.dumps({**json.loads(image.config), "os": "windows"}).encode()
    manifest = file_member("manifest.json", manifest_of("config.json", ["0.tar"]))
    archive = tar_of([file_member("0.tar", image.layers[0]), file_member("config.json", config), manifest])
    with pytest.raises(ArchiveError, match=r"cannot be loaded by Docker: it is an image for windows, and AWE workers"):
        check_archive(named(archive))


def test_a_problem_in_a_layer_of_another_image_does_not_count() -> None:
    strays = [file_member("stray/layer.tar", layer("a a")), file_member("stray.gz", gzip.compress(b"no tar" * 100))]
    archive = tar_of([*strays, *legacy(Image((layer_tar({"a": b""}),)))])
    assert check_archive(named(archive)).warnings == ()


class Named(io.BytesIO):
    name = "old.tar"


def named(archive: bytes) -> Named:
    return Named(archive)
