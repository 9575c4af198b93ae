"""Every kind of package database that is looked for, and the packages that those of an image name."""

import re
from collections.abc import Callable, Collection, Iterator
from typing import Final

import msgspec

from skyport_wf.image.examination.packages import alpine, conda, debian, operating_system, python, r, rpm
from skyport_wf.image.examination.packages.operating_system import OperatingSystem, read_operating_system
from skyport_wf.image.examination.packages.package import Package

_MIB: Final = 1 << 20
MAX_PACKAGES: Final = 200_000
"""Distinct packages, and files that name them; large images have 5,000."""
MAX_BYTES: Final = 4096 * _MIB
"""Bytes of all databases in all layers together; a layer of a Debian image that installs something holds 1 MB."""
MAX_BYTES_ELSEWHERE: Final = 512 * _MIB
"""Bytes of the files among them that are read only as a database may be a link to them."""
_MAX_NOTES: Final = 10


class DatabaseKind(msgspec.Struct, frozen=True):
    """A kind of file that names packages."""

    paths: re.Pattern[bytes]
    """Matches all of the path."""
    names: re.Pattern[bytes]
    """Matches the names of files that are read wherever they are: one of `paths` may be a hard link to them. uv has
    what it installed in its cache, and conda in `pkgs`."""
    limit: int
    """Bytes beyond which a file is not read, as it is all in memory meanwhile."""
    read: Callable[[str, bytes], Iterator[Package | None]]
    """Raises ValueError for a file of another kind."""


KINDS: Final = (
    DatabaseKind(debian.PATHS, re.compile(rb"status"), 64 * _MIB, debian.read_packages),
    DatabaseKind(alpine.PATHS, re.compile(rb"installed"), 64 * _MIB, alpine.read_packages),
    DatabaseKind(
        rpm.PATHS,
        re.compile(rb"rpmdb\.sqlite|Packages\.db|Packages|container-manifest-2"),
        128 * _MIB,
        rpm.read_packages,
    ),
    DatabaseKind(python.PATHS, re.compile(rb"METADATA|PKG-INFO|[^/]+\.egg-info"), 1 * _MIB, python.read_packages),
    DatabaseKind(r.PATHS, re.compile(rb"DESCRIPTION"), 1 * _MIB, r.read_packages),
    # Most other files that end so are none.
    DatabaseKind(conda.PATHS, re.compile(conda.NAME + rb"\.json"), 32 * _MIB, conda.read_packages),
)
_SYSTEM: Final = DatabaseKind(
    operating_system.PATHS, re.compile(rb"[^/]*os-release[^/]*"), 1 << 16, lambda path, content: iter(())
)
_MOST_SYSTEMS: Final = 100
"""Files that may be linked as `os-release`; an image has one or two."""
_DATABASE: Final = re.compile(b"|".join(b"(?:%b)" % kind.paths.pattern for kind in KINDS))
_ANY: Final = re.compile(b"(?:%b)|(?:%b)" % (_DATABASE.pattern, _SYSTEM.paths.pattern))
_NAMES: Final = re.compile(b"|".join(b"(?:%b)" % kind.names.pattern for kind in (*KINDS, _SYSTEM)))
"""Match each path, or name, that any of them matches: one look at a million files instead of seven."""


_RPM: Final = ("rpmdb.sqlite", "Packages.db", "Packages")
_RPM_IN: Final = ("var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm")
_FIXED: Final = (
    b"var/lib/dpkg/status",
    b"var/lib/dpkg/status.d",
    b"lib/apk/db/installed",
    b"usr/lib/apk/db/installed",
    *(f"{folder}/{name}".encode() for folder in _RPM_IN for name in _RPM),
)
"""Databases that may be below a folder that is a link. Those of R and conda are found by the paths that they have."""
_FOLDERS: Final = re.compile(rb"var/lib/dpkg/status\.d|(?:.*/)?(?:(?:site|dist)-packages|conda-meta)")
"""Folders of databases whose names differ from image to image."""
LOGS: Final = tuple(f"{folder}/{rpm.LOG}".encode() for folder in _RPM_IN)
"""Files beside a database that may hold more than it does, and are not read."""
_METADATA: Final = {b".dist-info": b"/METADATA", b".egg-info": b"/PKG-INFO", b".egg": b"/EGG-INFO/PKG-INFO"}
_UNREAD: Final = 0
"""The number of all files that are not read, as they are too large or too many."""


def is_database_folder(path: bytes) -> bool:
    """Return whether the files in a folder at this path are package databases by their place."""
    return _FOLDERS.fullmatch(path) is not None


