"""In which files two images differ: a merge of their listings, which holds two files at a time."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal

import msgspec

from skyport_wf.image.comparison.file_system import ShownFile
from skyport_wf.image.comparison.traces import is_trace
from skyport_wf.image.examination.file_attributes import FileType
from skyport_wf.image.examination.file_index import path_of

MAX_LISTED: Final = 10_000
"""Files that are listed of each kind of change; all are counted."""

How = Literal["added", "removed", "changed"]
Aspect = Literal["type", "content", "link", "device", "mode", "owner", "attributes"]


class FileState(msgspec.Struct, frozen=True):
    """A file of one of the images."""

    type: FileType
    size: int
    """Bytes of its content."""
    mode: str
    """Four octal digits."""
    owner: str
    """UID:GID."""
    target: str
    """Where a symbolic link leads, or a device's MAJOR:MINOR; empty for others."""
    sha256: str
    """Of its content, 64 hex digits; empty for all but files."""


class FileChange(msgspec.Struct, frozen=True):
    """A file in which the images differ."""

    path: str
    """From the root, with a leading `/`; bytes that are no UTF-8 as escapes."""
    how: How
    what: tuple[Aspect, ...]
    """Of a changed file, what is another one. `attributes` are extended ones, such as capabilities."""
    published: FileState | None
    rebuilt: FileState | None


class FileChanges(msgspec.Struct, frozen=True):
    """Files in which the images differ, counted, and listed as far as there is room."""

    added: int = 0
    removed: int = 0
    changed: int = 0
    listed: tuple[FileChange, ...] = ()
    """By path; the first 10,000 of each kind of change."""

    @property
    def total(self) -> int:
        """How many there are."""
        return self.added + self.removed + self.changed


class FileDifferences(msgspec.Struct, frozen=True):
    """In which files two images differ."""

    files: FileChanges
    """What counts."""
    traces: FileChanges
    """Logs, caches, temporary files, and files in which only times differ that their format keeps."""
    ignored: int
    """Files that differ, and that the caller wanted left out."""
    touched: int
    """Files and folders that differ in nothing but the time of their last change."""


def compare_files(
    published: Iterable[ShownFile],
    rebuilt: Iterable[ShownFile],
    *,
    ignored: Callable[[str], bool] = lambda path: False,
    max_listed: int = MAX_LISTED,
) -> FileDifferences:
    """Return in which files the images differ.

    published, rebuilt: what each shows, in order of `key`.
    ignored: whether to leave out what is at a path, which begins with `/`.
    """
    counts = _Counts(max_listed)
    ignored_count = touched = 0
    for before, after in _pairs(published, rebuilt):
        aspects = _aspects(before, after) if before and after else ()
        if before and after and not aspects:
            touched += before.mtime != after.mtime
            continue
        change = _change(before, after, aspects)
        if ignored(change.path):
            ignored_count += 1
        else:
            counts.add(change, trace=_leaves_trace(before, after, aspects))
    return FileDifferences(counts.changes(trace=False), counts.changes(trace=True), ignored_count, touched)


class _Counts:
    """Differences, counted as they come."""

    def __init__(self, max_listed: int) -> None:
        self._max_listed = max_listed
        self._counts: dict[tuple[bool, How], int] = {}
        self._listed: dict[bool, list[FileChange]] = {False: [], True: []}

    def add(self, change: FileChange, *, trace: bool) -> None:
        number = self._counts[trace, change.how] = self._counts.get((trace, change.how), 0) + 1
        if number <= self._max_listed:
            self._listed[trace].append(change)

    def changes(self, *, trace: bool) -> FileChanges:
        return FileChanges(
            added=self._counts.get((trace, "added"), 0),
            removed=self._counts.get((trace, "removed"), 0),
            changed=self._counts.get((trace, "changed"), 0),
            listed=tuple(self._listed[trace]),
        )


def _pairs(
    published: Iterable[ShownFile], rebuilt: Iterable[ShownFile]
) -> Iterator[tuple[ShownFile | None, ShownFile | None]]:
    """Yield what is at each path in one image and the other."""
    left, right = iter(published), iter(rebuilt)
    before, after = next(left, None), next(right, None)
    while before or after:
        if after is None or (before is not None and before.key < after.key):
            yield before, None
            before = next(left, None)
        elif before is None or after.key < before.key:
            yield None, after
            after = next(right, None)
        else:
            yield before, after
            before, after = next(left, None), next(right, None)


def _aspects(before: ShownFile, after: ShownFile) -> tuple[Aspect, ...]:
    if before.type != after.type:
        return ("type",)
    link: Aspect = "device" if before.type in ("character device", "block device") else "link"
    differs: dict[Aspect, bool] = {
        "content": before.content != after.content,
        link: before.target != after.target,
        # Of a symbolic link the permissions mean nothing, and engines write different ones.
        "mode": before.mode != after.mode and before.type != "symbolic link",
        "owner": (before.uid, before.gid) != (after.uid, after.gid),
        "attributes": before.xattrs != after.xattrs,
    }
    return tuple(aspect for aspect, found in differs.items() if found)


def _leaves_trace(before: ShownFile | None, after: ShownFile | None, aspects: tuple[Aspect, ...]) -> bool:
    """Return whether the difference is one that any two builds have: never another mode, owner or type."""
    if before is None or after is None:
        return is_trace(_path(before, after))
    if aspects != ("content",):
        return False
    return is_trace(_path(before, after)) or bool(before.timeless and before.timeless == after.timeless)


def _change(before: ShownFile | None, after: ShownFile | None, aspects: tuple[Aspect, ...]) -> FileChange:
    how: How = "added" if before is None else "removed" if after is None else "changed"
    path = "/" + _path(before, after).decode(errors="backslashreplace")
    return FileChange(path, how, aspects, before and _state(before), after and _state(after))


def _path(before: ShownFile | None, after: ShownFile | None) -> bytes:
    file = before or after
    return file.key[1:].replace(b"\0", b"/") if file else b""


def _state(file: ShownFile) -> FileState:
    target = path_of(file.target) if file.type == "hard link" else file.target.decode(errors="backslashreplace")
    owner = f"{file.uid}:{file.gid}"
    return FileState(file.type, file.size, f"{file.mode:04o}", owner, target, file.content.hex())
