"""One image with all that is known of it, in the order in which its page shows it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Final

import msgspec

from skyport_wf.formatting import count, printable, terminal_text
from skyport_wf.image.examination.packages.package import Package
from skyport_wf.image.examination.report import KINDS
from skyport_wf.image.examination.waste import WastedFile
from skyport_wf.pages.layers import LayerRow, layer_rows
from skyport_wf.pages.usage import Snippet, usage_of
from skyport_wf.publication.attributes import NodeAttributes, read_attributes
from skyport_wf.publication.receipts import make_receipt
from skyport_wf.shock.node import download_url

if TYPE_CHECKING:
    from skyport_wf.pages.entries import ImageEntry
    from skyport_wf.pages.findings import Findings
    from skyport_wf.publication.inventory import StoredImage
    from skyport_wf.records.source import Source
    from skyport_wf.shock.node import AccessControl

_LONGEST: Final = 200_000
"""Characters of a Dockerfile or script that are shown."""
_SHOWN_WASTED: Final = 10
_MINUTE: Final = len("2026-11-26T20:20")
_USABLE: Final = ("published", "expiring", "legacy")


class Place(msgspec.Struct, frozen=True):
    """Where images are got from."""

    shock: str
    """The Shock's URL, or `embedded`."""
    download_base: str
    """The beginning of download links."""
    registry: str
    """Host and port of a registry that has the images; empty if there is none."""


class Fact(msgspec.Struct, frozen=True):
    """One thing that is known, with its name."""

    name: str
    value: str
    url: str = ""
    """An address of the web that it stands for."""
    node: str = ""
    """The node of an image that it names."""
    is_code: bool = False
    """Whether its value is a word of machines."""


class PackageGroup(msgspec.Struct, frozen=True):
    """The packages of one kind."""

    kind: str
    packages: tuple[Package, ...]


class ImageDetails(msgspec.Struct, frozen=True, kw_only=True):
    """An image, as its page shows it."""

    entry: ImageEntry
    image_id: str
    notes: tuple[str, ...]
    """Problems, and what an AWE worker does about them."""
    usage: tuple[Snippet, ...]
    facts: tuple[Fact, ...]
    """Who published what, and when."""
    origin: tuple[Fact, ...]
    """Where it came from."""
    labels: tuple[Fact, ...]
    layers: tuple[LayerRow, ...]
    size: int
    """Bytes of all layers, uncompressed."""
    wasted: int | None
    largest_wasted: tuple[WastedFile, ...]
    dockerfile: str
    """Empty if there is none."""
    script: str
    """Of a snapshot; empty otherwise."""
    packages: tuple[PackageGroup, ...] | None
    """None if nobody has listed them yet."""
    package_notes: tuple[str, ...]


def describe_details(
    image: StoredImage,
    entry: ImageEntry,
    access: AccessControl | None,
    findings: Findings | None,
    place: Place,
    *,
    node_of: Callable[[str], str],
) -> ImageDetails:
    """Return all that is known of an image.

    access: who may read it, as far as Shock tells.
    findings: what is in it; None if nobody has looked.
    node_of: gives the node of an image by its name; an empty text if there is none.
    """
    attributes = read_attributes(image.node.attributes) or NodeAttributes("", entry.name, "", "", "")
    known = attributes.skyport_wf
    layers = layer_rows(known.layers if known else (), findings, base=(known and known.base and known.base.name) or "")
    return ImageDetails(
        entry=entry,
        image_id=attributes.id,
        notes=image.notes,
        usage=_usage(image, attributes, entry, place),
        facts=tuple(_facts(image, entry, attributes, access, findings)),
        origin=tuple(_origin(attributes, node_of)),
        labels=tuple(_link(label.name, label.value) for label in (known.labels if known else ())),
        layers=layers,
        size=sum(layer.size for layer in layers),
        wasted=sum(findings.wasted) if findings and findings.wasted is not None else None,
        largest_wasted=findings.largest_wasted[:_SHOWN_WASTED] if findings else (),
        dockerfile=_shown(_decode(attributes.dockerfile)),
        script=_shown((known and known.source.script) or ""),
        packages=_groups(findings.packages) if findings else None,
        package_notes=findings.notes if findings else (),
    )