class PackageCatalogue:
    """Reads package databases as they come by; only at the end is known which of them the image shows."""

    def __init__(self) -> None:
        self._known: dict[Package, Package] = {}
        self._documents: list[tuple[Package, ...] | OperatingSystem | None] = [()]
        self._bytes = self._bytes_elsewhere = 0
        self._elsewhere = {_UNREAD}
        self._unread = {_UNREAD}
        self._systems_elsewhere = 0
        self._moved: set[bytes] = set()
        """Names of R packages that are no part of a library: where a link has such a name, R may find the package."""
        self._notes: list[str] = []
        self._more_notes = 0

    def read(self, path: bytes, size: int, peek: Callable[[int], bytes]) -> int | None:
        """Read the file if it is a package database, or may be linked as one, and return its number from now on.

        peek: gives the first bytes of the file, as many as it is called with.
        """
        # Only at the end is known whether it is in conda's cache.
        if not _ANY.fullmatch(path) or any(conda.folders_like_cached(path)):
            return self._read_elsewhere(path, size, peek)
        kind = next((kind for kind in KINDS if kind.paths.fullmatch(path)), None)
        if kind is not None:
            shown = path.decode(errors="backslashreplace")
            number, packages = len(self._documents), tuple(self._packages(kind, shown, size, peek, self._note))
            self._documents.append(packages)
            if not self.is_installed(number, path):
                self._set_apart(number, packages)
        else:
            number = self._read_system(peek)
        return number

    def to_look_at(self, path: bytes, document: int | None) -> list[bytes]:
        """Return the paths of package databases, and of folders of them, for which the image is searched at the end.

        document: the number of the file at `path`, None for a link.
        """
        if document is None:
            return self.databases_at(path)
        return [path] if any(conda.folders_like_cached(path)) and _DATABASE.fullmatch(path) else []

    def databases_at(self, link: bytes) -> list[bytes]:
        """Return the paths of the package databases, and of folders of them, that a link is or may have below it."""
        below = [path for path in _FIXED if path.startswith(link + b"/")]
        metadata = next((link + file for end, file in _METADATA.items() if link.endswith(end)), b"")
        description = link + b"/DESCRIPTION" if link[link.rfind(b"/") + 1 :] in self._moved else b""
        paths = (link, metadata, description, *below)
        return [path for path in paths if _DATABASE.fullmatch(path) or is_database_folder(path)]

    def is_installed(self, number: int, path: bytes) -> bool:
        """Return whether what a file names counts as installed where it, or a link to it, is at `path`."""
        shown = path.decode(errors="backslashreplace")
        document = self._documents[number]
        return not isinstance(document, tuple) or all(r.is_installed(package, shown) for package in document)

    def is_whole(self, number: int) -> bool:
        """Return whether a file that may be linked as a database was read to its end."""
        return number not in self._unread

    def own(self, shown: Collection[int]) -> list[int]:
        """Return the numbers of those files whose own path is that of a database."""
        return [number for number in shown if number not in self._elsewhere]

    def packages(self, shown: Collection[int]) -> tuple[Package, ...]:
        """Return the packages that the image's own databases name, in order.

        shown: the numbers of the files that the image shows.
        """
        found = (self._documents[number] for number in shown)
        return tuple(sorted({package for document in found if isinstance(document, tuple) for package in document}))

    def operating_system(self, shown: Collection[int]) -> OperatingSystem | None:
        """Return the distribution that the image says it is of, None if it does not say."""
        found = (self._documents[number] for number in shown)
        return next((document for document in found if isinstance(document, OperatingSystem)), None)

    @property
    def notes(self) -> tuple[str, ...]:
        """Databases that could not be read, in sentences."""
        more = (f"{self._more_notes:,} more package databases could not be read",) if self._more_notes else ()
        return (*self._notes, *more)

    def _read_elsewhere(self, path: bytes, size: int, peek: Callable[[int], bytes]) -> int | None:
        name = path[path.rfind(b"/") + 1 :]
        if not _NAMES.fullmatch(name):
            return None
        kind = next((kind for kind in KINDS if kind.names.fullmatch(name)), None)
        if kind is None:
            if self._systems_elsewhere == _MOST_SYSTEMS:
                return _UNREAD
            self._systems_elsewhere += 1
            return self._read_system(peek)
        # They leave room for the databases that are where they belong: most of these are none.
        is_full = max(len(self._known), len(self._elsewhere)) >= MAX_PACKAGES // 2
        if is_full or size > kind.limit or self._bytes_elsewhere + size > MAX_BYTES_ELSEWHERE:
            return _UNREAD
        self._bytes_elsewhere += size
        reasons: list[str] = []
        number = len(self._documents)
        shown = path.decode(errors="backslashreplace")
        packages = tuple(self._packages(kind, shown, size, peek, reasons.append))
        self._documents.append(packages)
        self._set_apart(number, packages)
        if reasons:
            self._unread.add(number)
        return number

    def _set_apart(self, number: int, packages: tuple[Package, ...]) -> None:
        """Have a file count only where a link to it is."""
        self._elsewhere.add(number)
        self._moved.update(package.name.encode() for package in packages if r.is_of_r(package))

    def _read_system(self, peek: Callable[[int], bytes]) -> int:
        try:
            # A longer one is cut off: no distribution has any.
            self._documents.append(read_operating_system(peek(_SYSTEM.limit)))
        except ValueError:
            self._documents.append(None)
        return len(self._documents) - 1

    def _packages(
        self, kind: DatabaseKind, path: str, size: int, peek: Callable[[int], bytes], note: Callable[[str], None]
    ) -> Iterator[Package]:
        self._bytes += size
        if size > kind.limit or self._bytes > MAX_BYTES:
            note(f"{path} was not read for packages: {size:,} bytes are too many")
            return
        try:
            for package in kind.read(path, peek(size)):
                if package is None:
                    continue
                if max(len(self._known), len(self._documents)) >= MAX_PACKAGES:
                    raise ValueError(f"the image names more than {MAX_PACKAGES:,} packages")
                yield self._known.setdefault(package, package)
        except (ValueError, RecursionError) as error:
            note(f"{path} was not read to its end for packages: {error}")

    def _note(self, text: str) -> None:
        if len(self._notes) < _MAX_NOTES:
            self._notes.append(text)
        else:
            self._more_notes += 1
