"""The cost of publishing by Snakemake: tiny images by the rules, by one command, and a trivial workflow beside them.

    python benchmarks/pipelines.py [IMAGES]

All in one run, so that the ratios hold on a busy machine: CPU seconds of a command and all that it started. No engine
is needed, as the images are archives.
"""

import os
import resource
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


@contextmanager
def project(images: int, snakefile: str) -> Iterator[Path]:
    """Make a folder with an image list and a Snakefile."""
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder), *(f"lab/tool{number}:1" for number in range(images)))
        (Path(folder) / "Snakefile").write_text(snakefile)
        yield Path(folder)


def cost(folder: Path, program: str, *arguments: str) -> float:
    """Return the CPU seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [COMMANDS / program, *arguments], cwd=folder, check=True, capture_output=True,
        env={**os.environ, "SKYPORT_DATA": str(folder / "store"), "SHOCK_URL": ""},
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


if __name__ == "__main__":
    main()
