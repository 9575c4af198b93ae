"""What two images differ in, and the verdict: hand-made images, each difference by itself."""

import gzip
import hashlib
import io
import json
import tarfile
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from skyport_wf.byte_streams import ChunkReader
from skyport_wf.errors import ArchiveError, SkyportError
from skyport_wf.image.comparison.comparison import ComparedImage, ImageComparison, compare_images
from skyport_wf.image.comparison.file_changes import FileChanges, FileDifferences, FileState, compare_files
from skyport_wf.image.comparison.metadata import MetadataChange, compare_metadata
from skyport_wf.image.comparison.packages import PackageChange, compare_packages
from skyport_wf.image.comparison.traces import is_trace
from skyport_wf.image.examination.examine import examine_archive
from skyport_wf.image.examination.packages.package import Package, PackageKind
from skyport_wf.image.layers.content_digest import digest_content
from skyport_wf.image.layers.file_index import FileIndex
from skyport_wf.image.layers.stacking import PlacedEntry, sort_key
from tests.support.docker_archives import File, Image, file_member, legacy, member, tar_of


def compare(published: Image, rebuilt: Image, *, max_paths: int = 1000, **options: Any) -> ImageComparison:
    with (
        FileIndex(with_contents=True, max_paths=max_paths) as before,
        FileIndex(with_contents=True, max_paths=max_paths) as after,
    ):
        images = [
            ComparedImage(examine_archive(io.BytesIO(tar_of(legacy(image))), index=files), files)
            for image, files in ((published, before), (rebuilt, after))
        ]
        return compare_images(*images, **options)


def layer(*members: File) -> bytes:
    return tar_of(members)


def paths(changes: FileChanges) -> dict[str, tuple[str, ...]]:
    return {change.path: (change.how, *change.what) for change in changes.listed}


def owned(file: File, *, uid: int = 1000, mode: int = 0o644, **records: str) -> File:
    info, data = file
    info.uid, info.mode, info.pax_headers = uid, mode, records
    return info, data


def test_one_and_the_same() -> None:
    image = Image((layer(file_member("a", b"1")),))
    found = compare(image, image)
    assert found.verdict == "identical"
    assert (found.files, found.traces, found.packages, found.metadata, found.touched) == (
        FileChanges(), FileChanges(), (), (), 0,
    )  # fmt: skip


def test_other_times_are_the_same_contents() -> None:
    """In one layer or in two, as nothing but the number of layers tells them apart."""
    older, newer = (layer(file_member("a", b"1", mtime=time), member("d/", tarfile.DIRTYPE)) for time in (1, 2))
    found = compare(Image((older,)), Image((newer,)))
    assert (found.verdict, found.touched, found.published_id != found.rebuilt_id) == ("same contents", 1, True)
    split = Image((layer(file_member("a", b"1")), layer(member("d/", tarfile.DIRTYPE))))
    found = compare(Image((older,)), split)
    assert (found.verdict, found.files.total) == ("drifted", 0)
    assert found.metadata == (
        MetadataChange("layers", "1", "2"),
        MetadataChange("history 2", None, "step 1"),
    )


def test_each_difference_of_files() -> None:
    before = layer(
        file_member("gone", b"1"),
        file_member("content", b"1"),
        owned(file_member("mode", b"1"), mode=0o644),
        owned(file_member("owner", b"1"), uid=1),
        owned(file_member("capability", b"1"), **{"SCHILY.xattr.security.capability": "1"}),
        file_member("type", b"1"),
        member("link", tarfile.SYMTYPE, target="a"),
        member("same/", tarfile.DIRTYPE),
    )
    after = layer(
        file_member("content", b"2"),
        owned(file_member("mode", b"1"), mode=0o4755),
        owned(file_member("owner", b"1"), uid=2),
        file_member("capability", b"1"),
        member("type", tarfile.SYMTYPE, target="content"),
        member("link", tarfile.SYMTYPE, target="b"),
        member("same/", tarfile.DIRTYPE),
        file_member("same/new\x1b[31m", b"1"),
    )
    found = compare(Image((before,)), Image((after,)))
    assert found.verdict == "drifted"
    assert (found.files.added, found.files.removed, found.files.changed) == (1, 1, 6)
    assert paths(found.files) == {
        "/gone": ("removed",), "/content": ("changed", "content"), "/mode": ("changed", "mode"),
        "/owner": ("changed", "owner"),
        "/capability": ("changed", "attributes"), "/type": ("changed", "type"), "/link": ("changed", "link"),
        "/same/new\x1b[31m": ("added",),
    }  # fmt: skip
    states = {change.path: (change.published, change.rebuilt) for change in found.files.listed}
    one = hashlib.sha256(b"1").hexdigest()
    assert states["/mode"] == (
        FileState("file", 1, "0644", "1000:100", "", one), FileState("file", 1, "4755", "1000:100", "", one),
    )  # fmt: skip
    assert states["/gone"][1] is None
    assert states["/link"][1] == FileState("symbolic link", 0, "0644", "1000:100", "b", "")


