"""The beginning of a file, by which an archive of an image is told from somebody's other archives."""

import io
import re
import tarfile
from typing import IO, Final, cast

from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive.compression import recognise_format
from skyport_wf.image.archive.stream import ArchiveStream

_NAMES: Final = re.compile(
    r"(?:\./)?(?:manifest\.json|repositories|index\.json|oci-layout|blobs(?:/.*)?|(?:sha256:)?[0-9a-f]{64}(?:[./].*)?)",
    re.DOTALL,
)
"""Names that engines, and this package, give to the first member of an archive."""


def begins_like_image(head: bytes) -> bool:
    """Return whether a file that begins so may be an archive of an image, compressed or not.

    Its first member is called as in those, or is a layer: a tar itself, as it is or compressed.
    """
    try:
        stream = cast(IO[bytes], ArchiveStream(io.BytesIO(head), name="the archive"))
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            first = archive.next()
            if first is None:
                return False
            content = archive.extractfile(first) if first.isfile() else None
            start = content.read(tarfile.BLOCKSIZE) if content else b""
    except (tarfile.TarError, ArchiveError, EOFError, OSError):
        return False
    return bool(_NAMES.fullmatch(first.name)) or recognise_format(start) not in ("", "json")
