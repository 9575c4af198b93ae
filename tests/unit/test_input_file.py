"""Files that users name, where they are pipes."""

import os
import threading
from pathlib import Path

from skyport_wf.input_file import read_bounded


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