FILES = (file_member("bin/bash", b"1"), file_member("usr/lib/x/a", b"1"), file_member("usr/lib-y", b"1"))


def folder(name: str, mode: int = 0o755, *, uid: int = 0) -> File:
    info, data = owned(member(name, tarfile.DIRTYPE, mtime=5), uid=uid, mode=mode)
    info.gid = 0
    return info, data


FOLDERS = tuple(map(folder, ("bin/", "usr/", "usr/lib/", "usr/lib/x/")))


@pytest.mark.parametrize("root", [(), (folder("./"),)])
def test_folders_that_no_layer_names_are_as_engines_make_them(root: tuple[File, ...]) -> None:
    named, implied = Image((layer(*root, *FOLDERS, *FILES),)), Image((layer(*FILES),))
    for found in (compare(named, implied), compare(implied, named)):
        assert (found.verdict, found.files.total, found.touched) == ("same contents", 0, 0)


def test_the_root_alone_is_as_engines_make_it() -> None:
    assert compare(Image((layer(folder("./")),)), Image((layer(),))).verdict == "same contents"
    # Nothing but what is in it tells of a folder that no layer names.
    assert paths(compare(Image((layer(),)), Image((layer(FILES[0]),))).files) == {"/bin/bash": ("added",)}


def test_a_folder_that_no_layer_names_differs_from_another_one() -> None:
    implied = Image((layer(*FILES),))
    named = Image((layer(folder("./", 0o700), folder("bin/", uid=7), folder("opt/"), *FILES),))
    assert paths(compare(implied, named).files) == {
        "/": ("changed", "mode"), "/bin": ("changed", "owner"), "/opt": ("added",)
    }  # fmt: skip
    # What is above is a link, or gone with all that was in it.
    linked = (layer(member("bin", tarfile.SYMTYPE, target="usr/bin")), layer(*FILES))
    assert paths(compare(Image(linked[:1]), Image((layer(),))).files) == {"/bin": ("removed",)}
    gone = Image((layer(*FILES, folder("usr/", 0o700)), layer(file_member(".wh.usr", b""))))
    assert paths(compare(Image((layer(FILES[0]),)), gone).files) == {}


def test_logs_and_caches_are_told_apart() -> None:
    before = layer(file_member("var/log/apt/history.log", b"1"), file_member("var/log/gone", b"1"))
    after = layer(file_member("var/log/apt/history.log", b"2"), file_member("tmp/new", b"1"))
    found = compare(Image((before,)), Image((after,)))
    assert (found.verdict, found.files.total) == ("drifted", 0)
    assert paths(found.traces) == {
        "/tmp/new": ("added",), "/var/log/apt/history.log": ("changed", "content"), "/var/log/gone": ("removed",),
    }  # fmt: skip
    assert compare(Image((before,)), Image((after,)), ignore_traces=True).verdict == "same contents"


def test_another_owner_of_a_log_counts() -> None:
    before = layer(owned(file_member("var/log/x", b"1"), uid=0))
    after = layer(owned(file_member("var/log/x", b"2"), uid=5))
    assert paths(compare(Image((before,)), Image((after,))).files) == {"/var/log/x": ("changed", "content", "owner")}


def test_what_is_to_be_ignored_is_counted() -> None:
    before, after = (layer(file_member("opt/a", data), file_member("b", b"1")) for data in (b"1", b"2"))
    found = compare(Image((before,)), Image((after,)), ignored=lambda path: path.startswith("/opt/"))
    assert (found.verdict, found.ignored, found.files.total) == ("same contents", 1, 0)


