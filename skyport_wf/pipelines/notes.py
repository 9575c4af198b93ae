"""What the main process of Snakemake notes for its jobs, and for later runs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from skyport_wf.decoding import decode_json
from skyport_wf.errors import SkyportError
from skyport_wf.input_file import read_bounded
from skyport_wf.output_file import replace_file
from skyport_wf.records.plan import PlannedImage

_FOLDER = Path(".snakemake/skyport")
"""In the folder that Snakemake runs in."""
_LARGEST_PLAN = 64 << 20
"""Bytes of a plan that are read."""


def write_plan(name: str, images: Iterable[PlannedImage]) -> None:
    """Write what jobs are to take as the images of a list. Where that cannot be, they read the list themselves."""
    write_note(name, msgspec.json.encode([*images]))


def read_plan(name: str) -> list[PlannedImage] | None:
    """Return the images that the main process has found; None if there is no note of it."""
    with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return decode_json(read_bounded(note_path(name), _LARGEST_PLAN), list[PlannedImage])
    return None


def write_paths(name: str, images: str, lock: str) -> None:
    """Write where the main process has found a list and its lock file."""
    write_note(name, msgspec.json.encode([images, lock]))


def read_paths(name: str) -> tuple[str, str] | None:
    """Return where the main process has found a list and its lock file; None if there is no note of it."""
    with suppress(msgspec.DecodeError):
        return decode_json(read_note(name).encode(), tuple[str, str])
    return None


def note_path(name: str) -> Path:
    """Return where a note is, from the folder that Snakemake runs in."""
    return _FOLDER / name


def write_note(name: str, content: bytes) -> None:
    """Write a note, if it can be written."""
    path = note_path(name)
    with suppress(OSError, SkyportError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replace_file(path) as file:
            file.write(content)


def read_note(name: str) -> str:
    """Return a note; an empty text if there is none."""
    with suppress(OSError, UnicodeDecodeError):
        return note_path(name).read_text()
    return ""


def short_digest(*words: str) -> str:
    """Return 12 hexadecimal digits that change with the words."""
    return hashlib.sha256(os.fsencode("\0".join(words))).hexdigest()[:12]
