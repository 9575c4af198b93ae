"""R packages: the DESCRIPTION in each package's folder of a library."""

import re
from collections.abc import Iterator, Mapping

from skyport_wf.image.examination.packages.control import read_paragraphs
from skyport_wf.image.examination.packages.package import Package, PackageKind, make_own_package

PATHS = re.compile(rb"(?!(?:.*/)?00LOCK)(?:.*/)?[^/]+/DESCRIPTION")
"""But for what is below `00LOCK` or `00LOCK-NAME`, where R puts a package until it is installed."""
_FIELDS = ("Package", "Version", "Built", "biocViews", "Repository", "git_url")


def read_packages(path: str, content: bytes) -> Iterator[Package | None]:
    """Yield the package, if it is one that was installed: sources, and other programs, have such files too.

    Only `R CMD INSTALL` writes the field `Built`.
    """
    fields = next(read_paragraphs(content, _FIELDS))
    if "Built" in fields:
        kind: PackageKind = "bioconductor" if _is_of_bioconductor(fields) else "cran"
        yield make_own_package(kind, fields.get("Package", ""), fields.get("Version", ""), found_in=path)


def _is_of_bioconductor(fields: Mapping[str, str]) -> bool:
    repository = fields.get("Repository", "")
    # That of CRAN has many names: `CRAN`, `RSPM` of Posit, a mirror's address.
    if "bioc" in repository.lower() or "bioconductor.org" in fields.get("git_url", ""):
        return True
    # Packages of CRAN may have it, too, mostly without a value, so that what they need of Bioconductor is installed.
    return not repository and bool(fields.get("biocViews"))


def is_installed(package: Package, path: str) -> bool:
    """Return whether R finds the package that this file describes: its folder, or a link to that, has its name."""
    return not is_of_r(package) or path.split("/")[-2:-1] == [package.name]


def is_of_r(package: Package) -> bool:
    """Return whether the package is one of R."""
    return package.kind in ("cran", "bioconductor")
