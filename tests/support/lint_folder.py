"""`skyport-wf lint` in a folder of its own, with hadolint as it is installed."""

import json
from pathlib import Path
from typing import Any

from tests.support.commands import Done
from tests.support.lab import Lab

BAD = """\
FROM debian:12
RUN apt-get update && apt-get install -y samtools
RUN cd /tmp
"""
"""A Dockerfile in which both hadolint and our rules find faults."""


class LintFolder(Lab):
    """A folder with files to lint."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder, HOME=str(folder / "home"), XDG_CONFIG_HOME=str(folder / "config"), SKYPORT_RETRY_SECONDS="0"
        )

    def add(self, name: str, content: str | bytes) -> None:
        """Put a file into the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def lint(self, *arguments: str, **variables: str) -> Done:
        return self.run("lint", *arguments, **variables)

    def findings(self, *arguments: str, **variables: str) -> list[dict[str, Any]]:
        """Return what `--json` tells of `arguments`, of a file called Dockerfile if there are none."""
        done = self.lint("--json", *(arguments or ("--dockerfile", "Dockerfile")), **variables)
        told = json.loads(done.out)
        assert "error" not in told, told
        return told["findings"]

    def told(self, *arguments: str, **variables: str) -> list[str]:
        """Return line and code of each finding."""
        return [f"{found['line']} {found['code']}" for found in self.findings(*arguments, **variables)]
