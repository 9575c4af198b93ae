"""Publishing with CWL, a real engine and real runners: what comes out, and that it is what Snakemake publishes."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from skyport_wf.pipelines.shipped import find_workflow
from tests.support.cwl_project import (
    CHECKOUT,
    TOKEN,
    WORKFLOWS,
    Run,
    Runner,
    a_file,
    cwltool,
    directory,
    published,
    same_image,
    served_shock,
    toil,
)
from tests.support.engine import config_digest, docker
from tests.support.project import Project

GZIP_FORMAT = "http://edamontology.org/format_3989"


@pytest.fixture
def project(tmp_path: Path, namespace: str) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    return Project(folder, namespace)


@pytest.fixture
def job(project: Project, engine: str, tmp_path: Path) -> dict[str, Any]:
    """Return what every job says: the project, the engine, and a store of the CWL run's own."""
    data = str(tmp_path / "cwl-store")
    return {"project": directory(project.folder), "docker_host": engine, "skyport_data": data}


def two_images(project: Project) -> None:
    """Write a list of two images that are not built on one another: a Dockerfile and an archive."""
    # With a label of its own: an engine that builds the very same image would have it copied on the server.
    options = ("--quiet", "--network=host", "--label", "made=by hand", "--tag", project.name("saved"))
    docker("build", *options, str(project.folder / "images/tool"))
    docker("save", "--output", str(project.folder / "images/saved.tar"), project.name("saved"))
    (project.folder / "images.yaml").write_text(
        f"images:\n  - name: {project.name('tool')}\n    dockerfile: images/tool/Dockerfile\n"
        f"  - name: {project.name('saved')}\n    archive: images/saved.tar\n"
    )


def snakemake_receipts(project: Project, *images: str) -> list[dict[str, Any]]:
    """Publish into the project's own store with Snakemake, and return the receipts."""
    (project.folder / "Snakefile").write_text('import skyport_wf\n\ninclude: skyport_wf.snakefile("publish")\n')
    project.snakemake("publish_all")
    return [project.receipt_of(image) for image in images]


def check_same_as_snakemake(run: Run, project: Project, *images: str) -> None:
    receipts = sorted(
        run.read("receipts"), key=lambda receipt: [project.name(image) for image in images].index(receipt["name"])
    )
    expected = snakemake_receipts(project, *images)
    assert [same_image(receipt) for receipt in receipts] == [same_image(receipt) for receipt in expected]
    assert all(receipt["canonical"] and receipt["archive_sha256"] and receipt["layers"] for receipt in receipts)
    assert [receipt["node"] for receipt in receipts] != [receipt["node"] for receipt in expected]
    lock = run.read("lock")["images"]
    assert {name: entry["node"] for name, entry in lock.items()} == {one["name"]: one["node"] for one in receipts}


def test_cwltool_publishes_what_snakemake_publishes(project: Project, job: dict[str, Any], tmp_path: Path) -> None:
    run = cwltool(tmp_path / "runs").run(WORKFLOWS / "publish-images.cwl", job)

    check_same_as_snakemake(run, project, "tool", "derived", "other")
    assert {path.name for path in project.folder.iterdir()} >= {"images.yaml"}
    assert len(published(Path(job["skyport_data"]))) == 3


def test_images_that_are_built_on_one_another_may_start_at_the_same_moment(
    project: Project, job: dict[str, Any], tmp_path: Path
) -> None:
    run = cwltool(tmp_path / "runs", "--parallel").run(WORKFLOWS / "publish-images.cwl", job)
    receipts = {receipt["name"]: receipt for receipt in run.read("receipts")}
    base = receipts[project.name("derived")]["base"]
    assert base["image_id"] == receipts[project.name("tool")]["image_id"]
    assert {*run.read("lock")["images"]} == {*receipts}
    components = [document["metadata"]["component"]["name"] for document in run.read("packages")]
    assert sorted(components) == sorted(name.partition(":")[0] for name in receipts)


def test_toil_publishes_what_snakemake_publishes(project: Project, job: dict[str, Any], tmp_path: Path) -> None:
    two_images(project)
    run = toil(tmp_path / "runs").run(WORKFLOWS / "publish-images.cwl", job)
    check_same_as_snakemake(run, project, "tool", "saved")


