"""Files that commands write: nobody's file is replaced, and full disks and names that none can have are told."""

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from skyport_wf.cli.main import main
from skyport_wf.cli.plan import LONGEST_SUFFIX
from skyport_wf.lint.hadolint.settings import find_settings
from skyport_wf.records.files import write_record
from skyport_wf.shock.client import ShockClient
from skyport_wf.store.opening import open_store
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.commands import CHECKOUT
from tests.support.docker_archives import Image, canonical, layer_tar, legacy, tar_of
from tests.support.own_server import running_server
from tests.support.sample_records import build_record, receipt
from tests.support.small_disk import fill, small_disk

LIST = "images: [{name: 'lab/tool:1', dockerfile: tool/Dockerfile}]\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tool").mkdir()
    (tmp_path / "tool/Dockerfile").write_text("FROM debian:bookworm\n")
    (tmp_path / "images.yaml").write_text(LIST)
    (tmp_path / "notes.txt").write_text("notes")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk", size=1 << 20) as disk:
        fill(disk)
        yield disk


def fails(code: int, *arguments: str) -> str:
    """Run a command that has to fail so; return what it was given to say."""
    run = subprocess.run([sys.executable, "-m", "skyport_wf", *arguments], capture_output=True, text=True, check=False)
    assert (run.returncode, "Traceback" in run.stderr) == (code, False), run.stderr
    return run.stderr.removeprefix("skyport-wf: ").rstrip()


@pytest.mark.parametrize(
    ("verb", "option", "what"),
    [
        ("plan", "--log=notes.txt", "log of skyport-wf"),
        ("lint", "--report=notes.txt", "report of lint"),
        ("lint", "--log=images.yaml", "log of skyport-wf"),
    ],
)
def test_a_file_of_another_kind_stays(project, capsys, verb, option, what):
    assert main([verb, option]) == 2
    file = option.partition("=")[2]
    assert f"{file} is there, and is no {what}: it stays as it is." in capsys.readouterr().err
    assert [(project / name).read_text() for name in ("notes.txt", "images.yaml")] == ["notes", LIST]


@pytest.mark.parametrize(
    ("option", "code", "said"),
    [
        ("--record=notes.txt", 2, "notes.txt is there, and is no `skyport-wf receipt` record: it stays as it is."),
        ("--sbom=notes.txt", 2, "notes.txt is there, and is no CycloneDX JSON: it stays as it is."),
        ("--lock=notes.txt", 1, "notes.txt is not a `skyport-wf lock 1` record"),
    ],
)
def test_what_cannot_be_written_is_said_before_anything_is_built(project, capsys, option, code, said):
    # There is no engine here: to ask it would end otherwise.
    for more in ([], ["--dry-run"]):
        assert main(["publish", "lab/tool:1", option, *more]) == code
        assert said in capsys.readouterr().err
    assert (project / "notes.txt").read_text() == "notes"


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("build", "lab/tool:1", "--record"), "`skyport-wf build` record"),
        (("save", "build.json", "--archive=new.gz", "--record"), "`skyport-wf save` record"),
        (("show", "--archive=none", "--chart"), "chart of layers"),
        (("show", "--archive=none", "--sbom"), "CycloneDX JSON"),
        (("sbom", "receipt.json", "--record"), "CycloneDX JSON"),
        (("files", "none", "/file", "--output"), ""),
    ],
)
def test_what_cannot_be_written_is_said_before_an_image_is_built_or_read(project, words, what):
    """There is neither an engine nor an image: to ask for one would end otherwise."""
    write_record(project / "build.json", build_record())
    write_record(project / "receipt.json", receipt())
    said = f"notes.txt is there, and is no {what}: it" if what else "notes.txt is there already, and"
    assert fails(2, *words, "notes.txt") == f"{said} stays as it is. Name another file, or remove it."
    assert fails(1, *words, "notes.txt/x") == "cannot write notes.txt/x: Not a directory"
    assert not (project / "new.gz").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "--log"),
        ("lint", "--report"),
        ("publish", "lab/tool:1", "--record"),
        ("publish", "lab/tool:1", "--sbom"),
        ("publish", "lab/tool:1", "--lock"),
        ("files", "image.tar", "/file", "--output"),
        ("show", "--archive", "image.tar", "--chart"),
    ],
)
def test_a_file_stays_whatever_its_path_leads_through(project, capsys, words):
    """A folder that lacks is made, and what is behind it then was there all the time."""
    (project / "image.tar").write_bytes(canonical(Image((layer_tar({"file": b"x"}),)), "lab/tool:1"))
    (project / "images.yaml").write_text("images: [{name: 'lab/tool:1', archive: image.tar}]\n")
    for path in ("build/../notes.txt", f"{project}/build/../notes.txt"):
        assert main([*words, path]) in (1, 2)
        assert "notes.txt is " in capsys.readouterr().err
    assert (project / "notes.txt").read_text() == "notes"
    assert not (project / "build").exists()


