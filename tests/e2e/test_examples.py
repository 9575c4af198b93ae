"""The examples that are there to be copied do what their READMEs say."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import CHECKOUT, COMMANDS
from tests.support.engine import docker
from tests.support.project import jobs
from tests.support.transcript import check_transcript


@pytest.fixture
def pipeline(tmp_path: Path, engine: str) -> Iterator[Path]:
    """Return a copy of the example, as a user makes one."""
    assert docker("image", "ls", "--quiet", "debian:bookworm"), "the base image is missing; `make test` makes it"
    yield shutil.copytree(CHECKOUT / "examples/pipeline", tmp_path / "pipeline")
    docker("image", "rm", "--force", "example/gc:1.0", "example/gc-notes:1.0")


def snakemake(folder: Path) -> set[str]:
    done = subprocess.run(
        [COMMANDS / "snakemake", "--cores", "2", "--nocolor"], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "SKYPORT_DATA": str(folder / "store"), "SHOCK_URL": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return jobs(done.stderr)


def test_the_pipeline_publishes_its_images_and_runs_in_one(pipeline: Path) -> None:
    assert "gc_content" in snakemake(pipeline)
    assert (pipeline / "results/gc.txt").read_text() == "50\n"
    assert docker("run", "--rm", "example/gc-notes:1.0", "cat", "/usr/share/doc/gc-notes.txt").startswith("gc counts")
    assert (
        len(docker("image", "inspect", "--format", "{{range .RootFS.Layers}}x{{end}}", "example/gc-notes:1.0").strip())
        == 1
    )
    assert snakemake(pipeline) == set()

    listed = (pipeline / "images.yaml").read_text()
    (pipeline / "images.yaml").write_text(listed.replace("gc:1.0", "gc:1.1"))
    snakefile = (pipeline / "Snakefile").read_text()
    (pipeline / "Snakefile").write_text(snakefile.replace("gc:1.0", "gc:1.1"))
    with (pipeline / "images/gc/gc").open("a") as program:
        program.write("echo done\n")
    try:
        # The notes are made from another image now, under a name that is taken.
        with pytest.raises(AssertionError, match=r"example/gc-notes:1.0 is published already, as another image"):
            snakemake(pipeline)
        (pipeline / "images.yaml").write_text((pipeline / "images.yaml").read_text().replace("notes:1.0", "notes:1.1"))
        assert "gc_content" in snakemake(pipeline)
        assert (pipeline / "results/gc.txt").read_text() == "50\ndone\n"
    finally:
        docker("image", "rm", "--force", "example/gc:1.1", "example/gc-notes:1.1")


def run_example(name: str, folder: Path) -> Path:
    """Run an example as its README says, and return its results."""
    project = shutil.copytree(CHECKOUT / "examples" / name, folder / name)
    check_transcript(project / "README.md", SKYPORT_DATA=str(folder / "store"), SHOCK_URL="")
    return project / "results"


def numbers(table: Path) -> dict[str, str]:
    return dict(line.split(": ") for line in table.read_text().splitlines())


@pytest.mark.slow
def test_an_assembly_puts_the_genome_together(tmp_path: Path, engine: str) -> None:
    try:
        results = run_example("assembly", tmp_path)
    finally:
        docker("image", "rm", "--force", "example/velvet:1.2.10")
    found = numbers(results / "contigs.txt")
    # A repeat that is longer than a read, and is there three times, leaves the four pieces around it.
    assert int(found["contigs"]) == 5
    assert 4500 < int(found["N50"]) < 5000
    assert (found["of the genome"], found["wrong"]) == ("98 %", "0")
    assert (results / "contigs.svg").read_text().count("<rect") == 5
    assert (results / "velvet/contigs.fa").stat().st_uid == os.getuid()


@pytest.mark.slow
def test_a_mapping_finds_what_is_missing(tmp_path: Path, engine: str) -> None:
    try:
        results = run_example("mapping", tmp_path)
    finally:
        docker("image", "rm", "--force", "example/bowtie2:2.5.0", "example/samtools:1.16.1")
    found = numbers(results / "summary.txt")
    assert float(found["mapped"].rstrip("%")) > 98
    # 30 times over, but for the piece of a twentieth that the sample lacks.
    assert 27 < float(found["mean coverage"]) < 30
    first, last = map(int, found["not covered"].split(" to "))
    assert abs(first - 4001) < 15
    assert abs(last - 4500) < 15
    assert "<polygon" in (results / "coverage.svg").read_text()
