"""Conda packages: the JSON file of each package in an environment's `conda-meta`."""

import codecs
import re
from collections.abc import Iterator

import msgspec

from skyport_wf.decoding import decode_json
from skyport_wf.image.examination.packages.package import Package, make_package

NAME = rb"[^/]+-[0-9][^/-]*-[^/-]+"
"""Name, version and build of a package, as its files and folders are called."""
NOT_CACHED = rb"(?!(?:.*/)?pkgs/(?:.*/)?%b(?<!-info)(?<!\.egg)/)" % NAME
"""Nothing below conda's cache of packages, which is not what is installed. Other folders may be called `pkgs`, too, and
metadata of Python's have names of that form."""
_TOKEN = re.compile(r"/t/[^/]+")
"""The token in a channel's address, where servers such as anaconda.org take one."""
PATHS = re.compile(rb"(?:.*/)?conda-meta/[^/]+\.json")


class _CondaPackage(msgspec.Struct):
    name: str
    version: str
    build: str | None = None
    subdir: str | None = None
    channel: str | None = None


def read_packages(path: str, content: bytes) -> Iterator[Package | None]:
    """Yield the package, its version followed by `=` and the build; its source is the last part of its channel.

    Raises ValueError for something else.
    """
    package = decode_json(content.removeprefix(codecs.BOM_UTF8), _CondaPackage)
    version = f"{package.version}={package.build}" if package.build else package.version
    subdir = package.subdir or ""
    channel = (package.channel or "").rstrip("/").removesuffix(f"/{subdir}")
    yield make_package("conda", package.name, version, architecture=subdir, source=_last_part(channel), found_in=path)


def _last_part(channel: str) -> str:
    """Return the last part of a channel's name or address: its host, if there is no path. No secret is in it."""
    # A password ends at the last `@`, whatever is in it.
    address = channel.rpartition("@")[2]
    return _TOKEN.sub("", address).rstrip("/").rpartition("/")[2]
