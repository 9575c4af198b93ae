"""Debian packages: dpkg's status file; for distroless images, a file for each package."""

import re
from collections.abc import Iterator

from skyport_wf.image.examination.packages.control import read_paragraphs
from skyport_wf.image.examination.packages.package import Package, make_package

PATHS = re.compile(rb"var/lib/dpkg/(status|status\.d/[^/]+)")
_FIELDS = ("Package", "Version", "Architecture", "Source", "Status")
_NOT_THERE = frozenset({"config-files", "not-installed"})
"""The third word of `Status` for packages of which no program is left."""


def read_packages(path: str, content: bytes) -> Iterator[Package | None]:
    """Yield the packages that are installed, half-installed ones too."""
    for fields in read_paragraphs(content, _FIELDS):
        if fields.get("Status", "").rpartition(" ")[2] in _NOT_THERE:
            continue
        yield make_package(
            "deb",
            fields.get("Package", ""),
            fields.get("Version", ""),
            architecture=fields.get("Architecture", ""),
            # The source's version, in brackets, is there if it differs.
            source=fields.get("Source", "").partition(" ")[0],
            found_in=path,
        )
