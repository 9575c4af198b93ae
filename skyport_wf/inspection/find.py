"""Find the images that have a package: in the lists on their nodes, so that no image is read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.errors import UsageError
from skyport_wf.image.examination.packages.package import Package, canonical_name
from skyport_wf.image.examination.packages.versions import Bound, judge, parse_question
from skyport_wf.publication.inventory import StoredImage
from skyport_wf.publication.package_lists import listed_packages

if TYPE_CHECKING:
    from skyport_wf.image.examination.package_list import PackageList

_OF_A_DISTRIBUTION = frozenset({"deb", "apk", "rpm"})
"""Kinds of packages that name the source package that they were built from."""


class Wanted(msgspec.Struct, frozen=True):
    """A package that an image is to have."""

    name: str
    """May have `*`, `?` and `[...]`; upper and lower case are the same."""
    bounds: tuple[Bound, ...] = ()
    """Conditions for its version, all of which are to hold."""


class ImageWithPackages(msgspec.Struct, frozen=True):
    """An image that has what was asked for."""

    image: StoredImage
    packages: tuple[Package, ...]


class Found(msgspec.Struct, frozen=True):
    """The answer to a question for packages."""

    images: tuple[ImageWithPackages, ...]
    unlisted: tuple[StoredImage, ...]
    """Images whose nodes have no list: whether they have the package is not known."""
    incomplete: tuple[StoredImage, ...]
    """Images of which something could not be read when they were listed."""
    notes: tuple[str, ...]
    """Versions that could not be compared, in sentences."""


def parse_wanted(words: Sequence[str]) -> Wanted:
    """Return what is meant by a package's name and conditions for its version, such as `openssl`, `<3`.

    The name and its first condition may be one word, `openssl<3`. Raises UsageError for what is neither.
    """
    for word in words[1:]:
        if not re.match(r"\s*[<>=!]", word):
            raise UsageError(f"{word!r} is no condition for a version. Names of images stand before --package.")
    name, bounds = parse_question(" ".join(words))
    if re.search(r"\s", name):
        raise UsageError(f"{name!r} is no name of a package: there is none with a blank in it.")
    return Wanted(name, bounds)


def find_packages(images: Iterable[StoredImage], wanted: Sequence[Wanted]) -> Found:
    """Return which of the images have all the packages that are wanted, as far as their nodes tell."""
    found, unlisted, incomplete = [], [], []
    notes: dict[str, None] = {}
    for image in images:
        listed = listed_packages(image.node)
        if listed is None:
            unlisted.append(image)
            continue
        if listed.notes:
            incomplete.append(image)
        matches = [_find_in(listed, one, notes) for one in wanted]
        if all(matches):
            packages = {package for match in matches for package in match}
            found.append(ImageWithPackages(image, tuple(sorted(packages))))
    return Found(tuple(found), tuple(unlisted), tuple(incomplete), tuple(notes))


def _find_in(listed: PackageList, wanted: Wanted, notes: dict[str, None]) -> list[Package]:
    """Return the packages that are meant; note the versions of which that cannot be said."""
    matches = []
    for package in listed.packages:
        if not has_name(package, wanted.name):
            continue
        fits, note = judge(package, wanted.bounds)
        if fits:
            matches.append(package)
        elif note:
            notes[note] = None
    return matches


def has_name(package: Package, pattern: str) -> bool:
    """Return whether a package, or the source package that it was built from, has a name that fits the pattern."""
    name, pattern = (canonical_name(package.kind, text).lower() for text in (package.name, pattern))
    # Debian's library of openssl is called libssl3.
    built_from = package.source.lower() if package.kind in _OF_A_DISTRIBUTION else ""
    return fnmatchcase(name, pattern) or (built_from != "" and fnmatchcase(built_from, pattern))
