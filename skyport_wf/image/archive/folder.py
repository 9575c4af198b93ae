"""An OCI layout in a folder, read as the tar that it would be.

Source: OCI image-spec, image-layout.md.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from skyport_wf.byte_streams import pieces_of
from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive.layout import END, padding, tar_header

INDEX: Final = "index.json"


def read_folder(folder: Path) -> Iterator[bytes]:
    """Yield an uncompressed archive of the layout in a folder.

    Raises ArchiveError if the folder is none, or a file cannot be read.
    """
    if not (folder / INDEX).is_file():
        raise ArchiveError(f"{folder} is a folder, and no OCI layout: it has no {INDEX}. Name an archive.")
    try:
        # Tools of build systems put links to their blobs there. Whoever names the folder may read what they lead to.
        blobs = sorted(path for path in folder.glob("blobs/*/*") if path.is_file())
        for path in (folder / INDEX, *blobs):
            with path.open("rb", buffering=0) as file:
                size = left = os.fstat(file.fileno()).st_size
                yield tar_header(path.relative_to(folder).as_posix(), size)
                for piece in pieces_of(file):
                    yield piece[:left]
                    left = max(0, left - len(piece))
            if left:
                raise ArchiveError(f"{path} became shorter while it was read. Try again.")
            yield padding(size)
        yield END
    except OSError as error:
        raise ArchiveError(f"{error.filename or folder} cannot be read: {error.strerror}. Check the folder.") from error
