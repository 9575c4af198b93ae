"""Members of the outer tar of a docker archive, whose names must not lead out of it."""

import posixpath
import tarfile
from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from skyport_wf.image.tar.reader import TarPolicy, TarReader
from skyport_wf.image.tar.sparse import SPARSE

MAX_HEADERS: Final = 10_000
"""An image has at most 127 layers, and no engine writes more than five headers for each."""
MAX_NAME: Final = 512
"""Characters of a member's name: engines use 140 at most, and all names are kept in memory."""

POLICY: Final = TarPolicy(
    advice="Save the image again.",
    not_a_tar=(
        "is not a tar, so it is not a docker archive", "Write it with `docker save REPO:TAG -o FILE`."
    ),
    max_headers=MAX_HEADERS,
    max_trailing=64 << 20,
)  # fmt: skip
_NO_ARCHIVE: Final = "It is not a docker archive."


class Member(msgspec.Struct, frozen=True):
    """A member of the outer tar."""

    name: str
    """Relative, without `.` and `..`."""
    kind: Literal["file", "folder", "link"]
    """`link` is a hard or a symbolic one: both stand for the file that they name."""
    size: int
    """Bytes of its data; 0 unless it is a file."""
    target: str
    """Where a link leads, from the root of the archive; empty for others."""


def read_members(tar: TarReader) -> Iterator[Member]:
    """Yield each member of the archive; its data can be read from `tar` meanwhile.

    Raises ArchiveError for members that no docker archive has.
    """
    for member in tar:
        if member.type == tarfile.XGLTYPE:
            continue
        name = _inside(tar, member.name)
        if any(key.startswith(SPARSE) for key in member.records):
            raise tar.error(f"stores {name!r} sparsely, which docker cannot load")
        if member.type in (tarfile.REGTYPE, tarfile.CONTTYPE):
            yield Member(name, "file", member.size, "")
        elif member.type == tarfile.DIRTYPE:
            yield Member(name, "folder", 0, "")
        elif member.type == tarfile.SYMTYPE:
            # As the engine unpacks the archive into a folder of its own, the root of an absolute name is there.
            folder = b"" if member.target.startswith(b"/") else posixpath.dirname(name).encode() + b"/"
            yield Member(name, "link", 0, _inside(tar, folder + member.target))
        elif member.type == tarfile.LNKTYPE:
            yield Member(name, "link", 0, _inside(tar, member.target))
        else:
            raise tar.error(f"holds {name!r}, which is neither file, folder nor link", _NO_ARCHIVE)
    if not tar.headers:
        raise tar.error("is empty")


def _inside(tar: TarReader, name: bytes) -> str:
    """Return the path without detours, which must not leave the archive."""
    try:
        path = posixpath.normpath(name.decode().lstrip("/"))
    except UnicodeDecodeError as error:
        raise tar.error("has a member whose name is not UTF-8", _NO_ARCHIVE) from error
    if path == ".." or path.startswith("../"):
        shown = name[:MAX_NAME].rstrip(b"/").decode()
        raise tar.error(f"names {shown!r}, a path outside of it", "Do not use it.")
    if len(path) > MAX_NAME:
        raise tar.error(f"has a member whose name has {len(path):,} characters", _NO_ARCHIVE)
    return path
