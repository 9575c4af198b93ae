"""`skyport-wf files`: what an image shows is listed and taken out, and nothing else is written, whatever it holds."""

import json
import os
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skyport_wf.cli.main import main
from tests.support.docker_archives import File, Image, file_member, layer_tar, legacy, member, tar_of


def folder_member(name: str) -> File:
    return member(name, tarfile.DIRTYPE)


def link(name: str, target: str) -> File:
    return member(name, tarfile.SYMTYPE, target=target)


def with_mode(made: File, mode: int) -> File:
    made[0].mode = mode
    return made


LOWER = tar_of(
    [
        folder_member("usr"), folder_member("usr/bin"), with_mode(file_member("usr/bin/tool", b"old tool"), 0o4755),
        link("bin", "usr/bin"), file_member("opt/gone", b"gone"), file_member("opt/data/a", b"first"),
        file_member("opt/data/deep/b", b"second"), link("opt/data/inside", "deep/b"), link("opt/data/up", "../gone"),
        link("opt/data/absolute", "/etc/passwd"), member("opt/data/again", tarfile.LNKTYPE, target="opt/data/a"),
        member("opt/data/pipe", tarfile.FIFOTYPE), member("opt/data/disk", tarfile.BLKTYPE),
    ]
)  # fmt: skip
UPPER = layer_tar({"usr/bin/tool": b"new tool!", "opt/.wh.gone": b""})
IMAGE = Image((LOWER, UPPER))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    Path("image.tar").write_bytes(tar_of(legacy(IMAGE)))
    yield tmp_path
    assert list(tmp_path.glob(".*.part")) == []


def files(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    capsys.readouterr()
    assert main(["files", *words, "--json"]) == code, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def paths(listing: Any) -> list[str]:
    return [file["path"] for file in listing["files"]]


def test_what_the_layers_make_together(capsys: pytest.CaptureFixture[str]) -> None:
    found = files(capsys, "image.tar")
    assert "/opt/gone" not in paths(found)
    assert found["total"] == len(paths(found)) == 12
    tool = next(file for file in found["files"] if file["path"] == "/usr/bin/tool")
    assert (tool["size"], tool["type"]) == (len(b"new tool!"), "file")
    assert main(["files", "image.tar", "/opt/data"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = (line for line in lines if "inside" in line)
    assert line.startswith("lrw")
    assert line.endswith("/opt/data/inside -> deep/b")
    assert lines[-1] == "8 paths, 16 B"


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("imag.tar", "There is no archive imag.tar; did you mean image.tar?"),
        ("IMAGE.TAR", "There is no archive IMAGE.TAR; did you mean image.tar?"),
        ("./imag.tar", "there is no archive ./imag.tar; did you mean image.tar? Name an archive"),
        ("saved/tool", "There is no archive saved/tool; did you mean saved/tool.tar?"),
        ("saved/layuot", "There is no archive saved/layuot; did you mean saved/layout?"),
        ("saved/zzz", "There is no archive saved/zzz."),
        ("/dev/null", "there is no archive /dev/null, but a device or pipe: an archive has to be a file"),
        ("gone/image.tar.gz", "There is no archive gone/image.tar.gz."),
        ("saved", "The folder saved is no OCI layout: it has no index.json."),
        ("./saved", "the folder ./saved is no OCI layout: it has no index.json. Name an archive"),
        ("/", "the folder / is no OCI layout: it has no index.json."),
    ],
)
def test_a_mistyped_archive(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], word: str, told: str
) -> None:
    monkeypatch.setenv("SKYPORT_DATA", str(folder / "store"))
    monkeypatch.setenv("SHOCK_URL", "")
    (folder / "saved/layout").mkdir(parents=True)
    (folder / "saved/layout/index.json").touch()
    (folder / "saved/tool.tar").touch()
    error = files(capsys, word, code=1)["error"]
    assert told in error
    assert ("an AWE worker finds no image" in error) == told.startswith("T")


