"""Folders for temporary files: what a killed process leaves goes with the next one."""

import signal
import subprocess
import sys
from pathlib import Path

from skyport_wf.output_file import scratch_folder

HOLD = """
import sys
from pathlib import Path
from skyport_wf.output_file import scratch_folder
with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "file").touch()
    (folder / "link").symlink_to(sys.argv[2], target_is_directory=True)
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_a_folder_of_a_killed_process_goes_and_that_of_a_living_one_stays(tmp_path: Path) -> None:
    context, place = tmp_path / "context", tmp_path / "place"
    for folder in (context, place):
        folder.mkdir()
    (context / "Dockerfile").touch()
    started = [
        subprocess.Popen(
            [sys.executable, "-c", HOLD, place, context], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    killed, living = (Path(process.stdout.readline().strip()) for process in started if process.stdout)
    started[0].kill()
    assert started[0].wait() == -signal.SIGKILL
    assert killed.is_dir()
    (place / "of-others").mkdir()
    with scratch_folder(place) as folder:
        assert {*place.iterdir()} == {living, folder, place / "of-others"}
    assert (living / "file").exists()
    assert [*context.iterdir()] == [context / "Dockerfile"]
    started[1].communicate()
    assert [*place.iterdir()] == [place / "of-others"]
