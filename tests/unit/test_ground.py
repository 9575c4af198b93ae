"""The tests' own ground: whoever starts them, and whenever."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import CHECKOUT

pytestmark = pytest.mark.slow

INTERRUPTED = "tests/unit/cli/test_command_line.py"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_tests_that_send_signals_work_where_these_are_ignored(number: signal.Signals) -> None:
    """As in a script's background job, and after `trap '' INT`."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", INTERRUPTED, "-k", "130 or told_to"]
    done = subprocess.run(
        ["env", f"--ignore-signal={number.name}", f"--block-signal={number.name}", *command],
        cwd=CHECKOUT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


GROUPED = """
import os

import pytest


@pytest.mark.xdist_group("group")
@pytest.mark.parametrize("number", range(6))
def test_in_a_group(number, request):
    with open(os.environ["WORKERS"], "a") as workers:
        print(os.environ["PYTEST_XDIST_WORKER"], file=workers)


@pytest.mark.parametrize("number", range(6))
def test_alone(number):
    pass
"""


def test_the_tests_of_a_group_run_in_one_process(tmp_path: Path) -> None:
    """Else what they share is made in each process, and what is not for two at a time is used by two."""
    (tmp_path / "test_grouped.py").write_text(GROUPED)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--numprocesses", "2", "--dist", "loadgroup", "test_grouped.py"],
        cwd=tmp_path, env={**os.environ, "WORKERS": "workers"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    workers = (tmp_path / "workers").read_text().split()
    assert (len(workers), len(set(workers))) == (6, 1)
