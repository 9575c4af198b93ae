"""The one form that an image's archive takes, whatever engine it came from.

`manifest.json`, the config as `DIGEST.json`, then each distinct layer once as `DIGEST.tar`, in order of first use:
the names that skopeo writes too. Loads on Docker 1.10 and later, podman, skopeo and `ctr`. A thin archive is the same
without the files of the layers that only its base has; of those engines, only Docker's loads one. Every byte is fixed
by the image and its name: changing anything here changes the digests of everything that is published again.
"""

import tarfile
from typing import Final

from skyport_wf.image.contents import ImageContents

END: Final = bytes(2 * tarfile.BLOCKSIZE)
"""The end of a tar: two blocks of zeros, and no padding to tape records."""


def config_name(image_id: str) -> str:
    """Return the path of an image's config in its archive."""
    return f"{image_id.removeprefix('sha256:')}.json"


def layer_name(diff_id: str) -> str:
    """Return the path of a layer in a canonical archive."""
    return f"{diff_id.removeprefix('sha256:')}.tar"


def canonical_layer_names(contents: ImageContents) -> tuple[str, ...]:
    """Return the path of each of the image's layers, bottom first."""
    return tuple(layer_name(layer.diff_id) for layer in contents.layers)


def tar_header(name: str, size: int) -> bytes:
    """Return the header of a file: no time, no owner, mode 0644, USTAR wherever that can say it."""
    header = tarfile.TarInfo(name)
    header.size, header.mode = size, 0o644
    try:
        return header.tobuf(tarfile.USTAR_FORMAT)
    except ValueError:  # 8 GiB or more, or a name of more than 100 characters that has no fitting `/`
        return header.tobuf(tarfile.GNU_FORMAT)


def padding(size: int) -> bytes:
    """Return the zeros that fill the last block of a file."""
    return bytes(-size % tarfile.BLOCKSIZE)


def tar_file(name: str, data: bytes) -> bytes:
    """Return a whole member: header, data, padding."""
    return tar_header(name, len(data)) + data + padding(len(data))
