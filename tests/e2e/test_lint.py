"""`lint` with Snakemake, on images of a real engine, and on sources that stand at an address."""

import json
import shutil
from pathlib import Path

import pytest

from tests.support.commands import EXAMPLES
from tests.support.engine import docker
from tests.support.project import Project
from tests.support.transcript import check_transcript

EXAMPLE = EXAMPLES / "lint"


def test_the_example(tmp_path: Path, engine: str) -> None:
    folder = shutil.copytree(EXAMPLE, tmp_path / "lint")
    try:
        check_transcript(folder / "README.md", SKYPORT_DATA=str(tmp_path / "store"))
    finally:
        docker("image", "rm", "--force", "example/report:1.0")


SNAKEFILE = """\
import skyport_wf

configfile: "config.yaml"

module publishing:
    snakefile: skyport_wf.snakefile("publish")
    config: config["images"]

module lint:
    snakefile: skyport_wf.snakefile("lint")
    config: config["images"]

use rule * from publishing as publishing_*
use rule * from lint as lint_*
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path, "lab")
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "config.yaml").write_text("images: {}\n")
    return made


def fail(project: Project) -> str:
    failed = project.run_snakemake("--keep-going", "lint_lint_all")
    assert failed.code == 1
    return failed.out + failed.log


def test_the_rules_as_a_module_beside_those_that_publish(project: Project) -> None:
    all_three = {f"lint_lint_image {image}" for image in ("tool", "derived", "other")} | {"lint_lint_all"}
    assert project.snakemake("lint_lint_all") == all_three
    for image in ("tool", "derived", "other"):
        found = json.loads((project.records(image) / "lint.json").read_text())
        assert (found["level"], [one["code"] for one in found["findings"] if one["level"] != "info"]) == ("warning", [])
    assert project.snakemake("lint_lint_all") == set()

    dockerfile = project.folder / "images/other/Dockerfile"
    dockerfile.write_text(dockerfile.read_text() + "RUN git clone https://x.test/a\n")
    line = len(dockerfile.read_text().splitlines())
    said = fail(project)
    finding = f"images/other/Dockerfile:{line}: warning SKY021: `https://x.test/a` is cloned without a commit"
    assert finding in said
    assert "returned non-zero exit status 3" in said
    assert finding in (project.folder / "logs/skyport/lab_other_1.0/lint.log").read_text()
    assert not (project.records("other") / "lint.json").exists()
    assert (project.records("tool") / "lint.json").exists()

    assert project.snakemake("lint_lint_all", "--config", "images={lint_level: error}") == all_three
    assert "SKY021" in (project.records("other") / "lint.json").read_text()

    (project.folder / ".hadolint.yaml").write_text("ignored: [SKY021, DL3059]\n")
    assert project.snakemake("lint_lint_all") == all_three
    assert "SKY021" not in (project.records("other") / "lint.json").read_text()


def test_an_unknown_level_is_said(project: Project) -> None:
    (project.folder / "config.yaml").write_text("images: {lint_level: fatal}\n")
    assert "there is no 'fatal'; it takes error, warning" in fail(project)
