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
_MAX_NOTES: Final = 10


class DatabaseKind(msgspec.Struct, frozen=True):
    """A kind of file that names packages."""

    paths: re.Pattern[bytes]
    """Matches all of the path."""
    limit: int
    """Bytes beyond which a file is not read, as it is all in memory meanwhile."""
    read: Callable[[str, bytes], Iterator[Package | None]]
    """Raises ValueError for a file of another kind."""


KINDS: Final = (
    DatabaseKind(debian.PATHS, 64 * _MIB, debian.read_packages),
    DatabaseKind(alpine.PATHS, 64 * _MIB, alpine.read_packages),
    DatabaseKind(rpm.PATHS, 128 * _MIB, rpm.read_packages),
    DatabaseKind(python.PATHS, 1 * _MIB, python.read_packages),
    DatabaseKind(r.PATHS, 1 * _MIB, r.read_packages),
    DatabaseKind(conda.PATHS, 32 * _MIB, conda.read_packages),
)
_SYSTEM: Final = DatabaseKind(operating_system.PATHS, 1 << 16, lambda path, content: iter(()))
_DATABASE: Final = re.compile(b"|".join(b"(?:%b)" % kind.paths.pattern for kind in KINDS))
_ANY: Final = re.compile(b"(?:%b)|(?:%b)" % (_DATABASE.pattern, _SYSTEM.paths.pattern))
"""Match each path that any of them matches: one look at a million files instead of seven."""


_ELSEWHERE: Final = (
    (re.compile(rb"(?:.*/)?(?:METADATA|PKG-INFO|[^/]+\.egg-info)"), KINDS[3]),
    (re.compile(rb"(?:.*/)?status"), KINDS[0]),
    (re.compile(rb"(?:.*/)?installed"), KINDS[1]),
    (re.compile(rb"(?:.*/)?(?:rpmdb\.sqlite|Packages\.db|Packages|container-manifest-2)"), KINDS[2]),
)
"""Names of files that may be databases under another path, a link: uv has what it installed in its cache."""
_RPM: Final = ("rpmdb.sqlite", "Packages.db", "Packages")
_FIXED: Final = (
    b"var/lib/dpkg/status",
    b"lib/apk/db/installed",
    b"usr/lib/apk/db/installed",
    *(f"{folder}/{name}".encode() for folder in ("var/lib/rpm", "usr/lib/sysimage/rpm") for name in _RPM),
)
"""Databases that may be below a folder that is a link. Those of R and conda are found by the paths that they have."""
_METADATA: Final = {b".dist-info": b"/METADATA", b".egg-info": b"/PKG-INFO"}


def databases_at(link: bytes) -> list[bytes]:
    """Return the paths of the package databases that a link is, or that may be below it."""
    below = [path for path in _FIXED if path.startswith(link + b"/")]
    metadata = next((link + file for end, file in _METADATA.items() if link.endswith(end)), b"")
    return [path for path in (link, metadata, *below) if _DATABASE.fullmatch(path)]


class PackageCatalogue:
    """Reads package databases as they come by; only at the end is known which of them the image shows."""

    def __init__(self) -> None:
        self._known: dict[Package, Package] = {}
        self._documents: list[tuple[Package, ...] | OperatingSystem | None] = []
        self._bytes = 0
        self._elsewhere: set[int] = set()
        self._notes: list[str] = []
        self._more_notes = 0

    def read(self, path: bytes, size: int, peek: Callable[[int], bytes]) -> int | None:
        """Read the file if it is a package database, or may be linked as one, and return its number from now on.

        peek: gives the first bytes of the file, as many as it is called with.
        """
        if not _ANY.fullmatch(path):
            kind = next((kind for names, kind in _ELSEWHERE if names.fullmatch(path)), None)
            if kind is None:
                return None
            self._elsewhere.add(len(self._documents))
            told = self._notes[:], self._more_notes
            self._documents.append(tuple(self._packages(kind, path.decode(errors="backslashreplace"), size, peek)))
            # Most of them are no databases.
            self._notes, self._more_notes = told
            return len(self._documents) - 1
        kind = next((kind for kind in KINDS if kind.paths.fullmatch(path)), None)
        if kind is not None:
            self._documents.append(tuple(self._packages(kind, path.decode(errors="backslashreplace"), size, peek)))
        else:
            try:
                # A longer one is cut off: no distribution has any.
                self._documents.append(read_operating_system(peek(_SYSTEM.limit)))
            except ValueError:
                self._documents.append(None)
        return len(self._documents) - 1

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

    def _packages(self, kind: DatabaseKind, path: str, size: int, peek: Callable[[int], bytes]) -> Iterator[Package]:
        self._bytes += size
        if size > kind.limit or self._bytes > MAX_BYTES:
            self._note(f"{path} was not read for packages: {size:,} bytes are too many")
            return
        try:
            for package in kind.read(path, peek(size)):
                if package is None:
                    continue
                if max(len(self._known), len(self._documents)) >= MAX_PACKAGES:
                    raise ValueError(f"the image names more than {MAX_PACKAGES:,} packages")
                yield self._known.setdefault(package, package)
        except (ValueError, RecursionError) as error:
            self._note(f"{path} was not read to its end for packages: {error}")

    def _note(self, text: str) -> None:
        if len(self._notes) < _MAX_NOTES:
            self._notes.append(text)
        else:
            self._more_notes += 1
