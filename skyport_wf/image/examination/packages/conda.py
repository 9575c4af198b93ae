"""Conda packages: the JSON file of each package in an environment's `conda-meta`."""

import codecs
import re
from collections.abc import Iterator

import msgspec

from skyport_wf.decoding import decode_json
from skyport_wf.image.examination.packages.package import Package, make_own_package

NAME = rb"[^/]+-[0-9][^/-]*-[^/-]+"
"""Name, version and build of a package, as its files and folders are called."""
_FOLDER = re.compile(rb"/%b(?<!-info)(?<!\.egg)(?=/)" % NAME)
"""Metadata of Python's have names of that form, too."""
IN_CACHE = (b"info/index.json", b"info/repodata_record.json")
"""Files of which conda's cache has one in the folder of each package."""
_TOKEN = re.compile(r"(?:^|/)t/[^/]+")
"""The token in a channel's address, where servers such as anaconda.org take one."""
PATHS = re.compile(rb"(?:.*/)?conda-meta/[^/]+\.json")


class _CondaPackage(msgspec.Struct):
    name: str
    version: str
    build: str | None = None
    subdir: str | None = None
    channel: str | None = None


def read_packages(path: str, content: bytes) -> Iterator[Package | None]:
    """Yield the package, its version followed by `=` and the build; its source is its channel's name.

    Raises ValueError for something else.
    """
    package = decode_json(content.removeprefix(codecs.BOM_UTF8), _CondaPackage)
    version = f"{package.version}={package.build}" if package.build else package.version
    subdir = package.subdir or ""
    channel = _channel_name((package.channel or "").rstrip("/").removesuffix(f"/{subdir}"))
    yield make_own_package("conda", package.name, version, architecture=subdir, source=channel, found_in=path)


def folders_like_cached(path: bytes) -> Iterator[bytes]:
    """Yield the folders above a path that may be those of packages in conda's cache, which are not installed.

    Other folders may be called `pkgs`, too: those of conda have one of `IN_CACHE`.
    """
    start = (b"/" + path).find(b"/pkgs/")
    if start >= 0:
        yield from (path[: found.end()] for found in _FOLDER.finditer(path, start + len(b"pkgs")))


def _channel_name(channel: str) -> str:
    """Return a channel's name as conda takes it, by its name or address: its host, if there is no path.

    It is the last part, such as `bioconda`; or `nvidia/label/cuda-12.1.1`, or `pkgs/main`, of which the last part alone
    is no channel, or another. No secret is in it.
    """
    # A password ends at the last `@`, whatever is in it.
    address = channel.rpartition("@")[2]
    parts = _TOKEN.sub("", address).rstrip("/").rsplit("/", 3)
    match parts:
        case [*_, labelled, "label", label] if labelled:
            # With this one, the server gives what it gives of the channel itself.
            return labelled if label == "main" else f"{labelled}/label/{label}"
        case [*_, "pkgs", name]:
            return f"pkgs/{name}"
    return parts[-1]
