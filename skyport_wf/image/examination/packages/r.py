"""R packages: the DESCRIPTION in each package's folder of a library."""

import re
from collections.abc import Iterator

from skyport_wf.image.examination.packages.control import read_paragraphs
from skyport_wf.image.examination.packages.package import Package, PackageKind, make_package

PATHS = re.compile(rb"(?!(?:.*/)?pkgs/)(?:.*/)?[^/]+/DESCRIPTION")
_FIELDS = ("Package", "Version", "Built", "biocViews")


def read_packages(path: str, content: bytes) -> Iterator[Package | None]:
    """Yield the package, if it is one that was installed: sources, and other programs, have such files too.

    Only `R CMD INSTALL` writes the field `Built`, and into a folder of the package's name.
    """
    fields = next(read_paragraphs(content, _FIELDS))
    name = fields.get("Package", "")
    if "Built" in fields and path.split("/")[-2] == name:
        kind: PackageKind = "bioconductor" if "biocViews" in fields else "cran"
        yield make_package(kind, name, fields.get("Version", ""), found_in=path)
