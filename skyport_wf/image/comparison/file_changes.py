"""Files in which two images differ: a merge of their listings, which holds two files at a time."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal

import msgspec

from skyport_wf.image.comparison.traces import is_trace
from skyport_wf.image.layers.entries import EntryKind
from skyport_wf.image.layers.stacking import PlacedEntry, folders_above, path_bytes, path_of

MAX_LISTED: Final = 10_000
"""Files that are listed of each kind of change; all are counted."""

_NOWHERE: Final = -1
"""The place of a folder that no layer names, and that is there all the same, as something is in it."""

How = Literal["added", "removed", "changed"]
Aspect = Literal["type", "content", "link", "device", "mode", "owner", "attributes"]


class FileState(msgspec.Struct, frozen=True):
    """A file of one of the images."""

    type: EntryKind
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
    """Of a changed file, the aspects that changed. `attributes` are extended ones, such as capabilities."""
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
    """All files in which two images differ."""

    files: FileChanges
    """Those that count."""
    traces: FileChanges
    """Logs, caches, temporary files, and files in which only times differ that their format keeps."""
    ignored: int
    """Files that differ, and that the caller wanted left out."""
    touched: int
    """Files and folders that differ in nothing but the time of their last change."""


def compare_files(
    published: Iterable[PlacedEntry],
    rebuilt: Iterable[PlacedEntry],
    *,
    ignored: Callable[[str], bool] = lambda path: False,
    max_listed: int = MAX_LISTED,
) -> FileDifferences:
    """Return the files in which the images differ.

    published, rebuilt: the files that each shows, in order of `key`; folders that no layer names need not be there.
    ignored: whether to leave out the file at a path, which begins with `/`.
    """
    counts = _Counts(max_listed)
    ignored_count = touched = 0
    for key, before, after in _pairs(_with_folders(published), _with_folders(rebuilt)):
        aspects = _aspects(before, after) if before and after else ()
        if not aspects and any(file and file.place == _NOWHERE for file in (before, after)):
            # A folder that no layer names has no time, and what is in it tells of it.
            continue
        if before and after and not aspects:
            touched += before.mtime != after.mtime
            continue
        how: How = "added" if before is None else "removed" if after is None else "changed"
        path = path_bytes(key)
        change = FileChange("/" + path_of(key), how, aspects, before and _state(before), after and _state(after))
        if ignored(change.path):
            ignored_count += 1
            continue
        # Any two builds leave their own logs behind; never another mode, owner or type of a file.
        same_but_times = before and after and before.timeless and before.timeless == after.timeless
        trace = (is_trace(path) or bool(same_but_times)) if how != "changed" or aspects == ("content",) else False
        counts.add(change, trace=trace)
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


def _with_folders(files: Iterable[PlacedEntry]) -> Iterator[PlacedEntry]:
    """Yield the files with each folder above them that no layer names, and the root, as engines make those."""
    last = None
    for file in files:
        for key in () if _is_below(last, file.key.rpartition(b"\0")[0]) else folders_above(file.key):
            if not _is_below(last, key):
                yield _implied(key)
        yield file
        last = file.key
    if last is None:
        yield _implied(b"")


def _is_below(key: bytes | None, folder: bytes) -> bool:
    """Return whether the key is that of a folder, or of something in it; None is that of nothing."""
    return key is not None and (key == folder or key.startswith(folder + b"\0"))


def _implied(key: bytes) -> PlacedEntry:
    return PlacedEntry(key, _NOWHERE, "folder", 0, b"", 0o755, 0, 0, 0, b"", False, b"", b"", None, 0)


def _pairs(
    published: Iterable[PlacedEntry], rebuilt: Iterable[PlacedEntry]
) -> Iterator[tuple[bytes, PlacedEntry | None, PlacedEntry | None]]:
    """Yield each key, with the file that it has in one image and in the other."""
    left, right = iter(published), iter(rebuilt)
    before, after = next(left, None), next(right, None)
    while before or after:
        if before and (after is None or before.key < after.key):
            yield before.key, before, None
            before = next(left, None)
        elif after and (before is None or after.key < before.key):
            yield after.key, None, after
            after = next(right, None)
        elif before and after:
            yield before.key, before, after
            before, after = next(left, None), next(right, None)


def _aspects(before: PlacedEntry, after: PlacedEntry) -> tuple[Aspect, ...]:
    if before.kind != after.kind:
        return ("type",)
    link: Aspect = "device" if before.kind in ("character device", "block device") else "link"
    differs: dict[Aspect, bool] = {
        "content": before.content != after.content,
        link: before.target != after.target,
        # Of a symbolic link the permissions mean nothing, and engines write different ones.
        "mode": before.mode != after.mode and before.kind != "symbolic link",
        "owner": (before.uid, before.gid) != (after.uid, after.gid),
        "attributes": before.xattrs != after.xattrs,
    }
    return tuple(aspect for aspect, found in differs.items() if found)


def _state(file: PlacedEntry) -> FileState:
    target = path_of(file.target) if file.kind == "hard link" else file.target.decode(errors="backslashreplace")
    owner = f"{file.uid}:{file.gid}"
    return FileState(file.kind, file.size, f"{file.mode:04o}", owner, target, file.content.hex())
