"""Python distributions: the metadata that pip, conda, Debian and setuptools leave in `site-packages`, `dist-packages`.

Eggs are read that are folders, not those that are one zipped file. Wheels that are packed away, and packages that a
program has copied into itself (`_vendor`), are not installed and do not count. Neither do the folders that pip leaves
of what it removes if it is interrupted: `~umpy-1.26.0.dist-info`, or `-umpy`; no name of a distribution begins so.
"""

import re
from collections.abc import Iterator

from skyport_wf.image.examination.packages.control import read_paragraphs
from skyport_wf.image.examination.packages.package import Package, make_own_package

PATHS = re.compile(
    rb"(?:.*/)?(?:site|dist)-packages/\w[^/]*\.(?:dist-info/METADATA|egg-info(?:/PKG-INFO)?|egg/EGG-INFO/PKG-INFO)"
)


def read_packages(path: str, content: bytes) -> Iterator[Package | None]:
    """Yield the distribution that the metadata describe."""
    fields = next(read_paragraphs(content, ("Name", "Version")))
    yield make_own_package("pypi", fields.get("Name", ""), fields.get("Version", ""), found_in=path)
