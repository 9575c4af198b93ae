"""A lab's project in a folder of its own, with its own store, and the commands that its people type."""

import copy
import json
import shutil
from pathlib import Path
from typing import Any

from tests.support.commands import Done
from tests.support.engine import write_image_context
from tests.support.lab import Lab


class Project(Lab):
    """Three images: `tool`, `derived` that is built on it, and `other`."""

    def __init__(self, folder: Path, namespace: str) -> None:
        super().__init__(folder)
        self.namespace = namespace
        for name, base in {"tool": "scratch", "derived": self.name("tool"), "other": "scratch"}.items():
            write_image_context(folder / "images" / name, base=base, data=name)
            # An image that no other test has, as some are removed by their id.
            with (folder / "images" / name / "Dockerfile").open("a") as dockerfile:
                dockerfile.write(f"LABEL org.example.lab={namespace}\n")
        self.list_images()

    def copied(self, folder: Path) -> "Project":
        """Return a copy of the project in another folder, with a store of its own that has what is published."""
        project = copy.copy(self)
        project.folder = shutil.copytree(self.folder, folder)
        project.variables = {**self.variables, "SKYPORT_DATA": str(folder / "store")}
        return project

    def name(self, image: str) -> str:
        """Return an image's full name."""
        return f"{self.namespace}/{image}:1.0"

    def list_images(self, *, fields: str = "") -> None:
        """Write images.yaml; `fields` go to every image."""
        self.write_list(
            *(
                f"name: '{self.name(image)}', dockerfile: images/{image}/Dockerfile, {fields}"
                for image in ("tool", "derived", "other")
            ),
            shock="url: embedded",
        )

    def publish(self, *arguments: str, **variables: str) -> None:
        """Run `skyport-wf publish`, with receipts where Snakemake would put them, and the lock file."""
        record = ["--record", "results/skyport/{key}/receipt.json", "--lock", "images.lock.json"]
        self.do("publish", *arguments, *record, **variables)

    def run_snakemake(self, *arguments: str, **variables: str) -> Done:
        return self.run_program("snakemake", "--cores", "2", "--nocolor", *arguments, **variables)

    def snakemake(self, *arguments: str, **variables: str) -> set[str]:
        """Run `snakemake` and return the jobs that it ran, each as RULE or RULE KEY."""
        done = self.run_snakemake(*arguments, **variables)
        assert done.code == 0, done.out + done.log
        return jobs(done.out + done.log)  # a dry run lists its jobs on stdout

    def receipt_of(self, image: str) -> dict[str, Any]:
        return self.receipt(str(self.records(image) / "receipt.json"))

    def records(self, image: str) -> Path:
        """Return the folder of an image's records."""
        return self.folder / "results/skyport" / f"{self.namespace}_{image}_1.0"

    def status(self) -> dict[str, str]:
        """Return each image's state, by its short name."""
        told = json.loads(self.run("status", "--json").out)
        return {image["name"].split("/")[1].split(":")[0]: image["state"] for image in told["images"]}


def jobs(log: str) -> set[str]:
    """Return the jobs that Snakemake's log says it ran."""
    ran, rule = set(), ""
    for line in log.splitlines():
        words = line.split()
        if line.startswith(("rule ", "localrule ")):
            rule = words[1].rstrip(":")
            ran.add(rule)
        elif words[:1] == ["wildcards:"]:
            ran.discard(rule)
            ran.add(f"{rule} {words[1].partition('=')[2].split('_')[-2]}")
    return ran
