"""RPM packages: the headers in rpm's database, in any of the three formats that it has had.

Source: rpm's own documentation and sources, lib/header.c ("header blob").
"""

import re
import struct
from collections.abc import Iterator
from typing import Final

from skyport_wf.image.examination.packages.package import Package, make_package
from skyport_wf.image.examination.packages.rpm_database import read_blobs

PATHS = re.compile(
    rb"(?:var/lib/rpm|usr/lib/sysimage/rpm|usr/share/rpm)/(?:rpmdb\.sqlite|Packages\.db|Packages)"
    rb"|var/lib/rpmmanifest/container-manifest-2"
)
LOG: Final = "rpmdb.sqlite-wal"
"""What SQLite has yet to write into its database."""
_MANIFEST: Final = "container-manifest-2"
"""Images of Azure Linux (Mariner) without a package manager have a table in the place of the database: name, version
and release, when it was installed and built, vendor, epoch, size, architecture, epoch, source, between tabs."""

_NAME, _VERSION, _RELEASE, _EPOCH, _ARCHITECTURE, _SOURCE = 1000, 1001, 1002, 1003, 1022, 1044
_WANTED: Final = frozenset({_NAME, _VERSION, _RELEASE, _EPOCH, _ARCHITECTURE, _SOURCE})
_INT32, _STRING = 4, 6
_MANIFEST_FIELDS: Final = 10
_MAX_TAGS: Final = 10_000
_LONGEST: Final = 1000
_KEYS = "gpg-pubkey"
"""The name under which rpm keeps the keys that it trusts, as if they were packages."""
_SOURCE_FILE = re.compile(r"(.+)-[^-]+-[^-]+\.(?:no)?src\.rpm")


def read_packages(path: str, content: bytes) -> Iterator[Package | None]:
    """Yield the packages that are installed. Raises ValueError for a database that is damaged."""
    if path.endswith(_MANIFEST):
        yield from _read_manifest(path, content)
        return
    for blob in read_blobs(content):
        tags = _read_header(blob)
        if tags.get(_NAME) == _KEYS:
            continue
        epoch = f"{tags[_EPOCH]}:" if _EPOCH in tags else ""
        source = _SOURCE_FILE.fullmatch(tags.get(_SOURCE, ""))
        yield make_package(
            "rpm",
            tags.get(_NAME, ""),
            f"{epoch}{tags.get(_VERSION, '')}-{tags.get(_RELEASE, '')}",
            architecture=tags.get(_ARCHITECTURE, ""),
            source=source[1] if source else "",
            found_in=path,
        )


def _read_manifest(path: str, content: bytes) -> Iterator[Package | None]:
    for line in content.decode(errors="replace").splitlines():
        fields = line.split("\t")
        if len(fields) < _MANIFEST_FIELDS:
            raise ValueError("a line of the table has too few fields")
        name, version, epoch, architecture, source_file = fields[0], fields[1], fields[5], fields[7], fields[9]
        source = _SOURCE_FILE.fullmatch(source_file)
        yield make_package(
            "rpm",
            name,
            f"{epoch}:{version}" if epoch.isdecimal() and epoch != "0" else version,
            architecture=architecture,
            source=source[1] if source else "",
            found_in=path,
        )


def _read_header(blob: bytes) -> dict[int, str]:
    """Return the tags that are wanted: an index of entries of 16 bytes, then the data that they point to."""
    try:
        count, _ = struct.unpack_from(">II", blob)
        if count > _MAX_TAGS:
            raise ValueError(f"a package has {count:,} tags")
        entries = struct.iter_unpack(">IIII", blob[8 : 8 + 16 * count])
        data = 8 + 16 * count
        return {tag: _value(blob, kind, data + at) for tag, kind, at, _ in entries if tag in _WANTED}
    except struct.error as error:
        raise ValueError("a package's header breaks off") from error


def _value(blob: bytes, kind: int, at: int) -> str:
    if kind == _INT32:
        return str(struct.unpack_from(">I", blob, at)[0])
    if kind != _STRING:
        return ""
    end = blob.find(b"\0", at, at + _LONGEST)
    if end < 0:
        raise ValueError("a package's header has an endless word")
    return blob[at:end].decode(errors="replace")
