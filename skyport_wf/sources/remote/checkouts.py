"""Files of commits, fetched from their repositories' servers and kept in the cache."""

from __future__ import annotations

import logging
import os
import re
import shutil
import stat
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from skyport_wf.cache import cache_folder, key_of, only_one
from skyport_wf.decoding import decode_json
from skyport_wf.errors import SkyportError
from skyport_wf.image_list.addresses import GitAddress
from skyport_wf.sources.remote.git_command import GitError, ask_server, run_locally
from skyport_wf.sources.remote.git_refs import explain

_log = logging.getLogger(__name__)

_FETCH_SECONDS = 900.0
_WORK_SECONDS = 300.0
_KEPT_DAYS = 30
_SHA256_DIGITS = 64
_LATEST = (1 << 33) - 1
"""The last second that every tar can hold."""
_ONLY_WHOLE = re.compile(
    r"shallow|unadvertised|not our ref|not allow request|remote error|couldn't find", re.IGNORECASE
)
"""Words of servers that give nothing but whole branches."""
_SUBMODULE = "160000 "
"""The mode of a submodule's entry in a tree."""


class Checkout(msgspec.Struct, frozen=True):
    """The files of a commit."""

    tree: Path
    """The folder that has them."""
    submodules: tuple[str, ...]
    """Paths of other repositories in it, which are not fetched: empty folders."""


def find_checkout(repository: str, commit: str) -> Checkout | None:
    """Return the files of the commit if they are in the cache."""
    folder = _place(repository, commit)
    try:
        submodules = decode_json((folder / "submodules.json").read_bytes(), tuple[str, ...])
        os.utime(folder)
    except (OSError, msgspec.DecodeError):
        return None
    return Checkout(folder / "tree", submodules)


def check_out(address: GitAddress, commit: str) -> Checkout:
    """Return the files of the commit, fetched unless they are in the cache.

    Modes are git's, whatever the umask, and times are the commit's. There is no `.git`, and no filters are run.
    Raises TemporaryError for what asking again may mend, SkyportError if there is no such commit or repository.
    """
    folder = _place(address.repository, commit)
    # Made under another name, which a killed process may have left.
    partial = folder.with_name(folder.name + ".part")
    with only_one(folder):
        if found := find_checkout(address.repository, commit):
            return found
        _log.info("fetching commit %s of %s", commit[:12], address.repository)
        try:
            _remove(partial)
            _fetch(address, commit, partial / "repository")
            _write_files(partial / "repository", commit, partial / "checkout")
            _remove(folder)
            (partial / "checkout").rename(folder)
        except GitError as error:
            raise SkyportError(f"commit {commit} of {address.repository} cannot be written out: {error}") from error
        except OSError as error:
            raise SkyportError(f"cannot write {folder}: {error.strerror or error}") from error
        finally:
            _remove(partial)
    # A branch that moves would fill the disk: what nobody has asked for in a month goes.
    for other in folder.parent.iterdir():
        with suppress(OSError):
            if other.is_dir() and other.stat().st_mtime < time.time() - _KEPT_DAYS * 86400:
                _remove(other)
    if found := find_checkout(address.repository, commit):
        return found
    raise SkyportError(f"{folder} vanished while it was written. Run the command again.")


def find_inside(checkout: Checkout, folder: str) -> Path | None:
    """Return a folder of the checkout; None if there is none, or a symbolic link on the way to it."""
    path = checkout.tree
    for name in filter(None, folder.split("/")):
        path /= name
        try:
            if not stat.S_ISDIR(path.lstat().st_mode):
                return None
        except OSError:
            return None
    return path


def _place(repository: str, commit: str) -> Path:
    return cache_folder("git") / key_of(f"{repository} {commit}")


def _fetch(address: GitAddress, commit: str, repository: Path) -> None:
    """Fetch the commit alone; all branches and tags with their history where a server gives only those."""
    url = address.repository
    hashes = ["--object-format=sha256"] if len(commit) == _SHA256_DIGITS else []
    repository.mkdir(parents=True)
    run_locally(repository, ["init", "--quiet", "--bare", "--template=", *hashes], seconds=_WORK_SECONDS)

    def fetch(*what: str) -> None:
        command = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", *what]
        ask_server(url, command, repository=repository, seconds=_FETCH_SECONDS)

    try:
        try:
            fetch("--depth=1", "--", url, commit)
        except GitError as error:
            if not _ONLY_WHOLE.search(str(error)):
                raise
            _log.debug("%s: %s. Fetching all of it.", url, error)
            fetch("--", url, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
    except GitError as error:
        raise explain(address, error) from error
    try:
        kind = run_locally(repository, ["cat-file", "-t", commit], seconds=_WORK_SECONDS).strip()
    except GitError as error:
        raise SkyportError(f"{url} has no commit {commit}, or in none of its branches and tags.") from error
    if kind != "commit":
        raise SkyportError(f"{commit} in {url} is a {kind}, not a commit. Give the commit's digits.")


def _write_files(repository: Path, commit: str, folder: Path) -> None:
    tree = folder / "tree"
    tree.mkdir(parents=True)
    tree.chmod(0o755)

    def ask(*arguments: str) -> str:
        return run_locally(repository, arguments, seconds=_WORK_SECONDS)

    # Not `git archive`: attributes of the repository would decide what it leaves out.
    ask(f"--work-tree={tree}", "read-tree", "--reset", "-u", commit)
    entries = [entry for entry in ask("ls-tree", "-r", "-z", commit).split("\0") if entry.startswith(_SUBMODULE)]
    submodules = [entry.partition("\t")[2].encode(errors="replace").decode() for entry in entries]
    (folder / "submodules.json").write_bytes(msgspec.json.encode(submodules))
    # Layers hold times, and would be others for each who fetches the commit: everything gets the commit's own.
    seconds = min(max(int(ask("show", "--no-patch", "--format=%ct", commit)), 0), _LATEST)
    for above, folders, files in os.walk(tree, topdown=False):
        for name in (*folders, *files):
            os.utime(Path(above) / name, (seconds, seconds), follow_symlinks=False)
    os.utime(tree, (seconds, seconds))


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
