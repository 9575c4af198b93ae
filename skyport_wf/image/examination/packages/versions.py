"""The order of two versions, by the rules of the packaging system that they are of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec

from skyport_wf.errors import UsageError
from skyport_wf.image.examination.packages.conda_versions import compare_conda
from skyport_wf.image.examination.packages.package import Package, PackageKind

_SIGN: Final = re.compile(r"[<>=!]")
_IN_NO_NAME: Final = re.compile(r"[~(),;]")
"""They are in conditions of pip, conda and dpkg, such as `~=1.26` and `(>= 3)`."""
_BOUND: Final = re.compile(r"(<=|>=|==|!=|<|>|=)\s*([^\s<>=!,]+)")
_BETWEEN: Final = re.compile(r"\s*,\s*|(?<=[^\s<>=!])\s+(?=[<>=!])")
"""What stands between two conditions: a comma, or blanks before the next sign."""
_WILDCARD: Final = re.compile(r"[*?]")
_SNAPSHOT: Final = re.compile(r"_(?:cvs|svn|git|hg)")
_HAS_EPOCH: Final = frozenset({"deb", "rpm"})
_HAS_REVISION: Final = frozenset({"deb", "apk"})
"""Kinds in which a version without the packager's revision is another one than that with it."""


class Bound(msgspec.Struct, frozen=True):
    """A condition for a version, such as `<3`."""

    sign: str
    """`<`, `<=`, `>`, `>=`, `=` or `!=`."""
    version: str
    """With `=` and `!=` it may have `*` and `?`."""

    def holds(self, package: Package) -> bool:
        """Return whether the package's version meets it. Raises ValueError if the versions cannot be compared."""
        if self.sign in ("=", "!=") and _WILDCARD.search(self.version):
            return fnmatchcase(package.version, self.version) == (self.sign == "=")
        order = compare(package.kind, package.version, self.version)
        return {
            "<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0, "=": order == 0, "!=": order != 0
        }[self.sign]  # fmt: skip

    def lacks_epoch(self, package: Package) -> bool:
        """Return whether the package's version has an epoch, which goes before all else, and the condition has none."""
        epoch, colon, _ = package.version.partition(":")
        return package.kind in _HAS_EPOCH and bool(colon and epoch.strip("0")) and ":" not in self.version

    def lacks_revision(self, package: Package) -> bool:
        """Return whether the package's version is the one that is asked for, with a revision of its packager behind."""
        upstream, _, _ = package.version.rpartition("-")
        return self.sign == "=" and package.kind in _HAS_REVISION and upstream == self.version


def parse_question(text: str) -> tuple[str, tuple[Bound, ...]]:
    """Return the name and the conditions of a text such as `openssl >=1.1, <3`: those begin at the first sign.

    The name may be several words. Raises UsageError if it is none, or what is no condition.
    """
    found = _SIGN.search(text)
    at = found.start() if found else len(text)
    name = text[:at].strip()
    if not name:
        raise UsageError(f"{text!r} names no package. Write its name before the condition: 'openssl <3'.")
    if _IN_NO_NAME.search(name):
        raise UsageError(
            f"{name!r} is no name of a package. Behind a name, write '<3', '>=1.1,<3' or '=1.1*'; ~= is not known."
        )
    return name, parse_bounds(text[at:]) if found else ()


def parse_bounds(text: str) -> tuple[Bound, ...]:
    """Return the conditions of a text such as `>=1.1,<3`, or `>=1.1 <3`. Raises UsageError if it is none."""
    bounds = []
    for part in _BETWEEN.split(text.strip()):
        found = _BOUND.fullmatch(part)
        if not found:
            raise UsageError(f"{part!r} is no condition for a version. Write '<3', '>=1.1,<3' or '=1.1*'.")
        bound = Bound("=" if found[1] == "==" else found[1], found[2])
        if bound.sign not in ("=", "!=") and _WILDCARD.search(bound.version):
            raise UsageError(f"{part!r} is no condition for a version: * and ? go with = and != only, as in '=1.1*'.")
        bounds.append(bound)
    return tuple(bounds)


def judge(package: Package, bounds: Sequence[Bound], *, quote: str = "'") -> tuple[bool, str]:
    """Return whether a package's version meets all conditions; if not, also what else to know of it, in a sentence.

    That is empty where the version plainly does not fit.
    quote: what stands around a condition that is to be written.
    """
    try:
        failing = [bound for bound in bounds if not bound.holds(package)]
    except ValueError:
        return False, _why_not_compared(package, bounds)
    if failing and all(bound.lacks_epoch(package) for bound in failing):
        epoch = package.version.partition(":")[0]
        better = ",".join(f"{bound.sign}{epoch}:{bound.version}" for bound in failing)
        return False, (
            f"{package.name} {package.version} has an epoch, so it is newer than any version without one; "
            f"to compare with it, write {quote}{better}{quote}"
        )
    if failing and all(bound.lacks_revision(package) for bound in failing):
        better = ",".join(f"={bound.version}-*" for bound in failing)
        return False, (
            f"{package.name} {package.version} is {failing[0].version} with a revision of its packager; "
            f"to find it with any, write {quote}{better}{quote}"
        )
    return not failing, ""


def _why_not_compared(package: Package, bounds: Sequence[Bound]) -> str:
    for bound in bounds:
        if not _WILDCARD.search(bound.version) and not _is_version(package.kind, bound.version):
            return f"{bound.version} is no version of the kind {package.kind}, so none of that kind is compared with it"
    return f"{package.name} {package.version}: no version of the kind {package.kind}, so not compared"


def _is_version(kind: PackageKind, version: str) -> bool:
    try:
        compare(kind, version, version)
    except ValueError:
        return False
    return True


def compare(kind: PackageKind, one: str, other: str) -> int:
    """Return less than 0 if `one` is older than `other`, 0 if they are equal, more than 0 if it is newer.

    Where `other` has no release (rpm) or no local label (pypi), that of `one` does not count.
    Raises ValueError for what is no version in that packaging system.
    """
    if kind == "conda":
        # Behind the `=` is the build.
        return compare_conda(one.partition("=")[0], other.partition("=")[0])
    if kind == "rpm" and "-" not in other:
        # As rpm compares with what a package requires: without a release, every release will do.
        one = one.partition("-")[0]
    if kind == "pypi" and "+" not in other:
        # As pip does (PEP 440): without a local label, as in 2.1.0+cu118, every one will do.
        one = one.partition("+")[0]
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
