"""Archives of a pipeline count by what is in them, and those that its rules make by their time."""

import json
import os
from pathlib import Path

import pytest

from tests.support.docker_archives import Image, file_member, legacy, oci_archive, tar_of
from tests.support.pipeline import Pipeline, module

pytestmark = pytest.mark.slow

RECEIPT = "results/skyport/lab_x_1/receipt.json"
ANALYSIS = """
rule analysis:
    input:
        skyport_wf.receipt("lab/x:1"),
    output:
        "analysis.txt",
    shell:
        "cp {input} {output}"
"""
EXPORT = """
rule export:
    input:
        "source.tar",
    output:
        "made.tar",
    shell:
        "cp {input} {output}"
"""


def image(content: str, size: int = 0) -> Image:
    return Image((tar_of([file_member("content", content.encode()), file_member("large", bytes(size))]),))


def write_file(path: Path, content: str, size: int = 0) -> None:
    path.write_bytes(tar_of(legacy(image(content, size))))


def write_layout(folder: Path, content: str) -> None:
    """Write an image into an OCI layout, over the files that are there, as tools do."""
    for info, data in oci_archive(image(content)):
        file = folder / info.name
        file.parent.mkdir(parents=True, exist_ok=True)
        if info.isfile():
            file.write_bytes(data)


def pipeline_of(folder: Path, archive: str, *parts: str, fields: str = "replace: true", config: str = "{}") -> Pipeline:
    pipeline = Pipeline(folder / "pipeline")
    pipeline.folder.mkdir(exist_ok=True)
    pipeline.write_list(f"name: 'lab/x:1', archive: {archive}, {fields}", shock="url: embedded")
    pipeline.write_snakefile(module("a", config=config), ANALYSIS, *parts)
    return pipeline


@pytest.mark.parametrize(
    ("config", "last"), [("{}", "a_register_image x"), ('{"steps": "stream"}', "a_publish_image x")]
)
def test_another_image_in_a_layout(tmp_path: Path, config: str, last: str) -> None:
    """The folder keeps its time."""
    pipeline = pipeline_of(tmp_path, "layout", config=config)
    layout = pipeline.folder / "layout"
    write_layout(layout, "one")
    pipeline.snakemake("analysis")
    before, time = pipeline.receipt(RECEIPT), layout.stat().st_mtime_ns
    write_layout(layout, "two")
    assert layout.stat().st_mtime_ns == time
    assert pipeline.snakemake("analysis") >= {last, "analysis"}
    assert pipeline.receipt(RECEIPT)["image_id"] != before["image_id"]
    assert pipeline.snakemake("analysis") == set()


def test_another_image_in_a_file_of_an_older_time(tmp_path: Path) -> None:
    """As `mv`, `rsync --times` and whoever restores a copy leave it. A published name stays what it is."""
    pipeline = pipeline_of(tmp_path, "x.tar", fields="")
    archive = pipeline.folder / "x.tar"
    write_file(archive, "one")
    pipeline.snakemake("analysis")
    write_file(archive, "two")
    os.utime(archive, (1_600_000_000, 1_600_000_000))
    failed = pipeline.run_snakemake("analysis")
    assert failed.code == 1
    assert "lab/x:1 is published already, as another image" in failed.out + failed.log
    write_file(archive, "one")
    assert "a_register_image x" in pipeline.snakemake("analysis")


def test_a_large_file_with_a_new_time_is_the_same(tmp_path: Path) -> None:
    """Snakemake itself compares the contents of small files only. A link may lead to the file."""
    pipeline = pipeline_of(tmp_path, "x.tar")
    archive = pipeline.folder / "x.tar"
    write_file(pipeline.folder / "annex", "one", size=2 << 20)
    archive.symlink_to("annex")
    pipeline.snakemake("analysis")
    (pipeline.folder / "annex").touch()
    assert pipeline.snakemake("analysis") == set()
    write_file(pipeline.folder / "other", "two", size=2 << 20)
    archive.unlink()
    archive.symlink_to("other")
    assert pipeline.snakemake("analysis") >= {"a_register_image x", "analysis"}


def test_an_archive_that_a_rule_makes(tmp_path: Path) -> None:
    """What lies there when the workflow is parsed may be old: only what the rule makes of its input counts."""
    pipeline = pipeline_of(tmp_path, "made.tar", EXPORT)
    source = pipeline.folder / "source.tar"
    write_file(source, "one")
    assert pipeline.snakemake("analysis") >= {"export", "a_register_image x", "analysis"}
    before = pipeline.receipt(RECEIPT)
    assert pipeline.snakemake("analysis") == set()
    write_file(source, "two")
    assert pipeline.snakemake("analysis") >= {"export", "a_register_image x", "analysis"}
    assert pipeline.receipt(RECEIPT)["image_id"] != before["image_id"]
    assert pipeline.snakemake("analysis") == set()


def test_jobs_of_a_cluster(tmp_path: Path) -> None:
    """They read no archive, and what they know of it changes nothing."""
    pipeline = pipeline_of(tmp_path, "x.tar", config='{"cluster": True}')
    write_file(pipeline.folder / "x.tar", "one")
    (pipeline.folder / "submit").write_text('#!/bin/bash\nmv x.tar away.tar\nbash "$@"\nmv away.tar x.tar\n')
    (pipeline.folder / "submit").chmod(0o755)
    submit = ("--executor", "cluster-generic", "--cluster-generic-submit-cmd", "./submit")
    done = pipeline.run_snakemake("analysis", *submit, "--jobs", "1", "--seconds-between-status-checks", "1")
    assert done.code == 0, done.out + done.log
    assert "Submitted group job" in done.log
    assert pipeline.snakemake("analysis") == set()
    assert json.loads((pipeline.folder / "analysis.txt").read_text())["name"] == "lab/x:1"


@pytest.mark.parametrize("steps", ["each", "stream"])
def test_an_archive_that_is_gone(tmp_path: Path, steps: str) -> None:
    """Whoever has published it may remove it; whoever has not hears of it, however quiet Snakemake is."""
    pipeline = pipeline_of(tmp_path, "old.tar", config=f'{{"steps": "{steps}"}}')
    said = pipeline.refused("--quiet", "all", "--", "analysis")
    assert "skyport-wf: image lab/x:1: there is no archive old.tar, and no rule of the workflow makes it. Mend" in said
    write_file(pipeline.folder / "old.tar", "first")
    assert "analysis" in pipeline.snakemake("analysis")
    (pipeline.folder / "old.tar").rename(pipeline.folder / "away.tar")
    assert pipeline.snakemake("analysis", "a_publish_all") <= {"a_list_packages x", "a_lock_images", "a_publish_all"}
    assert pipeline.snakemake("analysis") == set()
    (pipeline.folder / "away.tar").rename(pipeline.folder / "old.tar")
    assert pipeline.snakemake("analysis") == set()
    write_file(pipeline.folder / "old.tar", "second")
    assert "analysis" in pipeline.snakemake("analysis")
