"""R packages: the DESCRIPTION in each package's folder of a library."""

import re
from collections.abc import Iterator

from skyport_wf.image.examination.packages.control import read_paragraphs
from skyport_wf.image.examination.packages.package import Package, PackageKind, make_package

PATHS = re.compile(rb"(?!(?:.*/)?00LOCK)(?:.*/)?[^/]+/DESCRIPTION")
"""But for what is below `00LOCK` or `00LOCK-NAME`, where R puts a package until it is installed."""
_FIELDS = ("Package", "Version", "Built", "biocViews", "Repository")


def read_packages(path: str, content: bytes) -> Iterator[Package | None]:
    """Yield the package, if it is one that was installed: sources, and other programs, have such files too.

    Only `R CMD INSTALL` writes the field `Built`.
    """
    fields = next(read_paragraphs(content, _FIELDS))
    if "Built" in fields:
        # Packages of CRAN have it without a value, so that what they need of Bioconductor is installed.
        of_bioconductor = fields.get("biocViews") and fields.get("Repository") != "CRAN"
        kind: PackageKind = "bioconductor" if of_bioconductor else "cran"
        yield make_package(kind, fields.get("Package", ""), fields.get("Version", ""), found_in=path)


def is_installed(package: Package, path: str) -> bool:
    """Return whether R finds the package that this file describes: its folder, or a link to that, has its name."""
    return not is_of_r(package) or path.split("/")[-2:-1] == [package.name]


def is_of_r(package: Package) -> bool:
    """Return whether the package is one of R."""
    return package.kind in ("cran", "bioconductor")
