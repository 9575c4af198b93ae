import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from skyport_wf.digests import digest_of
from skyport_wf.engine.connection import connect
from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.image.context import ignore_file
from skyport_wf.image_list.spec import ImageSpec
from skyport_wf.sources.dockerfile import DockerfileSource
from skyport_wf.sources.remote_files import RemoteFiles
from skyport_wf.sources.written import note_written


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in {
        "images/tool/Dockerfile": "FROM base/x:1\nCOPY . /\n",
        "images/tool/a/b/c/deep.txt": "1",
        "images/tool/.dockerignore": "notes.md\n",
        "images/tool/notes.md": "n",
        "elsewhere/file": "2",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def image(**changes: object) -> ImageSpec:
    return ImageSpec("a/tool:1", **({"dockerfile": "images/tool/Dockerfile"} | changes))


def source(project: Path, **changes: object) -> DockerfileSource:
    return DockerfileSource(image(**changes), project, RemoteFiles())


def digest(project: Path, needs: dict[str, str] | None = None, **changes: object) -> str:
    return source(project, **changes).describe(needs or {}, connect).digest


def test_what_is_known_of_the_source(project):
    facts = source(project).describe({}, connect)
    assert facts.kind == "dockerfile"
    assert source(project).dockerfile == b"FROM base/x:1\nCOPY . /\n"
    assert facts.dockerfile_digest == digest_of(b"FROM base/x:1\nCOPY . /\n")
    assert facts.digest.startswith("sha256:")
    assert facts.context_digest not in (None, facts.digest)


def test_what_publishing_writes_beside_the_list_changes_nothing(project, monkeypatch):
    """Of a Dockerfile that lies there, and wherever the command is called."""
    (project / "Dockerfile").write_text("FROM base/x:1\nCOPY . /\n")
    before = digest(project, dockerfile="Dockerfile")
    for name in (
        "images.lock.json",
        ".snakemake/log/a",
        "results/skyport/a_tool_1/receipt.json",
        "logs/skyport/a_tool_1/build.log",
        "benchmarks/skyport/lock.tsv",
    ):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("x")
    assert digest(project, dockerfile="Dockerfile") == before
    monkeypatch.chdir(project)
    assert digest(Path(), dockerfile="Dockerfile") == before
    (project / "results/counts.tsv").write_text("x")
    assert digest(project, dockerfile="Dockerfile") != before


@pytest.mark.parametrize("variable", ["SKYPORT_DATA", "SKYPORT_CACHE"])
def test_the_embedded_shock_and_copies_in_a_context_change_nothing(project, monkeypatch, variable):
    tool = project / "images/tool"
    (project / "linked").symlink_to(tool)
    for there in (tool / "a/own", project / "linked/a/own"):
        monkeypatch.setenv(variable, str(there))
        before = digest(project)
        (tool / "a/own/b").mkdir(parents=True)
        (tool / "a/own/b/file").write_text("x")
        assert digest(project) == before
        assert source(project).materials.context.without == ("a/own",)
        monkeypatch.setenv(variable, "a/own")
        assert digest(project) != before, "one that is refused when it is needed"
        shutil.rmtree(tool / "a/own")
    monkeypatch.setenv(variable, str(tool))
    assert source(project).materials.context.without == ()


def test_what_rules_write_elsewhere_changes_nothing(project, monkeypatch, tmp_path):
    """It is noted beside the list: for all who read the context later, also when all of it has been moved."""
    run, image = project / "run", {"dockerfile": "Dockerfile"}
    (project / "Dockerfile").write_text("FROM base/x:1\nCOPY . /\n")
    (project / "out").mkdir()
    (tmp_path / "far").mkdir()
    (project / "out/linked").symlink_to(tmp_path / "far")
    run.mkdir()
    monkeypatch.chdir(run)
    written = ["img/results/skyport", "../out/skyport", "../out/linked/skyport", ".snakemake", "../lab.lock.json"]
    note_written(project, [project], [*written, "../results/skyport", str(tmp_path.parent / "elsewhere")])
    before = digest(project, **image)
    for name in written:
        path = run / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x") if path.suffix == ".json" else path.mkdir()
        assert digest(project, **image) == before
    (run / "img/results/skyport/receipt.json").write_text("x")
    found = source(project, **image).materials.context
    assert set(found.without) == {
        *(".snakemake", "images.lock.json", "results/skyport", "logs/skyport", "benchmarks/skyport"),
        *("run/img/results/skyport", "out/skyport", "far/skyport", "run/.snakemake", "lab.lock.json"),
    }
    assert b"\nrun/img/results/skyport\n" in ignore_file(found)
    (notes,) = (project / ".snakemake/skyport").iterdir()
    time = notes.stat().st_mtime_ns
    note_written(project, [project], written)
    assert notes.stat().st_mtime_ns == time
    (project / "out/other").mkdir()
    note_written(project, [project], ["../out/other/skyport"])
    assert digest(project, **image) == before, "the earlier ones are noted still"
    moved = project.rename(project.with_name("moved"))
    assert digest(moved, **image) == before
    (moved / "out/counts.tsv").write_text("x")
    assert digest(moved, **image) != before


def test_only_what_lies_in_a_context_is_noted(project, monkeypatch):
    monkeypatch.chdir(project)
    tool = project / "images/tool"
    note_written(project, [tool], ["results/skyport", "out/skyport", "images/tool", ".snakemake"])
    assert not (project / ".snakemake").exists()
    note_written(project, [tool], ["images/tool/out/skyport"])
    assert source(project).materials.context.without == ("out/skyport",)


def test_a_store_that_is_served_out_of_a_context_changes_nothing(project, tmp_path):
    """Publishing to the server knows nothing of its folder."""
    (project / "Dockerfile").write_text("FROM base/x:1\nCOPY . /\n")
    (project / "images.yaml").write_text("images: []\n")
    before = digest(project, dockerfile="Dockerfile")
    command = [sys.executable, "-m", "skyport_wf", "serve", "--port=0", "--data", str(project / "store"), "--json"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "{\n"
        server.terminate()
    assert (project / "store/shock.sqlite").exists()
    assert digest(project, dockerfile="Dockerfile") == before


def test_a_note_that_cannot_be_written_is_said(project, monkeypatch):
    monkeypatch.chdir(project)
    (project / ".snakemake").write_text("no folder")
    with pytest.raises(SkyportError, match=r"^/.*/out/skyport lies in the build context of an image, and"):
        note_written(project, [project], ["out/skyport"])


def test_what_is_called_so_elsewhere_counts(project):
    before = digest(project)
    (project / "images/tool/images.lock.json").write_text("{}")
    assert digest(project) != before


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "Dockerfile").write_text("FROM base/x:2\nCOPY . /\n"),
        lambda root: (root / "Dockerfile").write_text("FROM base/x:1\nCOPY . /\n#\n"),
        lambda root: (root / "a/b/c/deep.txt").write_text("2"),
        lambda root: (root / "a/b/c/deep.txt").chmod(0o755),
        lambda root: (root / "a/b/c/new.txt").write_text(""),
    ],
)
def test_it_changes_with_every_file(project, change):
    before = digest(project)
    change(project / "images/tool")
    assert digest(project) != before


