"""Somebody's pipeline, whose images are archives: it is published without an engine, by real Snakemake."""

from collections.abc import Iterable
from pathlib import Path

from tests.support.commands import Done
from tests.support.docker_archives import Image, file_member, legacy, tar_of
from tests.support.lab import Lab
from tests.support.project import jobs

STEPS = ("build_image", "save_image", "upload_image", "register_image")
INCLUDE = 'include: skyport_wf.snakefile("publish")\n'
MODULE = """
module {name}:
    snakefile: skyport_wf.snakefile("{rules}")
    config: {config}

use rule * from {name} as {name}_*
"""
OWN = """
rule mine:
    input:
        {inputs}
    output:
        "own.txt",
    container: None
    shell:
        "md5sum {{input}} /dev/null > {{output}}"
"""
LOCKED = {
    "image_id": "sha256:" + "0" * 64,
    "shock": "embedded",
    "node": "05c58076-9887-4dd6-8bb1-62e695164c0d",
    "size": 1,
    "md5": "0" * 32,
    "archive_sha256": None,
    "source_digest": None,
}


def write_images(folder: Path, *names: str, fields: str = "", shock: str = "url: embedded") -> None:
    """Write an image list of archives, and the archives; `fields` go to every image."""
    entries = []
    for name in names:
        file = name.replace("/", "_").replace(":", "_") + ".tar"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(tar_of(legacy(Image((tar_of([file_member("name", name.encode())]),)))))
        entries.append(f"  - {{name: '{name}', archive: {file}, {fields}}}\n")
    (folder / "images.yaml").write_text(f"shock: {{{shock}}}\nimages:\n{''.join(entries)}")


class Pipeline(Lab):
    """A folder with a Snakefile and a config."""

    def write_snakefile(self, *parts: str, config: str = "") -> None:
        """Write the Snakefile, which begins as those of pipelines do, and its config."""
        head = 'import skyport_wf\n\n\nconfigfile: "config.yaml"\n\n'
        (self.folder / "Snakefile").write_text(head + "\n".join(parts))
        (self.folder / "config.yaml").write_text(config or "{}")

    def run_snakemake(self, *arguments: str, **variables: str) -> Done:
        return self.run_program("snakemake", "--cores", "2", "--nocolor", *arguments, **variables)

    def snakemake(self, *arguments: str, **variables: str) -> set[str]:
        """Run `snakemake` and return the jobs that it ran, each as RULE or RULE KEY."""
        done = self.run_snakemake(*arguments, **variables)
        assert done.code == 0, done.out + done.log
        return jobs(done.out + done.log)

    def refused(self, *arguments: str, **variables: str) -> str:
        """Run `snakemake`, see that it fails before any job, and return what it says."""
        done = self.run_snakemake(*arguments, **variables)
        said = done.out + done.log
        assert done.code == 1, said
        assert "Select jobs to execute" not in said
        assert "Traceback (most recent call last)" not in said
        return said


def module(name: str, *, rules: str = "publish", config: str = "{}", more: Iterable[str] = ()) -> str:
    """Return the use of our rules as a module, as the guide shows it; `more` are lines of the module."""
    text = MODULE.format(name=name, rules=rules, config=config)
    return text.replace("\n\nuse", "".join(f"\n    {line}" for line in more) + "\n\nuse", 1)


def own(*images: str, **where: str) -> str:
    """Return the pipeline's own rule, which takes the receipts of these images."""
    results = where.get("results", "results")
    return OWN.format(inputs=", ".join(f'skyport_wf.receipt("{image}", results="{results}")' for image in images))


def steps(*images: str, prefix: str = "") -> set[str]:
    return {f"{prefix}{step} {image}" for step in STEPS for image in images}
