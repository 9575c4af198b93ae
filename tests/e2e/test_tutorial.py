"""What the tutorial tells a newcomer to type does what it shows."""

import re
from pathlib import Path

import pytest

from tests.support.apptainer import path_with_apptainer
from tests.support.commands import CHECKOUT, COMMANDS
from tests.support.engine import docker
from tests.support.lab import ServedShock
from tests.support.transcript import check_transcript

TOKEN = "a-token-of-ben"
_FILE = re.compile(r"`([\w./]+)`:\n\n```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_a_newcomer_gets_what_the_tutorial_shows(tmp_path: Path, engine: str) -> None:
    _, tutorial = (CHECKOUT / "docs/guide/tutorial.md").read_text().split("## 2. ")
    project = tmp_path / "project"
    with ServedShock(tmp_path / "store") as server:
        address = server.url.removeprefix("http://")
        tutorial = _as_typed(tutorial, address)
        for name, content in [("tutorial.md", tutorial), *_FILE.findall(tutorial)]:
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            (project / name).write_text(content)
        try:
            check_transcript(
                project / "tutorial.md", SKYPORT_DATA=str(tmp_path / "store"), XDG_CACHE_HOME=str(tmp_path / "cache"),
                PATH=f"{COMMANDS}:{path_with_apptainer(tmp_path / 'bin')}",
            )  # fmt: skip
        finally:
            docker("image", "rm", "--force", "my-lab/gc:1.0", "my-lab/gc:1.1", f"{address}/my-lab/gc:1.0")


def _as_typed(tutorial: str, address: str) -> str:
    """Return the tutorial with this server's address, a token known beforehand, and Ben's files in his folder."""
    changes = {
        r"127\.0\.0\.1:7445(?!/node)": address,
        r"\$ skyport-wf user add ben\n.*": f"$ skyport-wf user add ben --token - <<<{TOKEN}\nadded ben",
        r"KB_AUTH_TOKEN=\S+": f"KB_AUTH_TOKEN={TOKEN}",
        r"\$ cd ben\n": "$ cd ben && cp ../gc.cwl ../Snakefile .\n",
    }
    for shown, typed in changes.items():
        tutorial, times = re.subn(shown, typed, tutorial)
        assert times, shown
    return tutorial
