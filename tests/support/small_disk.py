"""A disk of a few megabytes that tests can fill to its last byte, and a folder that nobody can write."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, *, size: int) -> Iterator[Path]:
    """Mount an empty file system of that size on the folder, while the block lasts."""
    with _mounted("-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", folder):
        yield folder


@contextmanager
def read_only(folder: Path, place: Path) -> Iterator[Path]:
    """Show a folder in another place, where nobody can write to it, while the block lasts."""
    with _mounted("--bind", folder, place):
        subprocess.run(["mount", "-o", "remount,ro,bind", place], check=True)
        yield place


@contextmanager
def _mounted(*arguments: str | Path) -> Iterator[None]:
    """Mount something on the last of the arguments."""
    mounted = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if mounted.returncode:
        reason = f"cannot mount, which takes root: {mounted.stderr}"
        pytest.fail(reason) if "CI" in os.environ else pytest.skip(reason)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", arguments[-1]], check=True)


def fill(disk: Path) -> Path:
    """Fill a disk to its last byte, and return the file to remove to have room again."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue
    assert os.statvfs(disk).f_bavail == 0
    return filler
