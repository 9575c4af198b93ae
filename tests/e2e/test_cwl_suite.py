"""The suite of tests/cwltest.yml, as a CWL author would run it."""

import os
import subprocess
from pathlib import Path

from tests.support.commands import CHECKOUT, COMMANDS


def test_all_of_the_suite_passes(tmp_path: Path) -> None:
    path = os.pathsep.join((str(COMMANDS), os.environ["PATH"]))
    done = subprocess.run(
        [
            COMMANDS / "cwltest", "--test", str(CHECKOUT / "tests/cwltest.yml"), "--tool", "cwltool",
            "--", "--enable-ext",
        ],
        cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "All tests passed" in done.stderr
