import io
import os
import shutil
import socket
import tarfile
from pathlib import Path

import msgspec
import pytest

from skyport_wf.errors import SkyportError
from skyport_wf.image.context import BuildContext, digest_context, list_context
from skyport_wf.image.context_tar import write_context


def make(folder: Path, **files: str) -> BuildContext:
    """Return a context with a Dockerfile and these files; `__` in a name stands for `/`, and `DOT` for a dot."""
    for name, text in {"Dockerfile": "FROM a:1\n", **files}.items():
        path = folder / name.replace("__", "/").replace("DOT", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return BuildContext(folder, folder / "Dockerfile")


def tar_of(context: BuildContext) -> dict[str, tarfile.TarInfo]:
    """Return the members that an engine would see; of two with one name, the later."""
    with tarfile.open(fileobj=io.BytesIO(tar_bytes(context))) as tar:
        return {member.name: member for member in tar.getmembers()}


def tar_bytes(context: BuildContext) -> bytes:
    stream = io.BytesIO()
    write_context(context, stream)
    return stream.getvalue()


def text_in_tar(context: BuildContext, name: str) -> str:
    with tarfile.open(fileobj=io.BytesIO(tar_bytes(context))) as tar:
        file = tar.extractfile(name)
        assert file is not None
        return file.read().decode()


def test_everything_is_listed_in_order(tmp_path):
    context = make(tmp_path, b__c__d="1", a="2", DOThidden="3")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    assert list_context(context) == [".hidden", "Dockerfile", "a", "b", "b/c", "b/c/d", "empty", "link"]


@pytest.mark.parametrize(
    ("ignore", "kept"),
    [
        ("", ["src", "src/a.py", "src/b.txt", "src/deep", "src/deep/c.txt", "top.txt"]),
        ("# top.txt\n\n   \n", ["src", "src/a.py", "src/b.txt", "src/deep", "src/deep/c.txt", "top.txt"]),
        ("top.txt", ["src", "src/a.py", "src/b.txt", "src/deep", "src/deep/c.txt"]),
        ("/top.txt\n", ["src", "src/a.py", "src/b.txt", "src/deep", "src/deep/c.txt"]),
        ("*.txt", ["src", "src/a.py", "src/b.txt", "src/deep", "src/deep/c.txt"]),
        ("**/*.txt", ["src", "src/a.py", "src/deep"]),
        ("*/*.txt", ["src", "src/a.py", "src/deep", "src/deep/c.txt", "top.txt"]),
        ("src", ["top.txt"]),
        ("src/", ["top.txt"]),
        ("src/**", ["src", "top.txt"]),
        ("src\n!src/b.txt", ["src", "src/b.txt", "top.txt"]),
        ("*\n!src/deep", ["src", "src/deep", "src/deep/c.txt"]),
        ("**/*.txt\n!src/deep/c.txt", ["src", "src/a.py", "src/deep", "src/deep/c.txt"]),
        ("!top.txt\ntop.txt", ["src", "src/a.py", "src/b.txt", "src/deep", "src/deep/c.txt"]),
        ("to?.txt", ["src", "src/a.py", "src/b.txt", "src/deep", "src/deep/c.txt"]),
        ("src/[ab].*", ["src", "src/deep", "src/deep/c.txt", "top.txt"]),
        ("./src/../top.txt", ["src", "src/a.py", "src/b.txt", "src/deep", "src/deep/c.txt"]),
        ("  top.txt  ", ["src", "src/a.py", "src/b.txt", "src/deep", "src/deep/c.txt"]),
        ("Dockerfile*\n.dockerignore", ["src", "src/a.py", "src/b.txt", "src/deep", "src/deep/c.txt", "top.txt"]),
    ],
)
def test_dockerignore(tmp_path, ignore, kept):
    context = make(
        tmp_path, src__aDOTpy="", src__bDOTtxt="", src__deep__cDOTtxt="", topDOTtxt="", DOTdockerignore=ignore
    )
    assert [path for path in list_context(context) if path not in ("Dockerfile", ".dockerignore")] == kept


def test_the_dockerfiles_own_dockerignore_wins(tmp_path):
    context = make(tmp_path, a="", b="", DOTdockerignore="a\n", DockerfileDOTdockerignore="b\n")
    assert "a" in list_context(context)
    assert "b" not in list_context(context)


@pytest.mark.parametrize("ignore", ["Dockerfile\n", "*\n!app\n"])
def test_a_dockerfile_that_is_ignored_is_sent_all_the_same_and_hidden_from_copy(tmp_path, ignore):
    context = make(tmp_path, app="x", DOTdockerignore=ignore)
    assert list_context(context) == [".dockerignore", "app"]
    assert text_in_tar(context, context.dockerfile_name) == "FROM a:1\n"
    assert text_in_tar(context, ".dockerignore").split() == [*ignore.split(), "Dockerfile"]


def test_a_dockerfile_outside_the_context(tmp_path):
    make(tmp_path / "context", app="x", DOTdockerignore="tmp\n")
    (tmp_path / "Other").write_text("FROM b:1\n")
    context = BuildContext(tmp_path / "context", tmp_path / "Other")
    assert context.dockerfile_inside is None
    assert context.dockerfile_name not in list_context(context)
    assert text_in_tar(context, context.dockerfile_name) == "FROM b:1\n"
    assert text_in_tar(context, ".dockerignore").split() == ["tmp", context.dockerfile_name]
    # Its own Dockerfile is a file like any other.
    assert text_in_tar(context, "Dockerfile") == "FROM a:1\n"


def test_a_dockerfile_further_down(tmp_path):
    context = make(tmp_path, docker__my="FROM c:1\n")
    context = BuildContext(tmp_path, tmp_path / "docker/my")
    assert context.dockerfile_name == "docker/my"
    assert text_in_tar(context, "docker/my") == "FROM c:1\n"
    assert ".dockerignore" not in tar_of(context)


def test_a_path_with_dots_is_the_same_dockerfile(tmp_path):
    make(tmp_path / "a")
    assert BuildContext(tmp_path / "a", tmp_path / "a/../a/Dockerfile").dockerfile_name == "Dockerfile"


def test_names_modes_and_owners_in_the_tar(tmp_path):
    context = make(tmp_path, bin__run="#!/bin/sh\n", data="x" * 3_000_000)
    (tmp_path / "bin/run").chmod(0o4751)
    (tmp_path / "bin").chmod(0o2710)
    (tmp_path / "data").chmod(0o600)
    (tmp_path / "link").symlink_to("bin/run")
    (tmp_path / "ünïcode").write_text("")
    (tmp_path / ("long" * 50)).write_text("")
    members = tar_of(context)
    assert list(members) == list_context(context)
    assert {name: oct(members[name].mode) for name in ("bin", "bin/run", "data")} == {
        "bin": "0o2710",
        "bin/run": "0o4751",
        "data": "0o600",
    }
    assert members["bin"].isdir()
    assert members["link"].issym()
    assert members["link"].linkname == "bin/run"
    assert members["data"].size == 3_000_000
    for member in members.values():
        assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")


def test_a_file_with_two_names_has_its_content_under_both(tmp_path):
    context = make(tmp_path, one="content")
    (tmp_path / "two").hardlink_to(tmp_path / "one")
    assert text_in_tar(context, "one") == text_in_tar(context, "two") == "content"


def test_a_name_that_is_not_utf8(tmp_path):
    context = make(tmp_path)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")).write_text("x")
    before = digest_context(context)
    assert "\udcff" in tar_of(context)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")).write_text("y")
    assert digest_context(context) != before


@pytest.mark.parametrize("files", [{}, {"DOTdockerignore": "nothing\n"}])
def test_what_is_no_part_of_it(tmp_path, files):
    context = make(tmp_path, one="1", **files)
    before = digest_context(context)
    for name in ("a[b*/out/deep", "a[b*/kept", "ab/out/deep"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    context = msgspec.structs.replace(context, without=("a[b*/out",))
    assert not {"a[b*/out", "a[b*/out/deep"} & {*list_context(context), *tar_of(context)}
    assert {"a[b*/kept", "ab/out/deep"} < {*list_context(context)}
    assert digest_context(context) != before
    shutil.rmtree(tmp_path / "ab")
    (tmp_path / "a[b*/kept").unlink()
    assert digest_context(context) == before


def test_a_socket_is_passed_over_as_docker_does(tmp_path):
    context = make(tmp_path)
    before = digest_context(context)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        assert "s" not in list_context(context)
        assert "s" not in tar_of(context)
        assert digest_context(context) == before


def test_a_pipe_is_part_of_it_and_never_read(tmp_path):
    context = make(tmp_path)
    before = digest_context(context)
    os.mkfifo(tmp_path / "pipe")
    assert tar_of(context)["pipe"].isfifo()
    assert digest_context(context) != before
    (tmp_path / ".dockerignore").write_text("pipe\n")
    assert list_context(context) == [".dockerignore", "Dockerfile"]


def test_a_device_is_what_its_numbers_are(tmp_path):
    context = make(tmp_path)
    digests = set()
    for minor in (3, 5):
        try:
            os.mknod(tmp_path / "device", 0o20666, os.makedev(1, minor))
        except PermissionError:
            pytest.skip("only root makes devices")
        digests.add(digest_context(context))
        member = tar_of(context)["device"]
        assert (member.ischr(), member.devmajor, member.devminor) == (True, 1, minor)
        (tmp_path / "device").unlink()
    assert len(digests) == 2


def test_a_link_to_a_folder_is_a_link_and_not_followed(tmp_path):
    make(tmp_path / "outside", secret="x")
    context = make(tmp_path / "context")
    (tmp_path / "context/there").symlink_to(tmp_path / "outside")
    (tmp_path / "context/round").symlink_to(".")
    assert list_context(context) == ["Dockerfile", "round", "there"]
    assert tar_of(context)["there"].issym()


def test_a_context_that_is_no_folder(tmp_path):
    with pytest.raises(SkyportError) as caught:
        list_context(BuildContext(tmp_path / "none", tmp_path / "Dockerfile"))
    assert str(caught.value) == f"the build context {tmp_path}/none is not a folder. Mend `context` in the image list."


@pytest.mark.parametrize("ignore", ["", "nothing\n"])
def test_a_folder_that_may_not_be_read(folder_of_nobody, ignore):
    context = make(folder_of_nobody, closed__x="", DOTdockerignore=ignore)
    (folder_of_nobody / "closed").chmod(0)
    try:
        for use in (list_context, digest_context, tar_bytes):
            with pytest.raises(SkyportError, match=r"cannot read .*closed of the build context: Permission denied$"):
                use(context)
    finally:
        (folder_of_nobody / "closed").chmod(0o755)


def test_a_file_that_may_not_be_read(folder_of_nobody):
    context = make(folder_of_nobody, closed="")
    (folder_of_nobody / "closed").chmod(0)
    with pytest.raises(SkyportError) as caught:
        digest_context(context)
    assert str(caught.value) == f"cannot read {folder_of_nobody}/closed of the build context: Permission denied"
    with pytest.raises(SkyportError, match=f"cannot read {folder_of_nobody}/closed of the build context: .*Permission"):
        tar_bytes(context)


def test_a_dockerignore_that_may_not_be_read(folder_of_nobody):
    context = make(folder_of_nobody, DOTdockerignore="x\n")
    (folder_of_nobody / ".dockerignore").chmod(0)
    with pytest.raises(SkyportError, match=r"^cannot read .*/\.dockerignore: .*Permission denied"):
        list_context(context)


def test_a_dockerignore_of_bytes_is_read_as_docker_does(tmp_path):
    context = make(tmp_path, a="", b="")
    (tmp_path / ".dockerignore").write_bytes(b"\xff\nb\n")
    assert list_context(context) == [".dockerignore", "Dockerfile", "a"]


class TestDigest:
    """It changes with all that a COPY could see, and with nothing else."""

    @pytest.fixture
    def context(self, tmp_path):
        context = make(tmp_path, a="1", b__c__d__e="2", ignored="3", DOTdockerignore="ignored\n")
        (tmp_path / "link").symlink_to("a")
        return context

    @pytest.mark.parametrize(
        "change",
        [
            lambda root: (root / "a").write_text("2"),
            lambda root: (root / "b/c/d/e").write_text("3"),
            lambda root: (root / "b/c/d/e").chmod(0o755),
            lambda root: (root / "b/c").chmod(0o700),
            lambda root: (root / "b/c/d/e").rename(root / "b/c/d/f"),
            lambda root: (root / "b/c/d/new").write_text(""),
            lambda root: (root / "b/c/d/new").mkdir(),
            lambda root: (root / "a").unlink(),
            lambda root: ((root / "link").unlink(), (root / "link").symlink_to("b")),
            lambda root: ((root / "link").unlink(), (root / "link").write_text("a")),
            lambda root: (root / "Dockerfile").write_text("FROM a:2\n"),
            lambda root: (root / ".dockerignore").write_text(""),
        ],
    )
    def test_changes(self, context, change):
        before = digest_context(context)
        change(context.root)
        assert digest_context(context) != before

    @pytest.mark.parametrize(
        "change",
        [
            lambda root: os.utime(root / "b/c/d/e", (1, 1)),
            lambda root: os.utime(root / "b", (1, 1)),
            lambda root: (root / "a").write_text("1"),
            lambda root: (root / "ignored").write_text("other"),
            lambda root: (root / "ignored").chmod(0o755),
            lambda root: (root / "ignored").unlink(),
            lambda root: ((root / "new").write_text(""), (root / "new").unlink()),
        ],
    )
    def test_stays(self, context, change):
        before = digest_context(context)
        change(context.root)
        assert digest_context(context) == before

    def test_stays_elsewhere_and_in_another_order(self, tmp_path):
        first = make(tmp_path / "one", a="1", b="2")
        second = make(tmp_path / "two", b="2", a="1")
        assert digest_context(first) == digest_context(second)

    def test_names_and_contents_cannot_be_shifted_into_each_other(self, tmp_path):
        one, other = make(tmp_path / "one", ab="c"), make(tmp_path / "two", a="bc")
        assert digest_context(one) != digest_context(other)

    def test_has_the_usual_form(self, context):
        algorithm, _, digits = digest_context(context).partition(":")
        assert (algorithm, len(digits)) == ("sha256", 64)
