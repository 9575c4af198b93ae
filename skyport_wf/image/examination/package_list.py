"""The packages in an image as one short text, to be kept with the image: compressed JSON in base64."""

from __future__ import annotations

import base64
import zlib
from typing import Final

import msgspec

from skyport_wf.decoding import decode_json
from skyport_wf.image.examination.packages.operating_system import OperatingSystem
from skyport_wf.image.examination.packages.package import Package, PackageKind

_LONGEST: Final = 1 << 20
"""Characters of a packed list. A package takes about 15, and a node's attributes may have 16 MiB in all."""
_LARGEST: Final = 64 << 20
"""Bytes of a list that is unpacked: whoever owns a node may have written anything."""


class PackageList(msgspec.Struct, frozen=True):
    """The packages in an image, and how far that is all of them."""

    image_id: str
    packages: tuple[Package, ...]
    """In order of kind and name."""
    operating_system: OperatingSystem | None = None
    """None if the image does not say."""
    notes: tuple[str, ...] = ()
    """Reasons why something is missing, in sentences."""
    has_bash: bool = True
    """False if no AWE task can start in the image, for want of a /bin/bash."""


class _Row(msgspec.Struct, frozen=True, array_like=True):
    """A package without the names of its fields, which would be most of the text."""

    kind: PackageKind
    name: str
    version: str
    architecture: str
    source: str
    found_in: str


class _Document(msgspec.Struct, frozen=True, omit_defaults=True):
    """The JSON that is compressed. Readers pass over fields that they do not know."""

    image_id: str
    packages: list[_Row]
    operating_system: OperatingSystem | None = None
    notes: tuple[str, ...] = ()
    has_bash: bool = True


def pack(listed: PackageList) -> str:
    """Return the list as a text; an empty one if it would be too long to be kept."""
    rows = [
        _Row(one.kind, one.name, one.version, one.architecture, one.source, one.found_in) for one in listed.packages
    ]
    document = msgspec.json.encode(
        _Document(listed.image_id, rows, listed.operating_system, listed.notes, listed.has_bash)
    )
    packed = base64.b64encode(zlib.compress(document, 9)).decode() if len(document) <= _LARGEST else ""
    return packed if len(packed) <= _LONGEST else ""


def unpack(packed: str, *, image_id: str) -> PackageList | None:
    """Return the list of this image; None if the text is empty, damaged, or of another image."""
    try:
        document = decode_json(_decompress(packed), _Document)
    except (ValueError, zlib.error, RecursionError):
        return None
    if document.image_id != image_id:
        return None
    packages = tuple(
        Package(row.kind, row.name, row.version, row.architecture, row.source, row.found_in)
        for row in document.packages
    )
    return PackageList(image_id, packages, document.operating_system, document.notes, document.has_bash)


def _decompress(packed: str) -> bytes:
    """Raises ValueError, or zlib.error, for what is no packed list."""
    if len(packed) > _LONGEST:
        raise ValueError("too long")
    unpacking = zlib.decompressobj()
    document = unpacking.decompress(base64.b64decode(packed, validate=True), _LARGEST)
    if not unpacking.eof:
        raise ValueError("cut off, or too large")
    return document
