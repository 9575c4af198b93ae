"""The tests' own ground: whoever starts them, and whenever."""

import signal
import subprocess
import sys

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
