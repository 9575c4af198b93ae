"""Digests that are remembered between runs: no change is missed, and nothing is read twice."""

import hashlib
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from skyport_wf.errors import SkyportError
from skyport_wf.image import file_digests
from skyport_wf.image.context import BuildContext, digest_context
from skyport_wf.image.file_digests import digest_file, digest_files

COUNT = 600
"""Enough to be remembered."""


@pytest.fixture(autouse=True)
def a_clock_that_ticks_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less until a file has been at rest; the file systems of today tick every few milliseconds."""
    monkeypatch.setattr(file_digests, "_TICK_NS", 50_000_000)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    folder.mkdir()
    for number in range(COUNT):
        (folder / f"f{number}").write_text(f"{number:4}")
    return folder


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    folder = tmp_path / "memory"
    folder.mkdir()
    return folder


def digest(root: Path, memory: Path | None) -> dict[str, str]:
    files = {path.name: path.lstat() for path in root.iterdir()}
    return digest_files(root, files, memory=memory)


def settle(root: Path, memory: Path) -> None:
    """Wait until the files are old enough to be remembered, and have them remembered."""
    last = max(path.lstat().st_ctime_ns for path in root.iterdir())
    while time.time_ns() - last <= 50_000_000:
        time.sleep(0.01)
    digest(root, memory)


READS = """
import sys
from pathlib import Path
from skyport_wf.image import file_digests
from skyport_wf.image.file_digests import digest_files
file_digests._TICK_NS = 50_000_000
root, memory = map(Path, sys.argv[1:])
files = {path.name: path.lstat() for path in root.iterdir()}
opened = []
sys.addaudithook(lambda event, arguments: opened.append(str(arguments[0])) if event == "open" else None)
digest_files(root, files, memory=memory)
print(sum(name.startswith(str(root)) for name in opened))
"""


def reads(root: Path, memory: Path) -> int:
    """Return how many of the files another process opens for their digests."""
    command = [sys.executable, "-c", READS, str(root), str(memory)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.slow
def test_nothing_is_read_twice(root, memory):
    assert reads(root, memory) == COUNT
    settle(root, memory)
    assert reads(root, memory) == 0
    (root / "f7").write_text("new ")
    (root / "another").write_text("new ")
    assert reads(root, memory) == 2


def test_that_much_is_to_be_read_is_told(root, memory, monkeypatch, caplog):
    """A folder of reads beside a Dockerfile took minutes, without a word."""
    # As before a command has set up its own log.
    monkeypatch.setattr(logging.getLogger("skyport_wf"), "propagate", True)
    caplog.set_level(logging.WARNING, logger="skyport_wf")
    digest(root, None)
    assert not caplog.messages
    monkeypatch.setattr(file_digests, "_SLOW", 4 * COUNT - 1)
    settle(root, memory)
    (told,) = dict.fromkeys(caplog.messages)
    assert told.startswith(f"reading 2.4 kB of the build context {root}, as that decides")
    assert told.endswith("name in .dockerignore what no COPY takes")
    caplog.clear()
    digest(root, memory)
    assert not caplog.messages


def test_a_small_context_is_not_remembered(root, memory):
    for number in range(200):
        (root / f"f{number}").unlink()
    digest(root, memory)
    assert list(memory.iterdir()) == []


@pytest.mark.parametrize("way", ["write", "times put back", "another file with its times"])
def test_a_changed_file_is_never_missed(root, memory, way):
    settle(root, memory)
    before = digest(root, memory)
    path = root / "f3"
    status = path.lstat()
    if way == "another file with its times":
        (root.parent / "other").write_text("anew")
        os.utime(root.parent / "other", ns=(status.st_atime_ns, status.st_mtime_ns))
        (root.parent / "other").rename(path)
    else:
        with path.open("r+") as file:
            file.write("anew")
        if way == "times put back":
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = digest(root, memory)
    assert after["f3"] == hashlib.sha256(b"anew").hexdigest() != before["f3"]
    assert {**after, "f3": ""} == {**before, "f3": ""}


@pytest.mark.slow
def test_a_change_in_the_same_tick_of_the_clock_is_not_missed(root, memory, monkeypatch):
    """A second change may leave the times as they are: here the system's words of before stand for that."""
    monkeypatch.setattr(file_digests, "_TICK_NS", 3_600_000_000_000)
    files = {path.name: path.lstat() for path in root.iterdir()}
    digest_files(root, files, memory=memory)
    (root / "f3").write_text("anew")
    assert digest_files(root, files, memory=memory)["f3"] == hashlib.sha256(b"anew").hexdigest()
    # Of files that have been at rest, those words would be believed: this is what the memory saves.
    monkeypatch.setattr(file_digests, "_TICK_NS", 0)
    settle(root, memory)
    files = {path.name: path.lstat() for path in root.iterdir()}
    (root / "f3").write_text("more")
    assert digest_files(root, files, memory=memory)["f3"] == hashlib.sha256(b"anew").hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"\x81\xa1a\x96\xa1b\x01\x02\x03\x04\x05", b"\x80"])