def test_an_archive_in_a_closed_folder_is_not_said_to_be_missing(
    folder_of_nobody: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder_of_nobody / "closed").mkdir(mode=0)
    path = folder_of_nobody / "closed/tool.tar"
    told = f"{path} cannot be read: a folder on the way there is closed to you. Name an archive"
    assert files(capsys, str(path), code=1)["error"].startswith(told)


@pytest.mark.parametrize("word", ["image", "lab/tool:1", "saved:1"])
def test_a_name_is_not_taken_for_an_archive(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    monkeypatch.setenv("SKYPORT_DATA", str(folder / "store"))
    monkeypatch.setenv("SHOCK_URL", "")
    (folder / "saved").mkdir()
    assert "archive" not in files(capsys, word, code=1)["error"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/usr/bin/tool", ["/usr/bin/tool"]),
        ("usr/bin/../bin/tool", ["/usr/bin/tool"]),
        ("/bin/tool", ["/usr/bin/tool"]),
        ("/bin", ["/bin"]),
        ("/bin/", ["/usr/bin", "/usr/bin/tool"]),
        ("/opt/data/deep", ["/opt/data/deep/b"]),
        ("/../../opt/data/inside", ["/opt/data/inside"]),
    ],
)
def test_a_path_is_found_as_the_kernel_finds_it(
    capsys: pytest.CaptureFixture[str], path: str, expected: list[str]
) -> None:
    assert paths(files(capsys, "image.tar", path)) == expected


@pytest.mark.parametrize("path", ["/opt/gone", "/none", "/usr/bin/tool/x", "/opt/data/up/", "/opt/dat"])
def test_what_is_not_there(capsys: pytest.CaptureFixture[str], path: str) -> None:
    assert "the image has nothing at" in files(capsys, "image.tar", path, code=1)["error"]
    assert "the image has nothing at" in files(capsys, "image.tar", path, "--output", "x", code=1)["error"]
    assert not Path("x").exists()


def test_a_link_to_nothing_is_told_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    """The list has the link itself, so that it is there."""
    for path, leads in {"/opt/data/up": "/opt/gone", "bin//x/": "/usr/bin/x"}.items():
        error = files(capsys, "image.tar", path, "--output", "x", code=1)["error"]
        assert error == f"the image has nothing at {path}: a link leads to {leads}, which is not there"
    assert files(capsys, "image.tar", "etc//none", "--output", "x", code=1)["error"].endswith("nothing at etc//none")


def test_a_file_is_taken_out(capsys: pytest.CaptureFixture[str]) -> None:
    found = files(capsys, "image.tar", "/bin/tool", "--output", "tool")
    assert (found["files"], found["size"]) == (1, 9)
    assert Path("tool").read_bytes() == b"new tool!"
    files(capsys, "image.tar", "/opt/data/inside", "--output", "b")
    assert Path("b").read_bytes() == b"second"
    assert "b is there already" in files(capsys, "image.tar", "/bin/tool", "--output", "b", code=2)["error"]
    assert Path("b").read_bytes() == b"second"


def test_stdout_keeps_its_mode() -> None:
    """By root, /dev/null lost the rights of all others; nobody else could write to it at all."""
    command = [sys.executable, "-m", "skyport_wf", "files", "image.tar", "/bin/tool", "--output", "-"]
    with Path("out").open("wb") as file:
        Path("out").chmod(0o600)
        subprocess.run(command, stdout=file, check=True)
    assert (Path("out").read_bytes(), Path("out").stat().st_mode & 0o777) == (b"new tool!", 0o600)


def test_a_folder_that_lacks_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    files(capsys, "image.tar", "/bin/tool", "--output", "new/deep/tool")
    files(capsys, "image.tar", "/opt/data", "--output", "other/data")
    assert Path("new/deep/tool").read_bytes() == b"new tool!"
    assert Path("other/data/inside").read_bytes() == b"second"