def test_the_input_folder_is_left_as_it_is(project: Project, job: dict[str, Any], tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in project.folder.rglob("*")}
    cwltool(tmp_path / "runs").run(WORKFLOWS / "publish-image.tool.cwl", job | {"name": project.name("tool")}).read(
        "receipt"
    )
    assert {path: path.stat().st_mtime_ns for path in project.folder.rglob("*")} == before


def test_one_tool_publishes_the_same_image(project: Project, job: dict[str, Any], tmp_path: Path) -> None:
    names = [project.name("tool"), project.name("other")]
    run = cwltool(tmp_path / "runs").run(WORKFLOWS / "publish-images.awe.cwl", job | {"names": names})
    for streamed, saved in zip(run.read("receipts"), snakemake_receipts(project, "tool", "other"), strict=True):
        same = ("name", "image_id", "layers", "source", "engine")
        assert {key: streamed[key] for key in same} == {key: saved[key] for key in same}


def test_each_step_by_itself_from_files_that_were_moved(project: Project, job: dict[str, Any], tmp_path: Path) -> None:
    runner = cwltool(tmp_path / "runs")
    shock = {"skyport_data": job["skyport_data"]}
    moved = tmp_path / "elsewhere"
    moved.mkdir()

    def step(tool: str, job: dict[str, Any], output: str) -> Path:
        run = runner.run(WORKFLOWS / f"tools/{tool}.cwl", job)
        made = Path(run.outputs[output]["path"])
        if "archive" in run.outputs:
            Path(run.outputs["archive"]["path"]).rename(moved / "image.gz")
        return made.rename(moved / f"{tool}.json")

    build = step("build", job | {"name": project.name("tool")}, "record")
    save = step("save", {"build": a_file(build), "docker_host": job["docker_host"]}, "record")
    upload = step(
        "upload", {"save": a_file(save), "archive": a_file(moved / "image.gz", GZIP_FORMAT)} | shock, "record"
    )
    assert published(Path(job["skyport_data"])) == []
    step("register", {"upload": a_file(upload)} | shock, "receipt")
    assert [image["name"] for image in published(Path(job["skyport_data"]))] == [project.name("tool")]


def test_a_cache_does_not_skip_an_upload(project: Project, job: dict[str, Any], tmp_path: Path) -> None:
    runner = cwltool(tmp_path / "runs", "--cachedir", str(tmp_path / "cache"))
    two_images(project)
    run = runner.run(WORKFLOWS / "publish-images.cwl", job)
    first = run.read("receipts")

    Path(job["skyport_data"]).rename(tmp_path / "lost-store")
    second = runner.run(WORKFLOWS / "publish-images.cwl", job).read("receipts")
    assert {one["node"] for one in second}.isdisjoint(one["node"] for one in first)
    assert {image["node"] for image in published(Path(job["skyport_data"]))} == {one["node"] for one in second}

    receipts = {"receipts": [a_file(Path(file["path"])) for file in run.outputs["receipts"]]}
    locks = [runner.run(WORKFLOWS / "tools/lock.cwl", receipts) for _ in range(2)]
    assert ["Using cached output" in lock.stderr for lock in locks] == [False, True]  # so there is a cache


@pytest.mark.parametrize("form", ["publish-images.cwl", "publish-image.tool.cwl"])
def test_cwltool_tells_nobody_the_token(project: Project, job: dict[str, Any], tmp_path: Path, form: str) -> None:
    two_images(project)
    tool = {} if form == "publish-images.cwl" else {"name": project.name("tool")}
    runner = cwltool(tmp_path / "runs", "--debug", "--provenance", str(tmp_path / "provenance"))
    with served_shock(tmp_path / "served") as url:
        run = runner.run(WORKFLOWS / form, job | tool | {"skyport_data": "", "shock_url": url, "token": TOKEN})
    assert run.code == 0, run.stderr
    assert len(published(tmp_path / "served")) == (1 if tool else 2)
    assert all(text in run.stderr for text in ("(secret-", url))  # where the URL is told, the token could be
    assert any(url.encode() in path.read_bytes() for path in (tmp_path / "provenance").rglob("*.json"))
    check_silent(run, tmp_path / "provenance")