@pytest.mark.parametrize(
    "changes",
    [
        {"build_args": {"V": "1"}},
        {"build_args": {"V": "2"}},
        {"build_args": {"W": "1"}},
        {"labels": {"V": "1"}},
        {"target": "0"},
        {"platform": "linux/arm64"},
        {"context": "elsewhere"},
    ],
)
def test_it_changes_with_what_the_list_says_of_the_build(project, changes):
    assert digest(project, **changes) != digest(project)


def test_no_two_of_these_are_the_same(project):
    (project / "images/tool/Dockerfile").write_text("FROM base/x:1 AS v\n")
    digests = [
        digest(project, **changes)
        for changes in (
            {},
            {"build_args": {"V": "1"}},
            {"build_args": {"V": "2"}},
            {"build_args": {"V": ""}},
            {"labels": {"V": "1"}},
            {"target": "V"},
            {"platform": "V"},
        )
    ]
    assert len(set(digests)) == len(digests)


def test_a_platform_has_one_digest_however_it_is_spelled(project):
    """A variant counts: images are published whose lists say one."""
    asked = ["linux/amd64", "linux/x86_64", "linux/x86-64", "Linux/AMD64"]
    assert len({digest(project, platform=one) for one in asked}) == 1
    others = ["linux/amd64/v1", "linux/arm64", "linux/arm64/v8", "linux", None]
    assert len({digest(project, platform=one) for one in (*asked, *others)}) == 1 + len(others)


def test_it_changes_with_the_image_that_it_is_built_on(project):
    assert digest(project, {"base/x:1": "sha256:1"}) != digest(project, {"base/x:1": "sha256:2"}) != digest(project)


