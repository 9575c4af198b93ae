"""A pipeline on a real Slurm: images are published where Snakemake runs, the analysis runs as jobs on a node."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pipeline import Pipeline, module, write_images
from tests.support.slurm import PROGRAMS, running_cluster

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("Slurm")]

PLUGIN = Path(sys.prefix) / "slurm"
"""Where `.ci/make-venv` puts Snakemake's plugin, apart from what every other start of Snakemake imports."""
ANALYSIS = """
rule analyse:
    input:
        archive="results/skyport/lab_tool_1/image.tar",
    output:
        "analysis.txt",
    shell:
        "(echo job $SLURM_JOB_ID; ls images.yaml || true; tar -xOf {input.archive} manifest.json) > {output}"
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Run a cluster whose node has no engine, and does not see the image list; return the variables to use it with."""
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing or os.geteuid() != 0:
        reason = f"{', '.join(missing)} missing; `make test` installs them" if missing else "slurmd runs as root only"
        pytest.fail(reason) if "CI" in os.environ else pytest.skip(reason)
    with running_cluster() as variables:
        submit = tmp_path / "bin/sbatch"
        submit.parent.mkdir()
        submit.write_text(f'#!/bin/sh\nmv images.yaml hidden.yaml\nexec {shutil.which("sbatch")} "$@"\n')
        submit.chmod(0o755)
        yield {
            **variables, "PATH": f"{submit.parent}:{variables['PATH']}", "PYTHONPATH": str(PLUGIN),
            "DOCKER_HOST": "unix:///nonexistent/docker.sock",
        }  # fmt: skip


def test_images_are_published_here_and_used_on_a_node_without_an_engine_and_a_list(
    tmp_path: Path, cluster: dict[str, str]
) -> None:
    pipeline = Pipeline(tmp_path / "pipeline")
    write_images(pipeline.folder, "lab/tool:1")
    pipeline.write_snakefile(module("images"), ANALYSIS)
    done = pipeline.run_snakemake(
        "analysis.txt", "--executor", "slurm", "--jobs", "2", "--slurm-no-account", "--slurm-status-command", "squeue",
        "--slurm-init-seconds-before-status-checks", "1", "--default-resources", "slurm_partition=main", "mem_mb=100",
        **cluster,
    )  # fmt: skip
    assert done.code == 0, done.out + done.log
    analysed = (pipeline.folder / "analysis.txt").read_text()
    assert analysed.startswith("job 1\n[{"), "it ran as a job, where there is no images.yaml"
    assert "lab/tool:1" in analysed
    assert (pipeline.folder / "results/skyport/lab_tool_1/receipt.json").exists()
    asked = subprocess.run(
        ["scontrol", "--oneliner", "show", "job"], env={**os.environ, **cluster}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    jobs = asked.stdout.splitlines()
    assert len(jobs) == 1, "publishing made no jobs"
    assert "Comment=rule_analyse" in jobs[0]