def test_a_link_to_a_folder_is_gone_through_before_the_folder_above_it(project):
    (project / "shared/reports").mkdir(parents=True)
    (project / "link").symlink_to("shared/reports")
    assert main(["lint", "--report", "link/../report.json"]) == 0
    assert (project / "shared/report.json").is_file()
    assert not (project / "report.json").exists()


TWICE, INSIDE, LOCK = "would be written twice", "out/x would lie in out", "this is the place of the lock file"


@pytest.mark.parametrize(
    ("command", "options", "said"),
    [
        ("publish --all", "--record=r --sbom={key}/../r", TWICE),
        ("publish --all", "--record=out --sbom=out/x", INSIDE),
        ("publish --all", "--record={key}.json --sbom=lab_tool_1.json", TWICE),
        ("publish --all", "--record=images.lock.json", LOCK),
        ("publish --all", "--record=images.lock.json --lock=other.json", LOCK),
        ("publish --all", "--sbom=images.lock.json/x", LOCK),
        ("copy --all --to=embedded", "--record=images.lock.json", LOCK),
        ("build lab/tool:1", "--record=images.lock.json", LOCK),
        ("upload save.json", "--record=tool/../images.lock.json", LOCK),
        ("save build.json", "--archive=z --record=z", TWICE),
        ("save build.json", "--archive=out/x --record=out", INSIDE),
        ("receipt lab/tool:1", "--record=r --lock=r", TWICE),
        ("receipt lab/tool:1", "--record=r --lock=link", TWICE),
        ("show lab/tool:1", "--chart=c --sbom=tool/../c", TWICE),
        ("pull lab/tool:1", "--output=o --log=o", TWICE),
        ("pull lab/tool:1", "--output=r --log=link", TWICE),
        ("lint", "--report=out --log=out/x", INSIDE),
        ("report tool", "--output=images.lock.json", LOCK),
        ("plan", "--log=images.lock.json", LOCK),
    ],
)
def test_what_would_be_written_in_the_place_of_something_else_is_said_before_anything(
    project, capsys, command, options, said
):
    (project / "link").symlink_to("r")
    before = sorted(project.rglob("*"))
    assert main([*command.split(), *options.split()]) == 2
    assert said in capsys.readouterr().err
    assert sorted(project.rglob("*")) == before


def test_a_file_in_the_place_of_a_folder_is_told_as_that(project):
    Path("tool.tar").write_bytes(canonical(Image((layer_tar({"opt/x": b"x"}),))))
    for code, words in {
        2: ["plan", "--log", "notes.txt/x"],
        1: ["show", "--archive", "tool.tar", "--chart", "notes.txt/x"],
    }.items():
        assert fails(code, *words).endswith("notes.txt/x: Not a directory")
    # Nobody knows the name that it has until it is whole.
    assert fails(1, "files", "./tool.tar", "/opt", "-o", "notes.txt/x") == "cannot write notes.txt/x: Not a directory"


def test_files_side_by_side_and_a_link_that_is_replaced(project, capsys):
    (project / "link").symlink_to("out/log")
    assert main(["lint", "--report=link", "--log=out/log"]) == 0, capsys.readouterr().err
    assert not (project / "link").is_symlink()
    assert (project / "out/log").read_text() == ""


