"""The build context: the files that a Dockerfile may copy from, and their digest."""

import hashlib
import os
import posixpath
import stat
from pathlib import Path

import msgspec

from skyport_wf.errors import SkyportError
from skyport_wf.image.docker_command import find_docker_command
from skyport_wf.image.file_digests import digest_files
from skyport_wf.image.ignoring.dockerignore import IgnoreRules, have_an_old_meaning, parse_dockerignore, quote
from skyport_wf.input_file import exists, is_folder, read_bounded

IGNORE_FILE = ".dockerignore"
_MOST_IGNORE_BYTES = 1 << 20
"""BuildKit sends no more patterns than fit into this."""
_MOST_LINKS = 40
_OUTSIDE_NAME = ".skyport-wf.Dockerfile"
"""The name inside the tar of a Dockerfile that is not in its context; .dockerignore hides it from `COPY`."""


class BuildContext(msgspec.Struct, frozen=True):
    """A folder and the Dockerfile that is built with it."""

    root: Path
    dockerfile: Path
    without: tuple[str, ...] = ()
    """Paths below the root, with `/`, that are no part of it, whatever .dockerignore says."""
    digest: str = ""
    """That of `digest_context`, empty if nobody has asked for it."""

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


def list_context(context: BuildContext, *, copyable: bool = False) -> list[str]:
    """Return the sorted paths, below the root, of everything that a `COPY` could see, and of `.dockerignore`.

    copyable: whether `.dockerignore` is left out where it is excluded, too: it is sent, but no `COPY` sees it.
    Raises SkyportError if a folder cannot be read, or for a `.dockerignore` that docker refuses.
    """
    return list(_scan(context, sent="" if copyable else IGNORE_FILE))


def digest_context(context: BuildContext, *, memory: Path | None = None) -> str:
    """Return `sha256:` and a SHA-256 over names, modes and contents of the build context.

    Times and owners are left out: the engine does not look at them when it decides whether a cached
    layer still holds, so touching a file changes nothing. So are the folders around what is no part of the
    context: they may have been made for that.
    memory: a folder in which digests of files are kept between runs.
    Raises what list_context raises, and SkyportError, naming the file, for one that cannot be read.
    """
    whole = hashlib.sha256()
    scanned = _scan(context)
    files = {path: status for path, status in scanned.items() if stat.S_ISREG(status.st_mode)}
    digests = digest_files(context.root, files, memory=memory)
    around = {str(folder) for path in context.without for folder in Path(path).parents}
    for path, status in scanned.items():
        mode = status.st_mode
        if path in around:
            continue
        if path in digests:
            content = digests[path]
        elif stat.S_ISLNK(mode):
            try:
                content = os.readlink(context.root / path)  # noqa: PTH115 - as it is written, not tidied up
            except OSError as error:
                raise SkyportError(f"cannot read {context.root / path}: {error.strerror}") from error
        else:
            # Of a folder or pipe there is nothing to say; a device is what its numbers are.
            content = f"{status.st_rdev}" if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else ""
        fields = (stat.filemode(mode)[0], f"{stat.S_IMODE(mode):o}", path, content)
        whole.update(b"".join(len(text).to_bytes(4) + text for text in map(os.fsencode, fields)))
    return "sha256:" + whole.hexdigest()


def ignore_file(context: BuildContext, *more: str) -> bytes:
    """Return a `.dockerignore` that names all that is no part of the context.

    more: further paths that it is to name.
    Raises SkyportError if that of the context cannot be read.
    """
    content, _ = _read_ignore_file(context)
    return b"\n".join([content, *(os.fsencode(quote(path)) for path in (*context.without, *more)), b""])


def ignore_file_name(context: BuildContext) -> str:
    """Return the name, without its folder, of the file that `ignore_file` reads; `.dockerignore` if there is none."""
    return Path(_read_ignore_file(context)[1]).name


def _scan(context: BuildContext, *, sent: str = IGNORE_FILE) -> dict[str, os.stat_result]:
    """Return what list_context lists, with what the system says of each.

    sent: the path that is there whether or not it is excluded.
    """
    if not is_folder(context.root):
        raise SkyportError(f"the build context {context.root} is not a folder. Mend `context` in the image list.")
    patterns = parse_dockerignore(*_read_ignore_file(context))
    command = find_docker_command() if have_an_old_meaning(patterns) else None
    rules = IgnoreRules(patterns, old=command is not None and command.ignores_in_old_ways)
    try:
        found = _walk(context, rules, sent)
    except OSError as error:
        raise SkyportError(f"cannot read {error.filename} of the build context: {error.strerror}") from error
    return dict(sorted(found.items()))


def _walk(context: BuildContext, rules: IgnoreRules, sent: str) -> dict[str, os.stat_result]:
    kept: dict[str, os.stat_result] = {}
    # Ignored folders that are gone through, as an exception may keep something in them.
    passed: dict[str, os.stat_result] = {}
    todo: list[tuple[str, list[bool]]] = [("", [])]
    while todo:
        folder, above = todo.pop()
        try:
            with os.scandir(context.root / folder) as entries:
                listing = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
        except PermissionError:
            if folder in passed:
                continue
            raise
        for name, status in listing:
            path = f"{folder}/{name}" if folder else name
            # docker makes nothing of a socket, or an empty file: what listens there is no part of an image.
            if path in context.without or stat.S_ISSOCK(status.st_mode):
                continue
            ignored, matching = rules.ignores(path, above)
            is_folder = stat.S_ISDIR(status.st_mode)
            if not ignored or path == sent or (rules.old and is_folder and rules.keeps_below(path)):
                kept[path] = status
                # The folders around what is kept are taken along.
                outer = folder
                while outer in passed:
                    kept[outer] = passed.pop(outer)
                    outer = posixpath.dirname(outer)
            elif is_folder and rules.keeps_below(path):
                passed[path] = status
            if is_folder and (path in kept or path in passed):
                todo.append((path, matching))
    return kept


def _read_ignore_file(context: BuildContext) -> tuple[bytes, str]:
    """Return the `.dockerignore` that counts, and its name: the Dockerfile's own, or else that of the context."""
    for folder, name in (
        (context.dockerfile.parent, f"{context.dockerfile.name}{IGNORE_FILE}"),
        (context.root, IGNORE_FILE),
    ):
        path = resolve_inside(folder, name)
        # As for docker, a folder of that name, or a link that leads nowhere, is as if it were not there. So is a name
        # that is too long.
        if path and exists(path) and not path.is_dir():
            try:
                return read_bounded(path, _MOST_IGNORE_BYTES), str(folder / name)
            except OSError as error:
                raise SkyportError(f"cannot read {folder / name}: {error.strerror}") from error
    return b"", IGNORE_FILE


def resolve_inside(root: Path, name: str) -> Path | None:
    """Return where a path leads if links are followed as BuildKit does, for which `root` is the root of all paths."""
    found = root
    todo = name.split("/")
    links = 0
    while todo:
        part = todo.pop(0)
        entry = found / part
        if part == "..":
            found = found.parent if found != root else root
        elif os.path.islink(entry):  # noqa: PTH114 - Path.is_symlink raises for a name that is too long
            links += 1
            if links > _MOST_LINKS:
                return None
            target = os.readlink(entry)  # noqa: PTH115 - as it is written
            found = root if target.startswith("/") else found
            todo = [*(part for part in target.split("/") if part not in ("", ".")), *todo]
        else:
            found = entry
    return found
