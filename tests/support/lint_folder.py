"""`skyport-wf lint` in a folder of its own, with hadolint as it is installed."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.support.commands import SKYPORT
from tests.support.timing import PATIENCE


class LintFolder:
    """A folder with files to lint."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "HOME": str(folder / "home"), "XDG_CONFIG_HOME": str(folder / "config")}

    def write(self, name: str, content: str | bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [SKYPORT, "lint", *arguments], cwd=self.folder, env={**self.environment, **variables},
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        return done

    def findings(self, *arguments: str, **variables: str) -> list[dict[str, Any]]:
        """Return what `--json` tells of `arguments`, of a file called Dockerfile if there are none."""
        done = self.run("--json", *(arguments or ("--dockerfile", "Dockerfile")), **variables)
        told = json.loads(done.stdout)
        assert "error" not in told, told
        return told["findings"]

    def told(self, *arguments: str, **variables: str) -> list[str]:
        """Return line and code of each finding."""
        return [f"{found['line']} {found['code']}" for found in self.findings(*arguments, **variables)]
