"""The cost of publishing by Snakemake: tiny images by the rules, by one command, and a trivial workflow beside them.

    python benchmarks/pipelines.py [IMAGES]

Then the jobs of an analysis, in a Snakefile with the rules, whose images are published, and in one without them.

All in one run, so that the ratios hold on a busy machine: CPU seconds of a command and all that it started. No engine
is needed, as the images are archives.
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.pipeline import write_images

COMMANDS = Path(sys.executable).parent
SNAKEFILE = 'import skyport_wf\n\n\ninclude: skyport_wf.snakefile("publish")\n'
TRIVIAL = """
rule all:
    input:
        expand("made/{{number}}_4.txt", number=range({images})),


rule first:
    output:
        "made/{{number}}_0.txt",
    shell:
        "echo > {{output}}"


rule next:
    input:
        lambda wildcards: f"made/{{wildcards.number}}_{{int(wildcards.step) - 1}}.txt",
    output:
        "made/{{number}}_{{step}}.txt",
    wildcard_constraints:
        step="[1-4]",
    shell:
        "echo > {{output}}"
"""
ANALYSIS = """
rule analysis:
    input:
        expand("plots/{{kind}}{{number}}.txt", number=range({jobs}), kind=config["kind"]),


rule by_shell:
    output:
        "plots/shell{{number}}.txt",
    shell:
        "echo > {{output}}"


rule by_python:
    output:
        "plots/run{{number}}.txt",
    run:
        open(output[0], "w").close()
"""
"""Jobs of both kinds: for the second, Snakemake starts itself again, and that parses the Snakefile."""
ANALYSIS_JOBS = {"shell": 200, "run": 4}


@contextmanager
def project(images: int, snakefile: str) -> Iterator[Path]:
    """Make a folder with an image list and a Snakefile."""
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder), *(f"lab/tool{number}:1" for number in range(images)))
        (Path(folder) / "Snakefile").write_text(snakefile)
        yield Path(folder)


def environment(folder: Path) -> dict[str, str]:
    """Return the variables of a command: compiled files are kept, as where the package is installed."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "SKYPORT_DATA": str(folder / "store"), "SHOCK_URL": ""}


def cost(folder: Path, program: str, *arguments: str) -> float:
    """Return the CPU seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [COMMANDS / program, *arguments], cwd=folder, check=True, capture_output=True,
        env=environment(folder),
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print a line for each way."""
    images = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    snakemake, stream = ("--cores", "2", "publish_all"), ("--config", "skyport={steps: stream}")
    # The files that the rules write, too.
    files = ("--record", "results/{key}.json", "--sbom", "results/{key}.cdx.json", "--lock", "images.lock.json")
    with (
        project(images, SNAKEFILE) as one, project(images, SNAKEFILE) as each, project(images, SNAKEFILE) as streamed,
        project(0, TRIVIAL.format(images=images)) as trivial,
    ):  # fmt: skip
        found = {
            "trivial workflow of as many jobs": cost(trivial, "snakemake", "--cores", "2"),
            "the same again, nothing to do": cost(trivial, "snakemake", "--cores", "2"),
            "the same again, as a dry run": cost(trivial, "snakemake", "--cores", "2", "--dry-run"),
            "skyport-wf publish --all": cost(one, "skyport-wf", "publish", "--all", *files),
            "rules, a job for each step": cost(each, "snakemake", *snakemake),
            "rules again, nothing to do": cost(each, "snakemake", *snakemake),
            "rules again, as a dry run": cost(each, "snakemake", *snakemake, "--dry-run"),
            "rules, a job for each image": cost(streamed, "snakemake", *snakemake, *stream),
        }
    for what, seconds in found.items():
        print(f"{what:<36}{seconds:7.2f} s CPU {1000 * seconds / images:7.1f} ms an image")
    for kind, jobs in ANALYSIS_JOBS.items():
        alone, beside = compare_analysis(kind, jobs)
        what = f"analysis of {jobs} jobs ({kind}:)"
        print(f"{what:<36}{1000 * alone:7.1f} ms CPU a job, {1000 * beside:.1f} with the rules")


def compare_analysis(kind: str, jobs: int, *, images: int = 3) -> tuple[float, float]:
    """Return the CPU seconds of a job of an analysis: without our rules, and beside them, with all images published.

    Of both, what the same call takes that has nothing to do is taken off; the best of three runs counts.
    """
    analysis = ANALYSIS.format(jobs=jobs)
    with project(images, analysis) as alone, project(images, SNAKEFILE + analysis) as beside:
        cost(beside, "snakemake", "--cores", "2", "publish_all", "--config", f"kind={kind}")
        found: list[list[float]] = [[], []]
        for _ in range(3):
            for seconds, folder in zip(found, (alone, beside), strict=True):
                shutil.rmtree(folder / "plots", ignore_errors=True)
                call = ("snakemake", "--cores", "2", "analysis", "--config", f"kind={kind}")
                seconds.append(cost(folder, *call) - cost(folder, *call))
    return min(found[0]) / jobs, min(found[1]) / jobs


if __name__ == "__main__":
    main()
