"""A report of an image: how its bytes are spread over its layers, which of them are wasted, which are shared."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from skyport_wf.image.contents import Layer
from skyport_wf.image.examination.examine import ImageExamination
from skyport_wf.image.examination.packages.operating_system import OperatingSystem
from skyport_wf.image.examination.packages.package import Package, PackageKind
from skyport_wf.image.examination.waste import WastedFile

KINDS: Final[Mapping[PackageKind, str]] = {
    "deb": "Debian", "apk": "Alpine", "rpm": "RPM", "pypi": "Python", "cran": "R", "bioconductor": "Bioconductor",
    "conda": "conda",
}  # fmt: skip
"""The names that people have for each kind of package."""


class LayerReport(msgspec.Struct, frozen=True):
    """One layer of an image."""

    number: int
    """The lowest is 1."""
    diff_id: str
    size: int
    """Bytes of the uncompressed layer tar."""
    share: float
    """Of the bytes of all layers, from 0 to 1."""
    files: int
    """Files that it holds; links, folders and devices are not counted."""
    wasted: int | None
    """Bytes of files that it holds and the image does not show; None if unknown."""
    created_by: str
    """The command that made it; empty if the history does not say."""
    shared_with: tuple[str, ...]
    """Other images that have it too."""
    from_base: str = ""
    """Of a thin image, the image below it whose archive has the layer; empty if its own archive has it."""


class SharedBytes(msgspec.Struct, frozen=True):
    """Layers that an image has in common with another one."""

    name: str
    """The other image."""
    size: int
    """Bytes of the layers that both have, each counted once."""


class ImageReport(msgspec.Struct, frozen=True):
    """One image."""

    name: str
    image_id: str
    size: int
    """Bytes of all uncompressed layer tars."""
    wasted: int | None
    """Bytes of files that layers hold and the image does not show; None if unknown."""
    layers: tuple[LayerReport, ...]
    """The lowest first."""
    largest_wasted: tuple[WastedFile, ...]
    """The largest first."""
    shared: tuple[SharedBytes, ...]
    """Other images with layers of this one, those with most first."""
    operating_system: OperatingSystem | None
    packages: tuple[Package, ...]
    notes: tuple[str, ...]
    """Reasons why something is unknown."""
    platform: str = ""
    """The platform that it is for, such as `linux/amd64`."""
    has_bash: bool = True
    """False if no AWE task can start in it, for want of a /bin/bash."""
    base: str = ""
    """The image that it is built on; empty if nobody says."""
    created: str = ""
    """When it was made, as its config has it; empty if that does not say."""


def count_packages(packages: Iterable[Package]) -> str:
    """Return how many packages of each kind there are, such as `108 Debian, 3 Python`."""
    kinds = Counter(KINDS[package.kind] for package in packages)
    return ", ".join(f"{number} {kind}" for kind, number in kinds.items()) or "none found"


def make_report(
    name: str, found: ImageExamination, others: Mapping[str, Sequence[Layer]], *, notes: Sequence[str] = ()
) -> ImageReport:
    """Return the report of an image.

    name: of the image.
    others: the layers of the images to compare it with, by name.
    notes: more reasons why something is unknown.
    """
    layers, waste = found.contents.layers, found.waste
    size = sum(layer.size for layer in layers)
    having = {other: {layer.diff_id for layer in theirs} for other, theirs in others.items()}
    return ImageReport(
        name=name,
        image_id=found.contents.image_id,
        size=size,
        wasted=waste.total if waste else None,
        layers=tuple(
            LayerReport(
                number=at + 1,
                diff_id=layer.diff_id,
                size=layer.size,
                share=layer.size / size if size else 0.0,
                files=found.files[at],
                wasted=waste.by_layer[at] if waste else None,
                created_by=layer.created_by,
                shared_with=tuple(sorted(other for other, digests in having.items() if layer.diff_id in digests)),
                from_base=found.from_bases[at] if at < len(found.from_bases) else "",
            )
            for at, layer in enumerate(layers)
        ),
        largest_wasted=waste.largest if waste else (),
        shared=_shared(layers, having),
        operating_system=found.operating_system,
        packages=found.packages,
        notes=(*found.notes, *notes),
        platform=found.contents.platform,
        has_bash=found.has_bash,
        base=found.base,
        created=found.contents.created or "",
    )


def _shared(layers: Sequence[Layer], having: Mapping[str, set[str]]) -> tuple[SharedBytes, ...]:
    sizes = {layer.diff_id: layer.size for layer in layers}
    shared = (
        SharedBytes(other, sum(size for diff_id, size in sizes.items() if diff_id in digests))
        for other, digests in having.items()
        if not digests.isdisjoint(sizes)
    )
    return tuple(sorted(shared, key=lambda other: (-other.size, other.name)))
