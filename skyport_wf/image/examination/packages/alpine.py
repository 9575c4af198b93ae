"""Alpine packages: apk's database, one-letter fields in paragraphs."""

import re
from collections.abc import Iterator

from skyport_wf.image.examination.packages.control import read_paragraphs
from skyport_wf.image.examination.packages.package import Package, make_package

PATHS = re.compile(rb"(usr/)?lib/apk/db/installed")
_FIELDS = ("P", "V", "A", "o")


def read_packages(path: str, content: bytes) -> Iterator[Package | None]:
    """Yield the packages that are installed."""
    for fields in read_paragraphs(content, _FIELDS):
        yield make_package(
            "apk",
            fields.get("P", ""),
            fields.get("V", ""),
            architecture=fields.get("A", ""),
            source=fields.get("o", ""),
            found_in=path,
        )