def test_toil_tells_nobody_the_token(project: Project, job: dict[str, Any], tmp_path: Path) -> None:
    runner = toil(tmp_path / "runs", "--logDebug", "--jobStore", str(tmp_path / "jobs"), "--clean", "never")
    tool = {"name": project.name("tool"), "skyport_data": ""}
    with served_shock(tmp_path / "served") as url:
        run = runner.run(WORKFLOWS / "publish-image.tool.cwl", job | tool | {"shock_url": url, "token": TOKEN})
    assert run.code == 0, run.stderr
    assert len(published(tmp_path / "served")) == 1
    assert all(text in run.stderr for text in ("(secret-", url))
    check_silent(run, tmp_path / "jobs")


def check_silent(run: Run, *folders: Path) -> None:
    """See that the token is in no stream and no file but the job."""
    (run.folder / "job.yml").unlink()
    assert TOKEN not in run.stdout + run.stderr
    for path in (path for folder in (run.folder, *folders) for path in folder.rglob("*")):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path


def test_a_token_file_wins_over_a_token(project: Project, job: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    with served_shock(tmp_path / "served") as url:
        shock = {"skyport_data": "", "shock_url": url, "token": "not-the-token", "token_file": str(tmp_path / "token")}
        tool = WORKFLOWS / "publish-image.tool.cwl"
        run = cwltool(tmp_path / "runs").run(tool, job | shock | {"name": project.name("tool")})
        assert run.read("receipt")["shock"] == url
    assert TOKEN not in run.stderr
    assert len(published(tmp_path / "served")) == 1


USING = """
cwlVersion: v1.0
class: CommandLineTool
hints:
  DockerRequirement:
    dockerLoad: "{dockerLoad}"
    dockerImageId: "{dockerImageId}"
baseCommand: [cat, /data/deep/file]
inputs: []
stdout: output.txt
outputs:
  text: stdout
"""


@pytest.mark.parametrize("make_runner", [cwltool, toil])
def test_a_tool_with_the_receipts_requirement_fetches_the_image_and_runs_in_it(
    project: Project, job: dict[str, Any], tmp_path: Path, make_runner: Any
) -> None:
    runner: Runner = make_runner(tmp_path / "runs")
    with served_shock(tmp_path / "served") as url:
        shock = {"skyport_data": "", "shock_url": url, "token": TOKEN}
        publish = WORKFLOWS / "publish-image.tool.cwl"
        receipt = runner.run(publish, job | shock | {"name": project.name("tool")}).read("receipt")
        docker("image", "rm", "--force", project.name("tool"))
        (tmp_path / "tool.cwl").write_text(USING.format_map(receipt["use"]["cwl"]["DockerRequirement"]))

        run = runner.run(tmp_path / "tool.cwl", {})

    assert run.code == 0, run.stderr
    assert (run.folder / "out/output.txt").read_text() == "tool"
    assert config_digest(project.name("tool")) == receipt["image_id"]
    docker("image", "rm", "--force", project.name("tool"))


def test_the_example_publishes_an_image_and_analyses_in_it(engine: str, tmp_path: Path) -> None:
    # As its README says: copied, with a link to the documents of the package.
    example = shutil.copytree(CHECKOUT / "examples/cwl-analysis", tmp_path / "my-analysis", symlinks=True)
    (example / "workflows").unlink()
    (example / "workflows").symlink_to(find_workflow("publish-image.cwl").parent)
    job = {
        "project": directory(example),
        "sequences": {"class": "File", "location": str(example / "sequences.fa")},
        "docker_host": engine,
        "skyport_data": str(tmp_path / "store"),
    }
    run = cwltool(tmp_path / "runs").run(example / "publish-and-analyse.cwl", job)
    assert run.code == 0, run.stderr
    assert (run.folder / "out/gc-content.tsv").read_text() == "half\t20\t50.0\nrich\t10\t80.0\n"
    assert run.read("receipt")["name"] == "example/gc-content:1.0"
    assert not os.path.lexists(example / "images.lock.json")
