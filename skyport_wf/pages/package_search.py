"""The packages in all images whose contents are known: which versions there are, and in which images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.image.examination.report import KINDS

if TYPE_CHECKING:
    from skyport_wf.pages.entries import ImageEntry
    from skyport_wf.pages.findings import Findings

OTHER = "other"
"""The place of a letter for names that begin with none."""


class VersionUse(msgspec.Struct, frozen=True):
    """A version of a package, and the images that have it."""

    version: str
    images: tuple[ImageEntry, ...]


class PackageUse(msgspec.Struct, frozen=True):
    """A package in any images."""

    name: str
    kind: str
    """As people call it, such as `Debian`."""
    versions: tuple[VersionUse, ...]

    @property
    def letter(self) -> str:
        """The letter under which it is listed."""
        first = self.name[:1].lower()
        return first if first.isascii() and first.isalnum() else OTHER


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

    def search(self, text: str) -> list[PackageUse]:
        """Return the packages that fit every word of a text, those of exactly this name first.

        A word fits a name that has it anywhere, or a version that begins with it; then only such versions are shown.
        """
        words = text.lower().split()
        found = [narrowed for use in self.uses if (narrowed := _narrow(use, words))]
        return sorted(found, key=lambda use: use.name.lower() not in words)


def index_packages(images: Iterable[tuple[ImageEntry, Findings | None]]) -> PackageIndex:
    """Return the index of the images whose contents are known."""
    found: dict[tuple[str, str], dict[str, dict[str, ImageEntry]]] = {}
    listed = 0
    for entry, findings in images:
        if findings is None:
            continue
        listed += 1
        for package in findings.packages:
            versions = found.setdefault((package.name, KINDS[package.kind]), {})
            versions.setdefault(package.version, {})[entry.node] = entry
    return PackageIndex(
        tuple(
            PackageUse(
                name,
                kind,
                tuple(VersionUse(version, tuple(images.values())) for version, images in sorted(versions.items())),
            )
            for (name, kind), versions in sorted(found.items(), key=lambda one: (one[0][0].lower(), one[0]))
        ),
        listed,
    )


def _narrow(use: PackageUse, words: Sequence[str]) -> PackageUse | None:
    name = use.name.lower()
    rest = [word for word in words if word not in name]
    if len(rest) == len(words):
        return None
    versions = tuple(version for version in use.versions if all(version.version.startswith(word) for word in rest))
    return msgspec.structs.replace(use, versions=versions) if versions else None
