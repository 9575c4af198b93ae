"""The build context: the files that a Dockerfile may copy from, their digest, and the tar that carries them.

`.dockerignore` is obeyed as the docker command does, by the patterns of the package `docker`.
"""

import hashlib
import os
import re
import stat
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import IO

import msgspec

from skyport_wf.errors import SkyportError

_SPECIAL = re.compile(r"[\\*?\[!#]")
"""Characters that .dockerignore gives a meaning. The package `docker` cannot quote them: a `?` stands for each."""
_OUTSIDE_NAME = ".skyport-wf.Dockerfile"
"""The name inside the tar of a Dockerfile that is not in its context; .dockerignore hides it from `COPY`."""


class BuildContext(msgspec.Struct, frozen=True):
    """A folder and the Dockerfile that is built with it."""

    root: Path
    dockerfile: Path
    without: tuple[str, ...] = ()
    """Paths below the root, with `/`, that are no part of it, whatever .dockerignore says."""

    @property
    def dockerfile_inside(self) -> str | None:
        """The Dockerfile's path below the root, with `/`; None if it lies elsewhere."""
        try:
            return self.dockerfile.resolve().relative_to(self.root.resolve()).as_posix()
        except ValueError:
            return None

    @property
    def dockerfile_name(self) -> str:
        """The path that the engine builds."""
        return self.dockerfile_inside or _OUTSIDE_NAME


def list_context(context: BuildContext) -> list[str]:
    """Return the sorted paths, below the root, of everything that a `COPY` could see.

    Raises SkyportError if a folder cannot be read.
    """
    if not context.root.is_dir():
        raise SkyportError(f"the build context {context.root} is not a folder. Mend `context` in the image list.")
    try:
        if _read_patterns(context):
            from docker.utils.build import PatternMatcher

            paths = set(PatternMatcher(ignore_patterns(context)).walk(str(context.root)))
        else:
            # The package `docker` takes long to import.
            paths = set(_walk(context))
        return sorted(path for path in paths if not stat.S_ISSOCK((context.root / path).lstat().st_mode))
    except OSError as error:
        raise SkyportError(f"cannot read the build context: {error}") from error


def digest_context(context: BuildContext) -> str:
    """Return `sha256:` and a SHA-256 over names, modes and contents of the build context.

    Times and owners are left out: the engine does not look at them when it decides whether a cached
    layer still holds, so touching a file changes nothing. So are the folders around what is no part of the
    context: they may have been made for that.
    Raises SkyportError, naming the file, for one that cannot be read or sent.
    """
    whole = hashlib.sha256()
    around = {str(folder) for path in context.without for folder in Path(path).parents}
    for path in list_context(context):
        if path in around:
            continue
        entry = context.root / path
        mode = entry.lstat().st_mode
        content = "" if stat.S_ISDIR(mode) else _content(entry)
        fields = (stat.filemode(mode)[0], f"{stat.S_IMODE(mode):o}", path, content)
        whole.update(b"".join(len(text).to_bytes(4) + text for text in map(os.fsencode, fields)))
    return "sha256:" + whole.hexdigest()


def write_context(context: BuildContext, target: IO[bytes]) -> None:
    """Write the context to `target` as the tar that the engine's build takes.

    Everything belongs to root in it, as with the docker command.
    Raises SkyportError, naming the file, for one that cannot be read.
    """
    paths = list_context(context)
    inside = context.dockerfile_inside
    with tarfile.open(fileobj=target, mode="w") as tar:
        for path in paths:
            _add(tar, context.root / path, path)
        if inside not in paths:
            _add(tar, context.dockerfile.resolve(), context.dockerfile_name)
            # The engine reads these lines too, and takes away what they name before any COPY.
            added = (
                [context.dockerfile_name] if ".dockerignore" in paths else [context.dockerfile_name, ".dockerignore"]
            )
            content = "\n".join((*ignore_patterns(context), *added, "")).encode()
            info = tarfile.TarInfo(".dockerignore")
            info.size = len(content)
            tar.addfile(info, BytesIO(content))


def _walk(context: BuildContext) -> Iterator[str]:
    """Yield what there is without a .dockerignore."""

    def stop(error: OSError) -> None:
        raise error

    for folder, folders, files in os.walk(context.root, onerror=stop):
        paths = {name: os.path.relpath(Path(folder) / name, context.root) for name in (*folders, *files)}
        folders[:] = (name for name in folders if paths[name] not in context.without)
        yield from (path for path in paths.values() if path not in context.without)


def ignore_patterns(context: BuildContext) -> list[str]:
    """Return, as .dockerignore has them, the patterns of what is no part of the context.

    Those of the Dockerfile's own `.dockerignore`, or else of the context's. Raises SkyportError if it cannot be read.
    """
    return [*_read_patterns(context), *(_SPECIAL.sub("?", path) for path in context.without)]


def _read_patterns(context: BuildContext) -> list[str]:
    own = context.dockerfile.with_name(context.dockerfile.name + ".dockerignore")
    for path in (own, context.root / ".dockerignore"):
        try:
            lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise SkyportError(f"cannot read {path}: {error}") from error
        return [line for line in lines if line and not line.startswith("#")]
    return []


def _content(entry: Path) -> str:
    """Return a link's target, or a digest of a file's content."""
    try:
        if entry.is_symlink():
            return os.readlink(entry)  # noqa: PTH115 - as it is written, not tidied up
        if not entry.is_file():
            raise SkyportError(
                f"the build context holds {entry}, a device or pipe. Remove it or name it in .dockerignore."
            )
        with entry.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SkyportError(f"cannot read {entry} of the build context: {error.strerror}") from error


def _add(tar: tarfile.TarFile, entry: Path, name: str) -> None:
    try:
        info = tar.gettarinfo(entry, arcname=name)
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        info.mtime = int(info.mtime)
        if not info.isreg():
            tar.addfile(info)
            return
        with entry.open("rb") as file:
            tar.addfile(info, file)
    except OSError as error:
        raise SkyportError(f"cannot read {entry} of the build context: {error}") from error
