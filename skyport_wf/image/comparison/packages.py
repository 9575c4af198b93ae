"""Packages that two images have in other versions, or only one of them has."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from skyport_wf.image.examination.packages.package import Package, PackageKind, canonical_name


class PackageChange(msgspec.Struct, frozen=True):
    """A package that is not the same in both images."""

    kind: PackageKind
    name: str
    architecture: str
    """As the package manager names it; empty if it does not say."""
    published: str | None
    """The version; versions, with commas, if it is there more than once; None if the image does not have it."""
    rebuilt: str | None


def compare_packages(published: Iterable[Package], rebuilt: Iterable[Package]) -> tuple[PackageChange, ...]:
    """Return the packages that are not the same, by kind and name.

    Where in the image one lies does not count, nor which of the spellings that mean the same its name has.
    """
    before, after = _by_name(published), _by_name(rebuilt)
    changes = []
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key, ()), after.get(key, ())
        if _versions(old) != _versions(new):
            # As the published image spells it, if it is there.
            shown = min(old or new)
            changes.append(PackageChange(shown.kind, shown.name, shown.architecture, _versions(old), _versions(new)))
    return tuple(changes)


def _by_name(packages: Iterable[Package]) -> Mapping[tuple[PackageKind, str, str], Sequence[Package]]:
    """Return the packages by kind, name in any spelling, and architecture."""
    found: dict[tuple[PackageKind, str, str], list[Package]] = {}
    for package in packages:
        key = (package.kind, canonical_name(package.kind, package.name), package.architecture)
        found.setdefault(key, []).append(package)
    return found


def _versions(packages: Iterable[Package]) -> str | None:
    return ", ".join(sorted({package.version for package in packages})) or None
