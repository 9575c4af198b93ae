import argparse
import fcntl
import logging
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable
from contextlib import suppress

import pyte
import pytest

from skyport_wf.cli.progress import ProgressLines, nth, progress_bar
from skyport_wf.progress import UNSEEN


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def messages(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    monkeypatch.setattr(logging.getLogger("skyport_wf"), "propagate", True)
    caplog.set_level(logging.INFO, "skyport_wf")
    return lambda: caplog.messages


def test_without_a_terminal_there_is_a_line_every_few_seconds(messages):
    clock = Clock()
    progress = ProgressLines("publish lab/tool:1.0", clock)
    progress.expect(2_000_000)
    for _ in range(13):
        progress(100_000)
        clock.now += 1
    assert messages() == [
        "publish lab/tool:1.0: 600.0 kB of 2.0 MB, 120.0 kB/s, 0:12 left",
        "publish lab/tool:1.0: 1.1 MB of 2.0 MB, 110.0 kB/s, 0:08 left",
    ]


def test_what_is_over_soon_is_not_talked_about(messages):
    progress = ProgressLines("pull", clock := Clock())
    progress(10**9)
    clock.now += 4.9
    progress(10**9)
    assert messages() == []


def test_a_long_build_before_the_first_byte_does_not_make_it_look_slow(messages):
    progress = ProgressLines("publish", clock := Clock())
    progress.expect(10_000_000)
    clock.now += 3600
    progress(0)
    clock.now += 5
    progress(5_000_000)
    assert messages() == ["publish: 5.0 MB of 10.0 MB, 1.0 MB/s, 0:05 left"]


def test_what_comes_after_something_else_was_done_is_counted_anew(messages):
    progress = ProgressLines("read", clock := Clock())
    progress.expect(10_000_000)
    progress(10_000_000)
    progress.rest()
    clock.now += 3600
    progress.expect(10_000_000)
    progress(0)
    clock.now += 5
    progress(5_000_000)
    assert messages() == ["read: 5.0 MB of 10.0 MB, 1.0 MB/s, 0:05 left"]


@pytest.mark.parametrize("total", [0, 1_000_000])
def test_a_total_that_is_not_known_or_wrong_is_left_out(messages, total):
    progress = ProgressLines("read", clock := Clock())
    progress.expect(total)
    progress(0)
    clock.now += 10
    progress(20_000_000)
    assert messages() == ["read: 20.0 MB, 2.0 MB/s"]


def test_hours_are_told_as_hours(messages):
    progress = ProgressLines("read", clock := Clock())
    progress.expect(10_000_000)
    progress(0)
    clock.now += 10
    progress(10_000)
    assert messages() == ["read: 10.0 kB of 10.0 MB, 1.0 kB/s, 2:46:30 left"]


@pytest.mark.parametrize("option", ["quiet", "no_progress"])
def test_whoever_wants_none_gets_none(option):
    args = argparse.Namespace(quiet=False, no_progress=False, log=None)
    setattr(args, option, True)
    with progress_bar(args, "read") as progress:
        assert progress is UNSEEN


def test_one_of_several_says_which():
    assert nth("copy lab/tool:1.0", 3, 5) == "3 of 5: copy lab/tool:1.0"
    assert nth("copy lab/tool:1.0", 1, 1) == "copy lab/tool:1.0"


AT_ONCE = """
import argparse, threading
from skyport_wf.cli.messages import hand_on
from skyport_wf.cli.progress import progress_bar

args = argparse.Namespace(quiet=False, no_progress=False, log=None)

def transfers(name):
    for number in range(60):
        with progress_bar(args, f"publish {name}", 10) as progress:
            progress(1)
            hand_on(f"{name} {number}\\n")

threads = [threading.Thread(target=transfers, args=[name]) for name in "abcd"]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_bars_that_come_and_go_at_once_leave_all_messages_and_nothing_else():
    lines = 300
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, 80, 0, 0))
    screen = pyte.Screen(80, lines)
    stream = pyte.ByteStream(screen)

    def read() -> None:
        with suppress(OSError):  # nobody has the other end any more
            while piece := os.read(ours, 65536):
                stream.feed(piece)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        subprocess.run([sys.executable, "-c", AT_ONCE], stderr=theirs, check=True, env={**os.environ, "TERM": "xterm"})
    finally:
        os.close(theirs)
        reader.join()
        os.close(ours)
    shown = [line.rstrip() for line in screen.display if line.strip()]
    assert sorted(shown) == sorted(f"{name} {number}" for name in "abcd" for number in range(60))