def test_a_damaged_memory_costs_nothing_but_time(root, memory, content):
    settle(root, memory)
    right = digest(root, None)
    (kept,) = memory.iterdir()
    kept.write_bytes(content)
    assert digest(root, memory) == right
    assert reads(root, memory) == 0


def test_a_memory_that_cannot_be_kept(root, tmp_path):
    (tmp_path / "file").write_text("")
    assert digest(root, tmp_path / "file") == digest(root, tmp_path / "none") == digest(root, None)


def test_the_memory_is_bounded(root, memory, monkeypatch):
    monkeypatch.setattr(file_digests, "_MOST_CONTEXTS", 3)
    names = []
    for number in range(5):
        other = root.rename(root.with_name(f"context{number}"))
        settle(other, memory)
        names = sorted(path.name for path in memory.iterdir())
        root = other
    assert len(names) == 3


@pytest.mark.slow
def test_a_context_is_remembered_where_it_stands(root, memory):
    context = BuildContext(root, root / "f0")
    first = digest_context(context, memory=memory)
    settle(root, memory)
    assert digest_context(context, memory=memory) == first == digest_context(context)
    (root / "f5").chmod(0o755)
    assert digest_context(context, memory=memory) == digest_context(context) != first


def test_a_file_that_vanishes_meanwhile(root):
    files = {path.name: path.lstat() for path in root.iterdir()}
    (root / "f1").unlink()
    with pytest.raises(SkyportError, match=r"^cannot read .*/f1 of the build context: No such file or directory$"):
        digest_files(root, files)


def test_a_file_that_has_become_a_pipe_is_not_waited_for(root):
    files = {path.name: path.lstat() for path in root.iterdir()}
    (root / "f1").unlink()
    os.mkfifo(root / "f1")
    assert len(digest_files(root, files)) == COUNT


@pytest.fixture
def archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return two files that are large enough to be remembered, and old enough."""
    monkeypatch.setattr(file_digests, "_FEWEST_BYTES", 4)
    found = [tmp_path / "a.tar", tmp_path / "b.tar"]
    for path in found:
        path.write_text(path.name)
    time.sleep(0.06)
    return found


def test_a_file_is_read_once_and_again_when_it_changes(archives, memory, monkeypatch):
    """Those of one list do not push each other out."""
    read = []
    really = file_digests._read
    monkeypatch.setattr(file_digests, "_read", lambda path: (read.append(path.name), really(path))[1])
    listed = memory.parent / "images.yaml"
    for _ in range(2):
        for path in archives:
            digest = digest_file(path, of=listed, memory=memory)
            assert digest == hashlib.sha256(path.name.encode()).hexdigest()
    assert read == ["a.tar", "b.tar"]
    status = archives[0].stat()
    archives[0].write_text("A.tar")
    os.utime(archives[0], ns=(status.st_atime_ns, status.st_mtime_ns))
    time.sleep(0.06)
    assert digest_file(archives[0], of=listed, memory=memory) == hashlib.sha256(b"A.tar").hexdigest()
    assert len([*memory.iterdir()]) == 1


def test_a_link_counts_as_the_file_that_it_leads_to(archives, memory, tmp_path):
    link = tmp_path / "link.tar"
    link.symlink_to("a.tar")
    assert digest_file(link, of=tmp_path, memory=memory) == digest_file(archives[0], of=tmp_path)
    link.unlink()
    link.symlink_to("b.tar")
    assert digest_file(link, of=tmp_path, memory=memory) == digest_file(archives[1], of=tmp_path)


def test_what_is_known_of_files_that_are_gone_is_forgotten(archives, memory, tmp_path):
    digest_file(archives[0], of=tmp_path, memory=memory)
    (kept,) = memory.iterdir()
    assert b"a.tar" in kept.read_bytes()
    archives[0].unlink()
    digest_file(archives[1], of=tmp_path, memory=memory)
    assert b"a.tar" not in kept.read_bytes()
    with pytest.raises(FileNotFoundError):
        digest_file(archives[0], of=tmp_path, memory=memory)