def make_project(folder: Path) -> None:
    """Write an image list with an image, and its records up to the upload, into the current folder."""
    (folder / "open").mkdir()
    (folder / "image.tar").write_bytes(canonical(Image((layer_tar({"file": b"x"}),)), "lab/tool:1"))
    (folder / "images.yaml").write_text("images: [{name: 'lab/tool:1', archive: image.tar}]\n")
    assert main(["build", "lab/tool:1", "--record", "open/build.json"]) == 0
    assert main(["save", "open/build.json", "--archive", "open/image.tar.gz", "--record", "open/save.json"]) == 0


@pytest.fixture(scope="module")
def all_imported(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is imported late may lie where an ordinary user cannot read."""
    folder = tmp_path_factory.mktemp("imported")
    with pytest.MonkeyPatch.context() as patch, open_store(folder / "other") as other:
        patch.setenv("SKYPORT_DATA", str(folder / "data"))
        patch.chdir(folder)
        make_project(folder)
        assert main(["upload", "open/save.json", "--record", "u.json"]) == 0
        assert main(["register", "u.json", "--record", "r.json"]) == 0
        assert main(["publish", "--all", "--dry-run"]) == main(["ls", "--json"]) == 0
        assert main(["publish", "--all", "--sbom", "x.json", "--quiet"]) == 0
        with running_server(ShockApp(other)) as server:
            patch.setenv("OTHER", add_user(other.database, "anna"))
            assert main(["copy", "lab/tool:1", "--to", server.url, "--to-token-env=OTHER"]) == 0


@pytest.fixture
def closed_list(
    all_imported: None, folder_of_nobody: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Path]:
    """A project with an image and its records, where only the folder `open` can be written to."""
    del all_imported
    monkeypatch.setenv("SKYPORT_DATA", str(folder_of_nobody / "data"))
    folder = folder_of_nobody / "project"
    (folder / "closed").mkdir(parents=True)
    monkeypatch.chdir(folder)
    make_project(folder)
    capsys.readouterr()
    for one in (folder, folder / "closed"):
        one.chmod(0o555)
    yield folder
    for one in (folder, folder / "closed"):
        one.chmod(0o755)


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ([], 1, "cannot write images.lock.json: Permission denied"),
        (["--record=closed/x.json"], 1, "cannot write closed/x.json: Permission denied"),
        (["--record=closed/a/b/x.json"], 1, "cannot write closed/a/b/x.json: Permission denied"),
        (["--record=open/x", "--sbom=closed/x.json"], 1, "cannot write closed/x.json: Permission denied"),
        (["--record=images.yaml/x"], 1, "cannot write images.yaml/x: Not a directory"),
        (["--record=closed"], 1, "cannot write closed: Is a directory"),
        (["--record=open/x.json", "--sbom=open/x.json"], 2, "open/x.json would be written twice"),
        (["--record=open/x.json", "--lock=closed/../open/x.json"], 2, "open/x.json would be written twice"),
    ],
)
def test_a_file_that_cannot_be_written_is_said_before_anything_is_sent(closed_list, capsys, dry, options, code, said):
    assert main(["publish", "lab/tool:1", *options, *dry]) == code
    assert said in capsys.readouterr().err
    assert main(["ls", "--all", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == []


def test_a_lock_file_that_has_the_image_need_not_be_writable(closed_list, capsys):
    closed_list.chmod(0o755)
    assert main(["publish", "lab/tool:1"]) == 0
    closed_list.chmod(0o555)
    for more in ([], ["--dry-run"]):
        assert main(["publish", "lab/tool:1", *more]) == 0, capsys.readouterr().err


def test_records_that_cannot_be_written_are_said_before_anything_is_sent(closed_list, monkeypatch, capsys):
    def fails(*command: str) -> None:
        capsys.readouterr()
        assert main(command) == 1
        told = capsys.readouterr().err
        assert told.endswith("skyport-wf: cannot write closed/x.json: Permission denied\n"), told

    def nodes(state: str) -> int:
        capsys.readouterr()
        assert main(["ls", "--all", "--json"]) == 0
        return [image["state"] for image in json.loads(capsys.readouterr().out)["images"]].count(state)

    fails("upload", "open/save.json", "--record=closed/x.json")
    assert nodes("unfinished") == 0
    assert main(["upload", "open/save.json", "--record=open/upload.json"]) == 0
    fails("register", "open/upload.json", "--record=closed/x.json")
    assert nodes("published") == 0
    assert main(["register", "open/upload.json", "--record=open/receipt.json"]) == 0
    with open_store(closed_list.parent / "other") as other, running_server(ShockApp(other)) as server:
        monkeypatch.setenv("OTHER", token := add_user(other.database, "anna"))
        copy = ["copy", "lab/tool:1", "--to", server.url, "--to-token-env=OTHER", "--record=closed/x.json"]
        assert main([*copy, "--dry-run"]) == 1
        fails(*copy)
        assert ShockClient(server.url, token=token).query({}) == []


def test_pipes_and_links_get_what_is_written(closed_list, capsys):
    publishing = ["publish", "--all", "--record=/dev/null", "--sbom=/dev/null", "--lock=open/link.json"]
    link = Path("open/link.json")
    # A lock file is written where a link leads to.
    link.symlink_to(closed_list / "nowhere")
    capsys.readouterr()
    assert main(publishing) == 1
    told = capsys.readouterr().err
    assert told.endswith(f"cannot write {closed_list}/nowhere: Permission denied\n") and "sending" not in told
    link.unlink()
    link.symlink_to("shared.json")
    assert main(publishing) == 0
    assert link.is_symlink()
    assert "lab/tool:1" in Path("open/shared.json").read_text()


def test_an_archive_of_other_things_is_no_archive_of_an_image(project, capsys):
    """Somebody's data, say, whose name looks much like that of an image's archive."""
    (project / "image.tar").write_bytes(canonical(Image((layer_tar({"file": b"x"}),)), "lab/tool:1"))
    (project / "images.yaml").write_text("images: [{name: 'lab/tool:1', archive: image.tar}]\n")
    assert main(["build", "lab/tool:1", "--record", "build.json"]) == 0
    assert main(["publish", "--all"]) == 0
    data = layer_tar({"reads/a.fastq": b"@x", "reads/b.fastq": b"@y"})
    for name, content in {
        "data.tar": data,
        "data.tar.gz": gzip.compress(data),
        "reads.gz": gzip.compress(b"@x"),
    }.items():
        (project / name).write_bytes(content)
        for command in (
            ["pull", "lab/tool:1", "--output", name],
            ["save", "build.json", "--archive", name, "--record", "save.json"],
        ):
            capsys.readouterr()
            assert main(command) == 2
            what = "archive of an image" if command[0] == "pull" else "gzipped archive of an image"
            assert f"{name} is there, and is no {what}: it stays as it is." in capsys.readouterr().err
        assert (project / name).read_bytes() == content
    # An older one of an image makes room, whoever has written it.
    other = Image((layer_tar({"file": b"another"}),))
    for name, content in {
        "a.tar.gz": canonical(other, "lab/other:1"), "b.tar": tar_of(legacy(other)), "c.tar": canonical(other, "x/y:1"),
    }.items():  # fmt: skip
        (project / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        for _ in range(2):
            assert main(["pull", "lab/tool:1", "--output", name]) == 0


def test_a_picture_that_is_no_chart_of_layers_stays(project, capsys):
    (project / "image.tar").write_bytes(canonical(Image((layer_tar({"file": b"x"}),)), "lab/tool:1"))
    picture = '<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><rect/></svg>\n'
    for start in (0, picture.index("<svg")):
        (project / "figure.svg").write_text(picture[start:])
        assert main(["show", "--archive", "image.tar", "--chart", "figure.svg"]) == 2
        assert "figure.svg is there, and is no chart of layers: it stays as it is." in capsys.readouterr().err
    for _ in range(2):
        assert main(["show", "--archive", "image.tar", "--chart", "chart.svg"]) == 0


@pytest.mark.slow
def test_save_of_a_published_image_leaves_an_older_archive_as_it_is(project, capsys):
    """Nothing is saved then, and an archive that is there is perhaps all that somebody has of another image."""
    (project / "image.tar").write_bytes(canonical(Image((layer_tar({"file": b"x"}),)), "lab/tool:1"))
    (project / "images.yaml").write_text("images: [{name: 'lab/tool:1', archive: image.tar}]\n")
    assert main(["publish", "--all"]) == main(["build", "lab/tool:1", "--record", "build.json"]) == 0
    older = gzip.compress(b"another image")
    (project / "old.tar.gz").write_bytes(older)
    for archive, content in {"old.tar.gz": older, "new.tar.gz": b""}.items():
        assert main(["save", "build.json", "--archive", archive, "--record", "save.json"]) == 0
        assert (project / archive).read_bytes() == content
    capsys.readouterr()
    assert main(["save", "build.json", "--archive", "notes.txt", "--record", "save.json"]) == 2
    assert "stays as it is" in capsys.readouterr().err
    assert (project / "notes.txt").read_text() == "notes"


def test_save_leaves_the_archive_that_the_image_comes_from_as_it_is(project, capsys):
    """It may hold other images, too."""
    content = gzip.compress(canonical(Image((layer_tar({"file": b"x"}),)), "lab/tool:1"))
    (project / "image.tar.gz").write_bytes(content)
    (project / "link.tar.gz").symlink_to("image.tar.gz")
    (project / "images.yaml").write_text("images: [{name: 'lab/tool:1', archive: image.tar.gz}]\n")
    assert main(["build", "lab/tool:1", "--record", "build.json"]) == 0
    for archive in ("image.tar.gz", "link.tar.gz"):
        capsys.readouterr()
        assert main(["save", "build.json", "--archive", archive, "--record", "save.json"]) == 2
        assert f"{archive} is the archive that lab/tool:1 comes from: it stays as it is." in capsys.readouterr().err
    assert (project / "image.tar.gz").read_bytes() == content
    assert (project / "link.tar.gz").is_symlink()
    (project / "image.tar").write_bytes(gzip.decompress(content))
    assert main(["save", "build.json", "--archive", "image.tar", "--record", "save.json"]) == 2
    assert "image.tar is there, and is no gzipped archive of an image: it stays as it is." in capsys.readouterr().err


def test_an_archive_that_no_record_can_name_is_refused_before_the_build_and_published_all_the_same(
    project, monkeypatch, capsys
):
    folder = Path(os.fsdecode(b"lat9\xe9"))
    folder.mkdir()
    monkeypatch.chdir(folder)
    Path("image.tar").write_bytes(canonical(Image((layer_tar({"file": b"x"}),)), "lab/tool:1"))
    Path("images.yaml").write_text("images: [{name: 'lab/tool:1', archive: image.tar}]\n")
    assert main(["build", "lab/tool:1", "--record", "build.json"]) == 2
    assert "is not UTF-8, so no record can name it." in capsys.readouterr().err
    assert {path.name for path in Path().iterdir()} == {"image.tar", "images.yaml"}
    assert main(["publish", "--all"]) == 0


def test_a_log_is_replaced_by_the_next_one(project, capsys):
    (project / "tool/Dockerfile").unlink()
    for _ in range(2):
        assert main(["plan", "--log", "logs/x.log"]) == 2
        assert (project / "logs/x.log").read_text() == capsys.readouterr().err
    assert main(["ls", "--log", "logs/x.log"]) == 0
    assert (project / "logs/x.log").read_text() == ""


def test_of_a_full_disk_it_is_said_what_to_do(project, full_disk, capsys):
    (project / "image.tar").write_bytes(canonical(Image((layer_tar({"opt/file": bytes(9000)}),)), "lab/tool:1"))
    for arguments in (["files", "image.tar", "/opt", "--output", "taken"], ["catalogue", "--out", "pages"]):
        path = str(full_disk / arguments[-1])
        assert main([*arguments[:-1], path]) == 1
        told = f"cannot write {path}: No space left on device. Make room there, or write to another disk."
        assert told in capsys.readouterr().err.replace(f"{path}/file", path)


def test_a_log_on_a_full_disk_fails_nothing(project, capsys):
    assert main(["plan", "--images", "none", "--log", "/dev/full"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "skyport-wf: there is no none. `skyport-wf init` writes one, or name another with --images.",
        "skyport-wf: cannot write the log file /dev/full: No space left on device",
        "skyport-wf: there is no none. `skyport-wf init` writes one, or name another with --images.",
    ]
    assert main(["plan", "--log", "/dev/full"]) == 0


@pytest.mark.slow
def test_a_log_into_a_folder_or_a_pipe_without_a_reader(project):
    os.mkfifo("pipe")
    assert fails(2, "plan", "--log", "tool") == "cannot write the log file tool: Is a directory"
    assert fails(2, "plan", "--log", "pipe").startswith("cannot write the log file pipe: ")


@pytest.mark.slow
def test_a_list_that_is_a_pipe_or_a_device(project):
    os.mkfifo("pipe")
    for name in ("pipe", "/dev/zero"):
        assert fails(2, "plan", "--images", name) == f"cannot read {name}: it is a device or pipe"


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("x" * 256, "the name of a file has at most 255 bytes"),
        ("é" * 128, "the name of a file has at most 255 bytes"),
        ("x/" * 2100, "a path has at most 4095 bytes"),
        ("a\0b", "it has a NUL character"),
    ],
)
@pytest.mark.parametrize("option", ["--images", "--log"])
def test_names_that_no_file_can_have(project, capsys, option, word, reason):
    assert main(["plan", f"{option}={word}"]) == 2
    assert capsys.readouterr().err.endswith(f"{reason}\n")


def test_a_key_may_be_too_long_for_a_name(project, capsys):
    name = f"lab/{'x' * 200}:{'1' * 100}"
    (project / "images.yaml").write_text(f"images: [{{name: '{name}', archive: none.tar}}]")
    (project / "none.tar").write_bytes(b"")
    assert main(["publish", "--all", "--record={key}.json"]) == 2
    assert (
        "the name of a file has at most 255 bytes. Write another name in the place of {key}." in capsys.readouterr().err
    )


@pytest.mark.parametrize("json", [[], ["--json"]])
def test_plan_refuses_a_key_that_is_too_long_for_the_files_of_workflows(project, capsys, json):
    for size, code in ((105, 0), (106, 2)):
        name = f"lab/{'x' * size}:{'1' * 127}"
        (project / "images.yaml").write_text(f"images: [{{name: '{name}', dockerfile: tool/Dockerfile}}]")
        assert main(["plan", *json]) == code
    said = capsys.readouterr()
    assert f"image {name}: workflows list its packages in lab_{'x' * 106}_1" in said.err
    assert "1.packages.cdx.json, and the name of a file has at most 255 bytes. Give it a shorter one." in said.err


def test_no_file_of_a_workflow_has_a_longer_name():
    texts = [path.read_text() for path in (CHECKOUT / "workflows").rglob("*.cwl")]
    suffixes = {suffix for text in texts for suffix in re.findall(r"{key}([\w.]+)", text)}
    assert max(suffixes, key=len) == LONGEST_SUFFIX


def test_a_name_of_255_bytes_is_written(project):
    assert main(["lint", "--report", "x" * 255]) == 0
    assert (project / ("x" * 255)).stat().st_size


@pytest.mark.parametrize("name", ["", ".", "..", "/", "tool/.."])
def test_what_is_no_name_of_a_file(project, capsys, name):
    assert main(["plan", f"--log={name}"]) == 2
    assert "is not the name of a file" in capsys.readouterr().err


class TestInit:
    def test_beside_what_is_there(self, project):
        assert fails(1, "init") == "there is images.yaml already, nothing was written. Choose another folder."

    def test_on_a_link_that_leads_nowhere(self, project):
        (project / "new").mkdir()
        (project / "new/Snakefile").symlink_to("/nonexistent/x")
        assert fails(1, "init", "new") == (
            "there is new/Snakefile already, nothing was written. Choose another folder, or give --pipeline to add to "
            "the pipeline that is there."
        )

    @pytest.mark.parametrize("name", ["snakefile", "workflow/Snakefile", "workflow/snakefile", "images.yml"])
    def test_beside_what_a_file_of_the_project_would_hide(self, project, name):
        path = project / "new" / name
        path.parent.mkdir(parents=True)
        path.write_text("mine")
        said = fails(1, "init", "new")
        assert said.startswith(f"there is new/{name} already, nothing was written. Choose another folder")
        assert ("give --pipeline" in said) == ("nakefile" in name)
        assert [one for one in (project / "new").rglob("*") if one.is_file()] == [path]

    def test_on_a_file(self, project):
        assert fails(1, "init", "notes.txt") == "cannot write notes.txt: File exists. Choose another folder."

    def test_in_a_folder_that_cannot_be_made(self, project):
        assert "No such file or directory" in fails(1, "init", "/proc/none/x")

    def test_on_a_full_disk_nothing_is_left(self, full_disk):
        before = sorted(full_disk.iterdir())
        assert "No space left on device" in fails(1, "init", str(full_disk / "new"))
        assert sorted(full_disk.iterdir()) == before

    def test_in_a_folder_of_somebody_else(self, folder_of_nobody, capsys):
        closed = folder_of_nobody / "closed"
        closed.mkdir(mode=0o500)
        assert main(["init", str(closed)]) == 1
        assert "Permission denied. Choose another folder." in capsys.readouterr().err
        assert list(closed.iterdir()) == []


def test_what_is_closed_to_the_user_stops_nothing_or_is_told(all_imported, folder_of_nobody, monkeypatch, capsys):
    closed = folder_of_nobody / "closed"
    closed.mkdir(mode=0)
    monkeypatch.chdir(folder_of_nobody)
    assert main(["init", "--pipeline", str(closed)]) == 2
    assert f"cannot read {closed}: Permission denied. " in capsys.readouterr().err
    assert main(["run", "--mount", str(closed / "x"), "lab/tool:1"]) == 2
    assert "there is no such folder, or it is closed to you" in capsys.readouterr().err
    # A container may have the home folder of another user.
    for variable in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(variable, str(closed))
        assert find_settings() is None


def test_what_init_leaves_as_it_was_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Snakefile").touch()
    told = []
    for _ in range(2):
        assert main(["init", "--pipeline", "--json"]) == 0
        told.append(json.loads(capsys.readouterr().out))
    assert {"images.yaml", "images.schema.json", "images/hello/hello", "images.smk"} <= {*told[0]["written"]}
    assert told[1]["written"] == []
    assert {*told[1]["kept"]} == {*told[0]["written"], "profiles/default"} - {"profiles/default/config.yaml"}


# A link of this folder is a stdout that is a file: of the machine's own, root would lose it where it is replaced.
@pytest.mark.parametrize(
    ("name", "is_file"),
    [("-", False), ("/dev/stdout", False), ("/proc/self/fd/1", False), ("link", False), ("link", True)],
)
def test_stdout_gets_a_file_and_nothing_else(project: Path, name: str, *, is_file: bool) -> None:
    (project / "link").symlink_to("/proc/self/fd/1")
    command = [sys.executable, "-m", "skyport_wf", "lint", "--json", "--report", name]
    with (project / "out").open("wb") as file:
        stdout = file if is_file else subprocess.PIPE
        run = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)
    written = (project / "out").read_text() if is_file else run.stdout
    assert json.loads(written)["findings"] == json.loads(run.stderr)["findings"]
    assert (project / "link").is_symlink()
    assert not (project / "-").exists()


def test_a_log_may_share_stdout(project: Path) -> None:
    (project / "link").symlink_to("/proc/self/fd/1")
    with (project / "out").open("wb") as file:
        command = [sys.executable, "-m", "skyport_wf", "doctor", "--verbose", "--log", "link"]
        subprocess.run(command, stdout=file, check=False)
    text = (project / "out").read_text()
    assert "skyport-wf: GET" in text
    assert "image list: 1 image" in text


def test_receipts_of_two_images_that_make_one_file_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list has no such names, but a Shock may: of two copies, one receipt took the other's place."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SKYPORT_DATA", str(tmp_path / "data"))
    for name in ("lab/x:1", "lab_x:1"):
        (tmp_path / "image.tar").write_bytes(canonical(Image((layer_tar({"file": b"x"}),)), name))
        (tmp_path / "images.yaml").write_text(f"images: [{{name: '{name}', archive: image.tar}}]\n")
        assert main(["publish", "--all", "--quiet"]) == 0
    for names in (["--all"], ["lab/x:1", "lab_x:1"]):
        told = fails(2, "copy", *names, "--to", "http://127.0.0.1:9", "--record", "r/{key}.json")
        assert told == "r/lab_x_1.json would be written twice, with one thing in the place of another. Name two files."
