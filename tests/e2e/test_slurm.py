"""A pipeline on a real Slurm: images are published where Snakemake runs, the analysis runs as jobs on a node."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.apptainer import path_with_apptainer
from tests.support.docker_archives import Image, file_member, legacy, tar_of
from tests.support.engine import PROGRAMS
from tests.support.pipeline import Pipeline, module, write_images
from tests.support.slurm import DAEMONS, running_cluster

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("Slurm")]

PLUGIN = Path(sys.prefix) / "slurm"
"""Where `.ci/make-venv` puts Snakemake's plugin, apart from what every other start of Snakemake imports."""
ANALYSIS = """
rule analyse:
    input:
        archive="results/skyport/lab_tool_1/fetched.tar",
    output:
        "analysis.txt",
    shell:
        "(echo job $SLURM_JOB_ID; ls images.yaml || true; tar -xOf {input.archive} manifest.json) > {output}"
"""


IN_THE_IMAGE = """
rule look:
    input:
        sif=skyport_wf.sif("lab/tool:1"),
    output:
        "looked.txt",
    container:
        skyport_wf.container("lab/tool:1")
    shell:
        "(echo job $SLURM_JOB_ID; echo $(</name)) > {output}"
"""
SLURM = (
    "--executor", "slurm", "--jobs", "2", "--slurm-no-account", "--slurm-status-command", "squeue",
    "--slurm-init-seconds-before-status-checks", "1", "--default-resources", "slurm_partition=main", "mem_mb=100",
)  # fmt: skip


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Run a cluster whose node has no engine, and does not see the image list; return the variables to use it with."""
    missing = [program for program in DAEMONS if not shutil.which(program)]
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
    done = pipeline.run_snakemake("analysis.txt", *SLURM, **cluster)
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


def test_a_rule_runs_in_the_image_on_a_node(tmp_path: Path, cluster: dict[str, str]) -> None:
    apptainer = tmp_path / "apptainer"
    path_with_apptainer(apptainer)
    pipeline = Pipeline(tmp_path / "pipeline")
    bash, _ = program = file_member("bin/bash", Path(PROGRAMS["bash"]).read_bytes())
    bash.mode = 0o755
    image = Image((tar_of([program, file_member("name", b"in the image")]),))
    (pipeline.folder / "image.tar").write_bytes(tar_of(legacy(image)))
    pipeline.write_list("name: 'lab/tool:1', archive: image.tar")
    pipeline.write_snakefile(module("images"), IN_THE_IMAGE)
    done = pipeline.run_snakemake(
        "looked.txt", "--software-deployment-method", "apptainer", *SLURM,
        **{**cluster, "PATH": f"{apptainer}:{cluster['PATH']}", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.code == 0, done.out + done.log
    assert (pipeline.folder / "looked.txt").read_text() == "job 1\nin the image\n"