@pytest.mark.parametrize(
    "change",
    [
        lambda root: os.utime(root / "a/b/c/deep.txt", (1, 1)),
        lambda root: os.utime(root / "Dockerfile", (1, 1)),
        lambda root: (root / "notes.md").write_text("other"),
    ],
)
def test_it_stays_on_touch_and_for_what_is_ignored(project, change):
    before = digest(project)
    change(project / "images/tool")
    assert digest(project) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"description": "x"},
        {"public": False},
        {"replace": True},
        {"pull": True},
        {"no_cache": True},
        {"network": "host"},
        {"context": "images/tool"},
    ],
)
def test_it_stays_for_what_does_not_decide_what_comes_out(project, changes):
    assert digest(project, **changes) == digest(project)


def test_it_stays_for_another_order(project):
    assert digest(project, build_args={"A": "1", "B": "2"}) == digest(project, build_args={"B": "2", "A": "1"})
    assert digest(project, {"a/a:1": "1", "b/b:1": "2"}) == digest(project, {"b/b:1": "2", "a/a:1": "1"})


def test_it_stays_in_another_folder(project, tmp_path_factory):
    moved = tmp_path_factory.mktemp("moved") / "here"
    before = digest(project)
    project.rename(moved)
    assert digest(moved) == before


def test_a_dockerfile_that_is_ignored_counts_all_the_same(project):
    (project / "images/tool/.dockerignore").write_text("Dockerfile\n")
    before = digest(project)
    (project / "images/tool/Dockerfile").write_text("FROM other:1\n")
    assert digest(project) != before


def test_a_dockerfile_outside_its_context_counts(project):
    before = digest(project, context="elsewhere")
    (project / "images/tool/Dockerfile").write_text("FROM other:1\n")
    assert digest(project, context="elsewhere") != before


def test_the_context_is_the_dockerfiles_folder_unless_it_is_named(project):
    assert source(project).materials.context.root == project / "images/tool"
    assert source(project, context=".").materials.context.root == project


def test_build_args_and_target_decide_what_is_read(project):
    (project / "images/tool/Dockerfile").write_text("ARG V=1\nFROM a/a:$V AS one\nFROM b/b:1\n")
    read = source(project, build_args={"V": "2"}, target="one")
    assert (read.base, read.used_images) == ("a/a:2", ("a/a:2",))


def test_a_missing_dockerfile(project):
    with pytest.raises(UsageError) as caught:
        digest(project, dockerfile="images/none/Dockerfile")
    assert str(caught.value) == (
        f"image a/tool:1: there is no Dockerfile {project}/images/none/Dockerfile. Mend `dockerfile` in the image list."
    )


def test_a_stage_that_is_not_there(project):
    with pytest.raises(UsageError) as caught:
        source(project, target="biuld")
    assert str(caught.value) == (
        f"image a/tool:1: {project}/images/tool/Dockerfile has no stage 'biuld'. Mend `target` in the image list."
    )


@pytest.mark.parametrize("text", ["", "# only a comment\n", "ARG A=1\n", "RUN true\n", "FROM\n"])
def test_a_dockerfile_without_a_from(project, text):
    (project / "images/tool/Dockerfile").write_text(text)
    with pytest.raises(UsageError) as caught:
        source(project, target="build")
    assert str(caught.value) == (
        f"image a/tool:1: {project}/images/tool/Dockerfile has no FROM, and docker refuses such a file. Write what it "
        "starts from."
    )


def test_a_dockerfile_in_utf_16(project):
    (project / "images/tool/Dockerfile").write_text("FROM debian\n", encoding="utf-16")
    with pytest.raises(UsageError, match=r"is in UTF-16, as PowerShell writes files, .* Save it as UTF-8\.$"):
        source(project)


def test_what_another_frontend_reads_needs_no_from(project):
    (project / "images/tool/Dockerfile").write_text("# syntax=lab/other:1\nINCLUDE other\n")
    assert source(project).describe({}, connect).kind == "dockerfile"


def test_a_folder_for_a_dockerfile(project):
    with pytest.raises(UsageError, match="there is no Dockerfile"):
        digest(project, dockerfile="images/tool")


@pytest.mark.parametrize("context", ["none", "elsewhere/file"])
def test_a_missing_context(project, context):
    with pytest.raises(UsageError) as caught:
        digest(project, context=context)
    assert str(caught.value) == (
        f"image a/tool:1: there is no folder {project}/{context}. Mend `context` in the image list."
    )


def test_a_dockerfile_that_may_not_be_read(folder_of_nobody):
    path = folder_of_nobody / "Dockerfile"
    path.write_text("FROM a:1\n")
    path.chmod(0)
    with pytest.raises(UsageError) as caught:
        digest(folder_of_nobody, dockerfile="Dockerfile")
    assert str(caught.value) == f"image a/tool:1: cannot read {path}: Permission denied"
