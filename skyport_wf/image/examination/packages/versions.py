"""The order of two versions, by the rules of the packaging system that they are of."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec

from skyport_wf.errors import UsageError
from skyport_wf.image.examination.packages.conda_versions import compare_conda
from skyport_wf.image.examination.packages.package import Package, PackageKind

_BOUND: Final = re.compile(r"(<=|>=|==|!=|<|>|=)\s*([^\s<>=!,]+)")
_SNAPSHOT: Final = re.compile(r"_(?:cvs|svn|git|hg)")
_HAS_EPOCH: Final = frozenset({"deb", "rpm"})


class Bound(msgspec.Struct, frozen=True):
    """A condition for a version, such as `<3`."""

    sign: str
    """`<`, `<=`, `>`, `>=`, `=` or `!=`."""
    version: str
    """With `=` and `!=` it may have `*` and `?`."""

    def holds(self, package: Package) -> bool:
        """Return whether the package's version meets it. Raises ValueError if the versions cannot be compared."""
        if self.sign in ("=", "!=") and re.search(r"[*?]", self.version):
            return fnmatchcase(package.version, self.version) == (self.sign == "=")
        order = compare(package.kind, package.version, self.version)
        return {
            "<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0, "=": order == 0, "!=": order != 0
        }[self.sign]  # fmt: skip

    def lacks_epoch(self, package: Package) -> bool:
        """Return whether the package's version has an epoch, which goes before all else, and the condition has none."""
        epoch, colon, _ = package.version.partition(":")
        return package.kind in _HAS_EPOCH and bool(colon and epoch.strip("0")) and ":" not in self.version


def parse_bounds(text: str) -> tuple[Bound, ...]:
    """Return the conditions of a text such as `>=1.1,<3`. Raises UsageError if it is none."""
    bounds = []
    for part in text.split(","):
        found = _BOUND.fullmatch(part.strip())
        if not found:
            raise UsageError(f"{part.strip()!r} is no condition for a version. Write '<3', '>=1.1,<3' or '=1.1*'.")
        bounds.append(Bound("=" if found[1] == "==" else found[1], found[2]))
    return tuple(bounds)


def compare(kind: PackageKind, one: str, other: str) -> int:
    """Return less than 0 if `one` is older than `other`, 0 if they are equal, more than 0 if it is newer.

    Raises ValueError for what is no version in that packaging system.
    """
    if kind == "conda":
        # Behind the `=` is the build.
        return compare_conda(one.partition("=")[0], other.partition("=")[0])
    if kind == "rpm" and "-" not in other:
        # As rpm compares with what a package requires: without a release, every release will do.
        one = one.partition("-")[0]
    mine, theirs = _parse(kind, one), _parse(kind, other)
    return int(mine > theirs) - int(mine < theirs)


def _parse(kind: PackageKind, version: str) -> Any:
    """Return a value that orders as versions of the kind do."""
    from univers.versions import AlpineLinuxVersion, DebianVersion, PypiVersion, RpmVersion

    if kind in ("cran", "bioconductor"):
        # As R's package_version: numbers, of which a missing one comes before all others.
        return tuple(map(int, re.split(r"[.-]", version)))
    if kind == "deb":
        return DebianVersion(version)
    if kind == "rpm":
        return RpmVersion(version)
    if kind == "apk":
        # The library knows one suffix that comes after a release, `_p`; snapshots of a repository do as well.
        return AlpineLinuxVersion(_SNAPSHOT.sub("_p", version))
    return PypiVersion(version)
