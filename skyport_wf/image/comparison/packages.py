"""Packages that two images have in other versions, or only one of them has."""

from collections.abc import Iterable, Mapping

import msgspec

from skyport_wf.image.examination.packages.package import Package, PackageKind


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
    """Return the packages that are not the same, by kind and name; where in the image one lies does not count."""
    before, after = _versions(published), _versions(rebuilt)
    return tuple(
        PackageChange(*package, before.get(package), after.get(package))
        for package in sorted(before.keys() | after.keys())
        if before.get(package) != after.get(package)
    )


def _versions(packages: Iterable[Package]) -> Mapping[tuple[PackageKind, str, str], str]:
    versions: dict[tuple[PackageKind, str, str], set[str]] = {}
    for package in packages:
        versions.setdefault((package.kind, package.name, package.architecture), set()).add(package.version)
    return {package: ", ".join(sorted(found)) for package, found in versions.items()}
