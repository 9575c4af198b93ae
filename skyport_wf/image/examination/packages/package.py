"""One package that a package manager, or an installer, says is in an image."""

import re
from typing import Final, Literal

import msgspec

from skyport_wf.formatting import printable

PackageKind = Literal["deb", "apk", "rpm", "pypi", "cran", "bioconductor", "conda"]
"""As package URLs name them: Debian, Alpine, RPM, Python, R, R from Bioconductor, conda."""

_LONGEST: Final = 300
"""Characters of a name or version: no packager allows more, and some database may be made to do harm."""


class Package(msgspec.Struct, frozen=True, order=True, omit_defaults=True):
    """A package, as a database in the image names it."""

    kind: PackageKind
    name: str
    version: str
    """As the package manager writes it: with epoch and release where it has them."""
    architecture: str = ""
    """As the package manager names it; empty if it does not say."""
    source: str = ""
    """The source package that it was built from, where it is another; conda: the channel."""
    found_in: str = ""
    """The file that says so, from the root of the image."""


def make_package(
    kind: PackageKind, name: str, version: str, *, architecture: str = "", source: str = "", found_in: str = ""
) -> Package | None:
    """Return the package, None if the database has no name or version for it."""
    name, version = clean(name), clean(version)
    if not name or not version:
        return None
    source = clean(source)
    return Package(kind, name, version, clean(architecture), "" if source == name else source, found_in)


def make_own_package(
    kind: PackageKind, name: str, version: str, *, architecture: str = "", source: str = "", found_in: str = ""
) -> Package:
    """Return the package that a file of its own describes. Raises ValueError if that has no name or version for it."""
    package = make_package(kind, name, version, architecture=architecture, source=source, found_in=found_in)
    if package is None:
        raise ValueError("it names no package, or no version of it")
    return package


def canonical_name(kind: PackageKind, name: str) -> str:
    """Return what a package's name is in all its spellings: Python's `Foo_Bar`, `foo.bar` and `foo-bar` are one.

    name: may be a part of a name, or a pattern. Source: PyPA's specification "Names and normalization".
    """
    return re.sub(r"[-_.]+", "-", name).lower() if kind == "pypi" else name


def clean(text: str) -> str:
    """Return the text cut to a bearable length, without characters that garble a terminal or a document."""
    return printable(text.strip()[:_LONGEST])