def test_packages() -> None:
    status = "Package: {}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {}\n\n"
    before, after = (
        layer(file_member("var/lib/dpkg/status", "".join(status.format(*package) for package in packages).encode()))
        for packages in ([("curl", "1"), ("bash", "5")], [("curl", "2"), ("bash", "5"), ("zsh", "3")])
    )
    found = compare(Image((before,)), Image((after,)))
    assert found.packages == (
        PackageChange("deb", "curl", "amd64", "1", "2"),
        PackageChange("deb", "zsh", "amd64", None, "3"),
    )
    assert paths(found.files) == {"/var/lib/dpkg/status": ("changed", "content")}


def test_a_package_that_is_there_several_times() -> None:
    def package(version: str, place: str, architecture: str = "") -> Package:
        return Package("pypi", "six", version, architecture, "", place)

    assert compare_packages([package("1", "a")], [package("1", "b"), package("1", "c")]) == ()
    assert compare_packages([package("1", "a")], [package("1", "a"), package("2", "b")]) == (
        PackageChange("pypi", "six", "", "1", "1, 2"),
    )
    assert compare_packages([package("1", "a", "amd64")], []) == (PackageChange("pypi", "six", "amd64", "1", None),)


def test_a_package_whose_name_is_spelled_otherwise() -> None:
    """Python's index takes `-`, `_` and `.`, upper and lower case for the same; nothing else does."""

    def package(name: str, version: str, kind: PackageKind = "pypi") -> Package:
        return Package(kind, name, version)

    assert compare_packages([package("Foo-bar", "1")], [package("foo_bar", "1")]) == ()
    changed = (PackageChange("pypi", "Foo-bar", "", "1", "2"),)
    assert compare_packages([package("Foo-bar", "1")], [package("foo.bar", "2")]) == changed
    assert len(compare_packages([package("foo-bar", "1", "deb")], [package("foo.bar", "1", "deb")])) == 2
    assert len(compare_packages([package("Foo", "1", "rpm")], [package("foo", "1", "rpm")])) == 2


def test_too_many_files_to_compare() -> None:
    many = Image((layer(*(file_member(f"f{number}", b"") for number in range(20))),))
    few = Image((layer(file_member("f", b"")),))
    with pytest.raises(SkyportError, match=r"the rebuilt image cannot be compared: .* more than 10 files\.$"):
        compare(few, many, max_paths=10)


# -- what an image says of itself


def config(settings: dict[str, Any] | None = None, **fields: Any) -> bytes:
    return json.dumps({"config": settings or {}, "rootfs": {"diff_ids": ["x"]}, **fields}).encode()


def test_times_and_ids_say_nothing() -> None:
    before = config(
        {"Hostname": "4f1c", "Image": "sha256:1", "WorkingDir": "", "Labels": None},
        created="2024", container="4f1c", container_config={"Cmd": ["x"]}, docker_version="20", id="1", parent="0",
        history=[{"created": "2024", "created_by": f"flattened sha256:{'1' * 64}"}],
    )  # fmt: skip
    after = config(
        {"Hostname": "", "Image": "sha256:2", "WorkingDir": "/", "Volumes": {}},
        created="2025", docker_version="28",
        history=[{"created": "2025", "created_by": f"flattened sha256:{'2' * 64}", "empty_layer": False}],
    )  # fmt: skip
    assert compare_metadata(before, after) == ()


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"Env": ["A=1", "B=2"]}, {"Env": ["B=3=", "A=1", "C="]},
         [("Env B", "2", "3="), ("Env C", None, "")]),
        ({"Labels": {"a.b": "1"}}, {"Labels": {"c": "2"}}, [("Labels a.b", "1", None), ("Labels c", None, "2")]),
        ({"Entrypoint": ["/a"], "Cmd": ["x"]}, {"Cmd": ["x"]}, [("Entrypoint", '["/a"]', None)]),
        ({"User": "root"}, {"User": "1000"}, [("User", "root", "1000")]),
        ({"ExposedPorts": {"80/tcp": {}, "1/udp": {}}}, {"ExposedPorts": {"1/udp": {}}},
         [("ExposedPorts", '{"1/udp":{},"80/tcp":{}}', '{"1/udp":{}}')]),
        ({"Healthcheck": {"Test": ["CMD", "x"]}}, {"OnBuild": ["RUN x"], "StopSignal": "9", "Shell": ["/bin/bash"]},
         [("Healthcheck", '{"Test":["CMD","x"]}', None), ("OnBuild", None, '["RUN x"]'),
          ("Shell", None, '["/bin/bash"]'), ("StopSignal", None, "9")]),
    ],
)  # fmt: skip
def test_settings(before: dict[str, Any], after: dict[str, Any], expected: list[tuple[str, str | None, str]]) -> None:
    assert compare_metadata(config(before), config(after)) == tuple(MetadataChange(*change) for change in expected)