def _usage(image: StoredImage, attributes: NodeAttributes, entry: ImageEntry, place: Place) -> tuple[Snippet, ...]:
    # What someone copies goes into a terminal.
    if image.state not in _USABLE or printable(image.name) != image.name:
        return ()
    node = image.node
    receipt = make_receipt(
        attributes,
        node=node.id,
        size=node.file.size,
        md5=node.file.checksum.md5,
        shock=place.shock,
        download_url=download_url(place.download_base, node.id),
        public=not entry.is_private,
        registry=place.registry,
    )
    return tuple(usage_of(receipt, registry=place.registry))


def _facts(
    image: StoredImage,
    entry: ImageEntry,
    attributes: NodeAttributes,
    access: AccessControl | None,
    findings: Findings | None,
) -> Iterator[Fact]:
    known = attributes.skyport_wf
    yield Fact("Image id", printable(attributes.id) or "unknown", is_code=True)
    yield Fact("Node", image.node.id, is_code=True)
    yield Fact("MD5 of the file", image.node.file.checksum.md5, is_code=True)
    if known:
        yield Fact("Platform", printable(known.platform))
    if findings and findings.operating_system:
        yield Fact("System", findings.operating_system.name)
    if findings and not findings.has_bash:
        yield Fact("AWE", "No task can start in it, as it has no /bin/bash.")
    yield Fact("Published", _moment(entry.published))
    # Publishing changes the node itself, some times within the minute.
    if image.node.last_modified[:_MINUTE] > entry.published[:_MINUTE]:
        yield Fact("Node changed", _moment(image.node.last_modified))
    if access and access.owner:
        yield Fact("Owner", "nobody" if access.owner == "public" else access.owner, is_code=access.owner != "public")
    yield Fact("Readable by", "listed users" if entry.is_private else "everyone")


def _origin(attributes: NodeAttributes, node_of: Callable[[str], str]) -> Iterator[Fact]:
    known = attributes.skyport_wf
    if known is None:
        yield Fact("Source", "unknown: another tool published it")
        return
    yield Fact("Source", known.source.kind)
    yield from _places(known.source)
    if known.base:
        name = printable(known.base.name)
        yield Fact("Base image", name, node=node_of(name))
    if thin := attributes.thin_on:
        name = printable(thin.name)
        yield Fact("Thin on", f"{name}, whose layers its archive leaves out", node=node_of(name))
    if attributes.docker_version.version:
        yield Fact("Engine", f"version {printable(attributes.docker_version.version)}")
    yield Fact("Source digest", printable(known.source.digest), is_code=True)


def _places(source: Source) -> Iterator[Fact]:
    """Yield where on the web, from which registry's image or which container, it was made."""
    if source.git:
        yield _link("Repository", source.git.repository)
        yield Fact("Commit", printable(source.git.commit), is_code=True)
        if source.git.folder:
            yield Fact("Folder", printable(source.git.folder))
    if source.dockerfile_url:
        yield _link("Dockerfile", source.dockerfile_url)
    if source.registry:
        yield Fact("Registry", printable(source.registry.name), is_code=True)
        yield Fact("Manifest there", printable(source.registry.manifest_digest), is_code=True)
    if source.container:
        yield Fact("Container", f"of {printable(source.container.image)}")
        yield Fact("Changes", count(len(source.container.changes), "path"))


def _groups(packages: Iterable[Package]) -> tuple[PackageGroup, ...]:
    ordered = sorted(packages)
    return tuple(PackageGroup(KINDS[kind], tuple(found)) for kind, found in groupby(ordered, lambda one: one.kind))


def _link(name: str, value: str) -> Fact:
    """Return a fact, as a link if its value is an address of the web and of nothing else."""
    shown = printable(value)
    is_address = value == shown and value.startswith(("https://", "http://")) and " " not in value
    return Fact(printable(name), shown, url=value if is_address else "")


def _moment(moment: str) -> str:
    """Return a moment as people write it, to the second."""
    return f"{moment[:10]} {moment[11:19]} UTC" if moment[10:11] == "T" else printable(moment)


def _decode(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode(errors="replace")
    except (binascii.Error, ValueError):
        return ""


def _shown(text: str) -> str:
    """Return a text without signs that reorder or hide what is read."""
    return terminal_text(text[:_LONGEST].replace("\r\n", "\n"))
