"""A lab's project in a folder of its own, with its own store, and the commands that its people type."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.support.commands import COMMANDS
from tests.support.engine import write_image_context

TOKEN_VARIABLES = ("KB_AUTH_TOKEN", "SHOCK_URL")


class Project:
    """Three images: `tool`, `derived` that is built on it, and `other`."""

    def __init__(self, folder: Path, namespace: str) -> None:
        self.folder = folder
        self.namespace = namespace
        self.environment = {name: value for name, value in os.environ.items() if name not in TOKEN_VARIABLES}
        self.environment["SKYPORT_DATA"] = str(folder / "store")
        # Commands are called by their path, as from an environment that is not activated.
        self.commands = COMMANDS
        for name, base in {"tool": "scratch", "derived": self.name("tool"), "other": "scratch"}.items():
            write_image_context(folder / "images" / name, base=base, data=name)
        self.write_list()

    def name(self, image: str) -> str:
        """Return an image's full name."""
        return f"{self.namespace}/{image}:1.0"

    def write_list(self, *, fields: str = "") -> None:
        """Write images.yaml; `fields` go to every image."""
        entries = "".join(
            f"  - name: {self.name(image)}\n    dockerfile: images/{image}/Dockerfile\n{fields}"
            for image in ("tool", "derived", "other")
        )
        (self.folder / "images.yaml").write_text(f"shock:\n  url: embedded\nimages:\n{entries}")

    def run(
        self, command: str, *arguments: str, check: bool = True, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the project; its stdout and stderr are kept apart."""
        done = subprocess.run(
            [str(self.commands / command), *arguments],
            cwd=self.folder, env={**self.environment, **variables}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{command} {arguments}\n{done.stdout}\n{done.stderr}"
        return done

    def skyport(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run `skyport-wf`."""
        return self.run("skyport-wf", *arguments, **options)

    def publish(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run `skyport-wf publish`, with receipts where Snakemake would put them, and the lock file."""
        record = ["--record", "results/skyport/{key}/receipt.json", "--lock", "images.lock.json"]
        return self.skyport("publish", *arguments, *record, **options)

    def snakemake(self, *arguments: str, **options: Any) -> set[str]:
        """Run `snakemake` and return the jobs that it ran, each as RULE or RULE KEY."""
        done = self.run("snakemake", "--cores", "2", "--nocolor", *arguments, **options)
        return jobs(done.stdout + done.stderr)  # a dry run lists its jobs on stdout

    def receipt(self, image: str) -> dict[str, Any]:
        """Return an image's receipt."""
        return json.loads((self.records(image) / "receipt.json").read_text())

    def records(self, image: str) -> Path:
        """Return the folder of an image's records."""
        return self.folder / "results/skyport" / f"{self.namespace}_{image}_1.0"

    def status(self) -> dict[str, str]:
        """Return each image's state, by its short name."""
        told = json.loads(self.skyport("status", "--json", check=False).stdout)
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
