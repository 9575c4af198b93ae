"""A signal at any moment of a start ends the command in order; closed streams are no mistake."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.timing import PATIENCE

STEP_SECONDS = 0.005
STARTS = 60


def command(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "skyport_wf", *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "SKYPORT_DATA": str(folder / "shock")}, cwd=folder,
    )  # fmt: skip


def in_python(process: subprocess.Popen[str]) -> bool:
    """Whether the command's first line has run: until then the signal is for Python alone."""
    handled = next(line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if "SigCgt" in line)
    return bool(int(handled.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_at_every_moment_of_a_start(tmp_path, number):
    ended = {0: 0, 128 + number: 0}
    for start in range(STARTS):
        with command(tmp_path, "ls") as process:
            until = time.monotonic() + PATIENCE
            while process.poll() is None and not in_python(process) and time.monotonic() < until:
                pass
            time.sleep(start * STEP_SECONDS)
            process.send_signal(number)
            _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode in ended, said
        ended[process.returncode] += 1
        assert "Traceback" not in said
        assert "Exception ignored" not in said
    assert ended[128 + number] > STARTS / 10


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed(tmp_path, closed):
    environment = {**os.environ, "SKYPORT_DATA": str(tmp_path / "shock")}
    for arguments, code in (("ls", 0), ("ls --json", 0), ("resolve a/b:1", 1), ("nonsense", 2)):
        run = subprocess.run(
            ["bash", "-c", f"{sys.executable} -m skyport_wf {arguments} {closed}"], capture_output=True, text=True,
            env=environment, cwd=tmp_path, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert run.returncode == code, run.stderr
        assert "Traceback" not in run.stdout + run.stderr
        assert "skyport-wf:" not in run.stdout


def test_a_user_that_no_file_has_a_name_for():
    """As in containers that run as any number."""
    if os.geteuid():
        pytest.skip("only root can become another user")
    program = (
        "import os; from skyport_wf.publication.connection import system_user; os.setuid(54321); print(system_user())"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={}, timeout=PATIENCE, check=True
    )
    assert run.stdout == "uid54321\n"
