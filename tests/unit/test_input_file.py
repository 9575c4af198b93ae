"""Files that users name, where they are pipes."""

import os
import threading
import time
from pathlib import Path

from skyport_wf.input_file import read_bounded


def test_a_pipe_is_read_also_if_its_writer_comes_later(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write() -> None:
        time.sleep(0.3)
        # If the reader has not waited, this would wait for ever.
        with os.fdopen(os.open(pipe, os.O_RDWR), "wb") as file:
            file.write(b"archive")
            time.sleep(0.3)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert read_bounded(pipe, 100, may_be_pipe=True) == b"archive"
    finally:
        writer.join()
