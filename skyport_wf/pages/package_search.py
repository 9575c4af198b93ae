"""The packages in all images, as far as they are known: which versions there are, and in which images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.image.examination.packages.package import Package, PackageKind, canonical_name
from skyport_wf.image.examination.packages.versions import Bound, judge, parse_question
from skyport_wf.image.examination.report import KINDS
from skyport_wf.image_list.reference import is_pattern
from skyport_wf.inspection.find import has_name

if TYPE_CHECKING:
    from skyport_wf.pages.entries import ImageEntry
    from skyport_wf.pages.findings import Findings

_MOST_NOTES = 5
"""Sentences on versions that are left out."""
OTHER = "other"
"""The place of a letter for names that begin with none."""


class VersionUse(msgspec.Struct, frozen=True):
    """A version of a package, and the images that have it."""

    version: str
    images: tuple[ImageEntry, ...]
    source: str = ""
    """The source package that it was built from there, if it is another: that of `libgcc-s1` is called `gcc-10` in one
    release of Debian, and `gcc-12` in the next."""


class PackageUse(msgspec.Struct, frozen=True):
    """A package in any images."""

    package: Package
    """One of them: kind and name are those of all."""
    versions: tuple[VersionUse, ...]

    @property
    def name(self) -> str:
        """The package's name."""
        return self.package.name

    @property
    def kind(self) -> str:
        """Its kind as people call it, such as `Debian`."""
        return KINDS[self.package.kind]

    @property
    def letter(self) -> str:
        """The letter under which it is listed."""
        first = self.name[:1].lower()
        return first if first.isascii() and first.isalnum() else OTHER


class SearchResult(msgspec.Struct, frozen=True):
    """The answer to a search."""

    uses: tuple[PackageUse, ...]
    """Those of exactly the name first."""
    notes: tuple[str, ...] = ()
    """The reasons why versions are left out that someone might expect, in sentences; the first few."""


class PackageIndex(msgspec.Struct, frozen=True):
    """The packages in some images."""

    uses: tuple[PackageUse, ...]
    """By name."""
    listed: int
    """Images whose contents are known."""

    @property
    def letters(self) -> list[str]:
        """The letters with which names begin."""
        return sorted({use.letter for use in self.uses}, key=lambda letter: (letter == OTHER, letter))

    def by_letter(self, letter: str) -> list[PackageUse]:
        """Return the packages whose names begin with a letter."""
        return [use for use in self.uses if use.letter == letter]

    def search(self, text: str) -> SearchResult:
        """Return the packages that fit every word of a text.

        A word fits a package if it stands in its name, or is that of the source package; one with `*`, `?` or `[...]`
        has to fit the whole of either, as for `find`. Conditions behind the words,
        such as `<3`, leave only the versions that meet them all; they are those of `find`. Raises UsageError for what
        is no condition, or a text of conditions alone.
        """
        name, bounds = parse_question(text)
        words = name.lower().split()
        notes: dict[str, None] = {}
        found = [narrowed for use in self.uses if (narrowed := _narrow(use, words, bounds, notes))]
        found.sort(key=lambda use: not _is_called(use, words))
        return SearchResult(tuple(found), tuple(notes)[:_MOST_NOTES])


def index_packages(images: Iterable[tuple[ImageEntry, Findings | None]]) -> PackageIndex:
    """Return the index of the packages in images, as far as those are known."""
    found: dict[tuple[str, str], tuple[Package, dict[tuple[str, str], dict[str, ImageEntry]]]] = {}
    listed = 0
    for entry, findings in images:
        if findings is None:
            continue
        listed += 1
        for package in findings.packages:
            _, versions = found.setdefault((_comparable(package.kind, package.name), package.kind), (package, {}))
            versions.setdefault((package.version, package.source), {})[entry.node] = entry
    uses = (
        PackageUse(
            package,
            tuple(
                VersionUse(version, tuple(images.values()), source)
                for (version, source), images in sorted(versions.items())
            ),
        )
        for _, (package, versions) in sorted(found.items())
    )
    return PackageIndex(tuple(uses), listed)


def _fits(package: Package, names: Sequence[str]) -> bool:
    name, source = _comparable(package.kind, package.name), package.source.lower()
    return all(
        has_name(package, word) if is_pattern(word) else _comparable(package.kind, word) in name or word == source
        for word in names
    )


def _is_called(use: PackageUse, names: Sequence[str]) -> bool:
    """Return whether one of the names is the package's whole name."""
    kind = use.package.kind
    return any(_comparable(kind, use.name) == _comparable(kind, name) for name in names)


def _comparable(kind: PackageKind, name: str) -> str:
    """Return a name, or a part of one, as names are looked for: upper and lower case are the same."""
    return canonical_name(kind, name).lower()


def _narrow(
    use: PackageUse, words: Sequence[str], bounds: Sequence[Bound], notes: dict[str, None]
) -> PackageUse | None:
    """Return the package with the versions that fit words and conditions, None without any; note what else to know."""
    fitting = []
    for version in use.versions:
        package = msgspec.structs.replace(use.package, version=version.version, source=version.source)
        if not _fits(package, words):
            continue
        fits, note = judge(package, bounds, quote="")
        if fits:
            fitting.append(version)
        elif note:
            notes[f"{note}."] = None
    return PackageUse(use.package, tuple(fitting)) if fitting else None