def test_platform_and_other_fields() -> None:
    assert compare_metadata(
        config(architecture="amd64", os="linux"), config(architecture="arm64", os="linux", variant="v8", author="me")
    ) == (
        MetadataChange("architecture", "amd64", "arm64"), MetadataChange("author", None, "me"),
        MetadataChange("variant", None, "v8"),
    )  # fmt: skip


def test_names_of_fields_count_as_docker_reads_them_whatever_their_case() -> None:
    settings = {
        "Entrypoint": ["x"], "Env": ["A=1"], "Labels": {"a": "b"}, "WorkingDir": "/", "Hostname": "1",
        "Healthcheck": {"Test": ["CMD", "x"]},
    }  # fmt: skip
    steps = [{"created_by": "a", "created": "2024", "empty_layer": True}]
    before = {"architecture": "amd64", "history": steps, "rootfs": {"diff_ids": ["x"]}, "config": settings}

    def shouted(value: Any) -> Any:
        if isinstance(value, list):
            return [shouted(one) for one in value]
        if not isinstance(value, dict):
            return value
        return {name.upper(): part if name in ("Labels", "Env") else shouted(part) for name, part in value.items()}

    after = {**shouted(before), "config": None, "Architecture": None}
    assert compare_metadata(json.dumps(before).encode(), json.dumps(after).encode()) == ()
    # Of labels, variables and what Docker does not know, the case counts.
    assert compare_metadata(
        config({"Labels": {"a": "1"}, "Env": ["A=1"], "Other": 1}),
        config({"labels": {"A": "1"}, "ENV": ["a=1"], "other": 1, "entryPoint": ["y"]}),
    ) == (
        MetadataChange("Entrypoint", None, '["y"]'), MetadataChange("Env A", "1", None),
        MetadataChange("Env a", None, "1"), MetadataChange("Labels A", None, "1"),
        MetadataChange("Labels a", "1", None), MetadataChange("Other", "1", None), MetadataChange("other", None, "1"),
    )  # fmt: skip


def test_history_is_compared_step_by_step() -> None:
    def history(*steps: str) -> bytes:
        return config(history=[{"created_by": step, "comment": "buildkit.dockerfile.v0"} for step in steps])

    assert compare_metadata(history("a", "b", "d"), history("a", "B", "c", "d")) == (
        MetadataChange("history 2", "b", "B"), MetadataChange("history 3", None, "c"),
    )  # fmt: skip
    assert compare_metadata(history("a"), history("a", "a")) == (MetadataChange("history 2", None, "a"),)
    assert compare_metadata(config(history=[{"created_by": "a", "author": "x"}]), history("a")) == (
        MetadataChange("history 1", '{"author":"x","created_by":"a"}', "a"),
    )


@pytest.mark.parametrize("content", [b"[]", b"{", b'{"a":' * 100_000])
def test_a_config_that_is_none(content: bytes) -> None:
    with pytest.raises(ArchiveError, match="an image's config cannot be read"):
        compare_metadata(content, config())


def test_half_of_a_surrogate_pair_is_compared_as_docker_reads_it() -> None:
    half = config(User="QQQ").replace(b"QQQ", rb"caf\udce9")
    assert compare_metadata(half, config(User="caf\ufffd")) == ()
    assert compare_metadata(half, config(User="x")) == (MetadataChange("User", "caf\ufffd", "x"),)


@pytest.mark.parametrize("odd", [{"config": [1]}, {"config": {"Env": "x", "Labels": 5}}, {"history": 1}, {"rootfs": 2}])
def test_an_odd_config_is_compared_all_the_same(odd: dict[str, Any]) -> None:
    assert compare_metadata(json.dumps(odd).encode(), json.dumps(odd).encode()) == ()
    assert compare_metadata(json.dumps(odd).encode(), config(User="x"))


