"""Archives that images come from, as far as a workflow has to know them."""

import os
from contextlib import suppress
from pathlib import Path

from skyport_wf.cache import cache_folder
from skyport_wf.errors import SkyportError


def digest_archive(archive: Path, images: Path) -> str:
    """Return the SHA-256 of what decides which image is in an archive, in hexadecimal digits.

    Of a file, that is all of it; of an OCI layout its index, which names the rest by digests.
    images: the image list that names it.
    Empty for what is not there, cannot be read, or can be read only once: the step that needs it says so.
    """
    from skyport_wf.image.archive.folder import INDEX
    from skyport_wf.image.file_digests import digest_file

    file = archive / INDEX if os.path.isdir(archive) else archive  # noqa: PTH112 - Path raises for names too long
    memory = None
    # Without a cache, large archives take longer.
    with suppress(SkyportError):
        memory = cache_folder("digests")
    with suppress(OSError):
        if os.path.isfile(file):  # noqa: PTH113 - as above
            return digest_file(file, of=images, memory=memory)
    return ""
