"""Files that users name: pipes, and what cannot be looked at."""

import os
import threading
from pathlib import Path

from skyport_wf.input_file import is_absent, read_bounded


def test_a_pipe_is_read_also_if_its_writer_comes_later(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    ended = threading.Event()

    def write() -> None:
        while not ended.wait(0.01):
            try:
                descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:  # nobody reads yet
                continue
            with os.fdopen(descriptor, "wb") as file:
                file.write(b"archive")
            return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert read_bounded(pipe, 100, may_be_pipe=True) == b"archive"
    finally:
        ended.set()
        writer.join()


def test_what_nobody_can_look_at_is_not_absent(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "link").symlink_to("nothing")
    (tmp_path / "file").touch()
    absent = {name: is_absent(tmp_path / name) for name in ("gone", "gone/x", "file/x", "link", "x\0y", "loop", "file")}
    assert absent == {"gone": True, "gone/x": True, "file/x": True, "link": True, "x\0y": True} | {
        "loop": False,
        "file": False,
    }