# -- times in files


def timeless(path: str, content: bytes) -> bytes:
    return digest_content(path.encode(), io.BytesIO(content))[1]


def test_the_time_of_a_gzip_file() -> None:
    one, other = (gzip.compress(b"page", mtime=time) for time in (1, 2))
    assert one != other
    assert timeless("usr/share/man/x.gz", one) == timeless("usr/share/man/x.gz", other) != b""
    assert timeless("x.gz", one) != timeless("x.gz", gzip.compress(b"Page", mtime=1))
    assert timeless("x.gz", b"no gzip") == b""


def test_the_time_of_a_compiled_module() -> None:
    def compiled(flags: int, time: bytes, code: bytes = b"code") -> bytes:
        return b"\xa7\r\r\n" + flags.to_bytes(4, "little") + time + b"size" + code

    assert timeless("x.pyc", compiled(0, b"1111")) == timeless("x.pyc", compiled(0, b"2222")) != b""
    assert timeless("x.pyc", compiled(0, b"1111")) != timeless("x.pyc", compiled(0, b"1111", b"other"))
    assert timeless("x.pyc", compiled(1, b"1111")) == b""
    assert timeless("x.py", compiled(0, b"1111")) == b""


def test_the_days_of_passwords() -> None:
    one, other = (b"root:*:%d:0:99999:7:::\nme:!:%d::::::\n" % (day, day) for day in (19_000, 20_000))
    assert timeless("etc/shadow", one) == timeless("etc/shadow", other) != b""
    assert timeless("etc/shadow", one) != timeless("etc/shadow", one.replace(b"!", b"$6$hash"))
    assert timeless("etc/passwd", one) == b""


def test_digests_of_several_pieces() -> None:
    content = gzip.compress(b"page" * 100, mtime=1)
    assert digest_content(b"x", ChunkReader([content[:20], content[20:]])) == digest_content(b"x", io.BytesIO(content))
    assert digest_content(b"x", io.BytesIO(content))[0] == hashlib.sha256(content).digest()
    assert digest_content(b"x", io.BytesIO()) == (hashlib.sha256().digest(), b"")


def test_a_time_in_a_file_is_no_more_than_a_trace() -> None:
    before, after = (layer(file_member("m.gz", gzip.compress(b"page", mtime=time))) for time in (1, 2))
    found = compare(Image((before,)), Image((after,)))
    assert (found.verdict, found.files.total, paths(found.traces)) == ("drifted", 0, {"/m.gz": ("changed", "content")})


@pytest.mark.parametrize(
    "path", ["var/log/apt/term.log", "var/cache/ldconfig/aux-cache", "var/lib/dpkg/status-old", "etc/shadow-",
             "home/me/.cache/pip/x", "tmp/x", "etc/machine-id", "var/log/\n\xff"],
)  # fmt: skip
def test_traces(path: str) -> None:
    assert is_trace(path.encode("latin-1"))


@pytest.mark.parametrize(
    "path", ["tmp", "var/log", "usr/var/log/x", "var/lib/dpkg/status", "etc/shadow", "var/logs/x", "opt/tmp/x"]
)
def test_no_traces(path: str) -> None:
    assert not is_trace(path.encode())


# -- many files


def files(count: int, content: bytes) -> Iterator[PlacedEntry]:
    for number in range(count):
        key = sort_key(b"f%09d" % number)
        yield PlacedEntry(key, 0, "file", 1, b"", 0o644, 0, 0, 0, b"", False, content, b"", None, number)


def test_no_more_are_listed_than_there_is_room_for() -> None:
    found = compare_files(files(500, b"1"), files(500, b"2"), max_listed=3)
    assert found == FileDifferences(
        FileChanges(changed=500, listed=found.files.listed), FileChanges(), ignored=0, touched=0
    )
    assert [change.path for change in found.files.listed] == ["/f000000000", "/f000000001", "/f000000002"]


@pytest.mark.slow
def test_a_comparison_holds_two_files_at_a_time() -> None:
    tracemalloc.start()
    found = compare_files(files(100_000, b"1"), files(100_000, b"2"), max_listed=10)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.files.changed == 100_000
    assert most < 1_000_000
