"""The build context as the tar that the engine's own builder takes."""

from __future__ import annotations

import tarfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from skyport_wf.errors import SkyportError
from skyport_wf.image.context import IGNORE_FILE, BuildContext, ignore_file, list_context

if TYPE_CHECKING:
    from _typeshed import SupportsWrite


def write_context(context: BuildContext, target: SupportsWrite[bytes]) -> None:
    """Write the context to `target`. Everything belongs to root in it, as with the docker command.

    target: an OutputFile, or what fails as that does: an OSError is taken for one of the file that is read.
    Raises what list_context raises, and SkyportError, naming the file, for one that cannot be read.
    """
    paths = list_context(context)
    with tarfile.open(fileobj=cast(BinaryIO, target), mode="w|") as tar:
        for path in paths:
            _add(tar, context.root / path, path)
        if context.dockerfile_inside not in paths:
            _add(tar, context.dockerfile.resolve(), context.dockerfile_name)
            # The engine reads these lines too, and takes away what they name before any COPY.
            added = [context.dockerfile_name] if IGNORE_FILE in paths else [context.dockerfile_name, IGNORE_FILE]
            content = ignore_file(context, *added)
            info = tarfile.TarInfo(IGNORE_FILE)
            info.size = len(content)
            tar.addfile(info, BytesIO(content))


def _add(tar: tarfile.TarFile, entry: Path, name: str) -> None:
    try:
        info = tar.gettarinfo(entry, arcname=name)
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        info.mtime = int(info.mtime)
        if not info.isreg():
            tar.addfile(info)
            return
        with entry.open("rb") as file:
            tar.addfile(info, file)
    except OSError as error:
        raise SkyportError(f"cannot read {entry} of the build context: {error.strerror or error}") from error