def test_of_a_published_image(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYPORT_DATA", str(folder / "store"))
    Path("images.yaml").write_text("shock: {url: embedded}\nimages: [{name: 'lab/tool:1', archive: image.tar}]\n")
    assert main(["publish", "--all"]) == 0
    assert paths(files(capsys, "lab/tool", "/bin/tool")) == ["/usr/bin/tool"]
    files(capsys, "lab/tool:1", "/bin/tool", "--output", "tool")
    assert Path("tool").read_bytes() == b"new tool!"


def test_a_folder_is_taken_out_without_what_harms(capsys: pytest.CaptureFixture[str]) -> None:
    found = files(capsys, "image.tar", "/opt/data", "--output", "data")
    assert sorted(found["left_out"]) == ["/opt/data/absolute", "/opt/data/disk", "/opt/data/pipe", "/opt/data/up"]
    assert sorted(path.relative_to("data").as_posix() for path in Path("data").rglob("*")) == [
        "a", "again", "deep", "deep/b", "inside"
    ]  # fmt: skip
    assert Path("data/inside").read_bytes() == b"second"
    assert Path("data/a").stat().st_ino == Path("data/again").stat().st_ino
    files(capsys, "image.tar", "/usr", "-o", "usr")
    assert stat.S_IMODE(Path("usr/bin/tool").stat().st_mode) & 0o7000 == 0


HOSTILE = {
    "a link out, and a file through it": [link("opt/x/out", "/tmp"), file_member("opt/x/out/evil", b"evil")],
    "a link up, and a file through it": [link("opt/x/out", "../../.."), file_member("opt/x/out/evil", b"evil")],
    "up from where another link leads": [
        folder_member("opt/x/s"), link("opt/x/s/here", "."), link("opt/x/out", "s/here/../.."),
        file_member("opt/x/f", b""),
    ],
    "a link below a link": [
        folder_member("opt/x/s"), link("opt/x/s/here", "."), link("opt/x/s/here/out", "../../f"),
        file_member("opt/x/f", b""),
    ],
    "a link to itself": [link("opt/x/out", "out"), file_member("opt/x/f", b"")],
    "a file below a file": [file_member("opt/x/out", b""), file_member("opt/x/out/evil", b"evil")],
    "a hard link out": [member("opt/x/out", tarfile.LNKTYPE, target="etc/shadow"), file_member("opt/x/f", b"")],
    "a hard link to a link out": [
        link("opt/l", "/etc/passwd"), member("opt/x/out", tarfile.LNKTYPE, target="opt/l"), file_member("opt/x/f", b""),
    ],
    "a name with a line's end": [file_member("opt/x/a\nb\x1b[31m", b"x")],
    "a name that is no UTF-8": [file_member("opt/x/\udcff", b"x")],
    "a name that no disk takes": [file_member("opt/x/" + "n" * 300, b"x")],
    "a link that is long": [link("opt/x/out", "a/" * 2000), file_member("opt/x/f", b"")],
}  # fmt: skip


@pytest.mark.parametrize("members", HOSTILE.values(), ids=HOSTILE.keys())
def test_nothing_is_written_outside_of_the_target(
    capsys: pytest.CaptureFixture[str], folder: Path, members: list[File]
) -> None:
    outside = folder / "etc"
    outside.mkdir()
    Path("hostile.tar").write_bytes(tar_of(legacy(Image((tar_of(members),)))))
    before = set(folder.rglob("*"))
    code = main(["files", "hostile.tar", "/opt/x", "--output", "taken"])
    told = capsys.readouterr()
    assert code in (0, 1), told
    assert "\x1b" not in told.out + told.err
    written = set(folder.rglob("*")) - before
    taken = folder / "taken"
    assert all(path == taken or taken in path.parents for path in written), written
    assert bool(written) == (code == 0)
    for path in written:
        assert not path.is_symlink() or Path(os.path.realpath(path)).is_relative_to(taken)
    assert not Path("/tmp/evil").exists()


def test_a_name_that_no_terminal_shows(capsys: pytest.CaptureFixture[str]) -> None:
    Path("hostile.tar").write_bytes(tar_of(legacy(Image((tar_of([file_member("a\nb\x1b[31m", b"")]),)))))
    assert main(["files", "hostile.tar"]) == 0
    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert "/ab[31m" in told
