"""A folder of files that belong together: each whole or not there, and what is no longer among them is removed.

A list in the folder says which files are ours, as `sha256sum` writes it. Files that it does not name, and those that
someone has changed, are never touched.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from skyport_wf.cache import only_one
from skyport_wf.errors import UsageError
from skyport_wf.input_file import read_bounded
from skyport_wf.output_file import cannot_write, replace_file

_LIST: Final = ".skyport-catalogue"
_LARGEST_LIST: Final = 256 << 20
_LINE: Final = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9][A-Za-z0-9._/-]*)")

_log = logging.getLogger(__name__)


class WrittenFolder(msgspec.Struct, frozen=True):
    """The end of writing a folder."""

    written: int
    """Files that are new or have changed."""
    unchanged: int
    removed: int


def write_folder(folder: Path, files: Iterable[tuple[str, bytes]]) -> WrittenFolder:
    """Write the files, given by path and content, and remove those of the last time that are not among them.

    Whoever reads meanwhile finds whole files. One that is as it should be is not written again.
    Raises UsageError for a folder that has files of others, or for something else in its place, SkyportError if it
    cannot be written.
    """
    try:
        # A link that leads nowhere is somebody's, too.
        if os.path.lexists(folder) and not folder.is_dir():
            raise UsageError(f"{folder} is there, and is no folder. Name a new or an empty folder.")
        folder.mkdir(parents=True, exist_ok=True)
        # Before the file that is locked is made: nothing is left in a folder of others.
        if not _read_list(folder) and any(not path.name.startswith(_LIST) for path in folder.iterdir()):
            raise UsageError(f"{folder} has files, and none that this command wrote. Name a new or an empty folder.")
        with only_one(folder / _LIST):
            return _write(folder, files)
    except OSError as error:
        raise cannot_write(folder, error) from error


def _write(folder: Path, files: Iterable[tuple[str, bytes]]) -> WrittenFolder:
    ours = _read_list(folder)
    now: dict[str, str] = {}
    written = 0
    with (folder / _LIST).open("a", encoding="utf-8") as listed:
        for path, content in files:
            target, digest = folder / path, hashlib.sha256(content).hexdigest()
            now[path] = digest
            if target.is_file() and target.read_bytes() == content:
                continue
            if target.exists() and not _is_ours(target, ours.get(path, set())):
                raise UsageError(
                    f"{target} was written or changed by somebody else. Move it away, or name another folder."
                )
            # Before it is there: a file, or a folder for it, that a killed run has left is known to be ours.
            listed.write(f"{digest}  {path}\n")
            listed.flush()
            target.parent.mkdir(parents=True, exist_ok=True)
            with replace_file(target) as file:
                file.write(content)
            written += 1
    removed = sum(_remove(folder, path, digests) for path, digests in ours.items() if path not in now)
    with replace_file(folder / _LIST) as file:
        file.write("".join(f"{digest}  {path}\n" for path, digest in sorted(now.items())).encode())
    return WrittenFolder(written, len(now) - written, removed)


def _read_list(folder: Path) -> dict[str, set[str]]:
    """Return the digests that each of our files may have: of a run that was killed, that before and that after."""
    ours: dict[str, set[str]] = {}
    try:
        text = read_bounded(folder / _LIST, _LARGEST_LIST).decode(errors="replace")
    except FileNotFoundError:
        return {}
    for line in text.splitlines():
        found = _LINE.fullmatch(line)
        # Others may have written into the list: a path leads nowhere but into this folder.
        if found and ".." not in found[2].split("/"):
            ours.setdefault(found[2], set()).add(found[1])
    return ours


def _is_ours(path: Path, digests: set[str]) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() in digests


def _remove(folder: Path, path: str, digests: set[str]) -> bool:
    target = folder / path
    if not target.exists():
        return False
    if not _is_ours(target, digests):
        _log.warning("%s is no page any more, and stays, as somebody has changed it", target)
        return False
    target.unlink()
    for parent in target.parents:
        if parent == folder:
            break
        with suppress(OSError):
            parent.rmdir()
    return True
