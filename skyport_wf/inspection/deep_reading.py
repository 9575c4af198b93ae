"""Reading the file of a published image, every byte of it, and comparing it with all that is said of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from skyport_wf.byte_streams import PIECE, ByteStream, stream_name
from skyport_wf.errors import AlteredError, ArchiveError, ShockError, TemporaryError
from skyport_wf.image.contents import Layer
from skyport_wf.progress import Progress
from skyport_wf.publication.attributes import NodeAttributes, read_attributes
from skyport_wf.publication.thin import id_of, name_of, same_image
from skyport_wf.transfer.download import BrokenOffError, open_download
from skyport_wf.transfer.thin_chain import open_whole, read_chain

if TYPE_CHECKING:
    from skyport_wf.records.receipt import LockedImage
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import Node

_CLOSED = (401, 403)
"""The HTTP status of what this user may not read."""


def read_deeply(shock: ShockClient, node: Node, locked: LockedImage | None, progress: Progress) -> Iterator[str]:
    """Yield what is wrong with the file of a node, in words; nothing if all of it is right.

    locked: the lock file's entry of the image, if there is one.
    progress: called with the bytes of each piece that arrives. The file is neither stored nor held in memory.
    Raises TemporaryError if the connection breaks off, AlteredError if the file does not come as it is.
    """
    from skyport_wf.shock.connection import ShockRefusalError

    advice = f"Retire it (skyport-wf retire {name_of(node)}) and publish it again"
    try:
        image_id, packed, plain = _read_twice(shock, node, progress)
    except BrokenOffError as error:
        yield (
            f"{str(error).removesuffix(' Try again.')} It broke off there twice: the rest is lost on the server, or "
            "something in front of it cuts it off"
        )
        return
    except AlteredError:
        # The next one would hear the same.
        raise
    except (ArchiveError, ShockError) as error:
        # What may not be read need not be damaged.
        closed = isinstance(error, ShockRefusalError) and error.status in _CLOSED
        yield str(error) if closed else f"{str(error).rstrip('.')}. {advice}"
        return
    attributes = read_attributes(node.attributes)
    known = attributes.skyport_wf.archive if attributes and attributes.skyport_wf else None
    told = [("its node", "image id", image_id, id_of(node))]
    if known:
        told += [
            ("its node", "SHA-256", packed, known.sha256),
            ("its node", "uncompressed SHA-256", plain, known.archive_sha256),
        ]
    if locked:
        told += [
            ("the lock file", "image id", image_id, locked.image_id),
            ("the lock file", "uncompressed SHA-256", plain, locked.archive_sha256 or ""),
        ]
    # Copied by an older version, or made by another tool, a node does not tell all of them.
    wrong = [
        f"the {what} of its file is {found}, {who} says {expected}"
        for who, what, found, expected in told
        if expected and not same_image(found, expected)
    ]
    if wrong:
        yield f"{'; '.join(wrong)}. {advice}"


def _read_twice(shock: ShockClient, node: Node, progress: Progress) -> tuple[str, str, str]:
    """Return what `_read` does, read once more if the server ends the file too early.

    Raises BrokenOffError if it does so at the same byte again, though it answers for the rest.
    """
    try:
        return _read(shock, node, progress)
    except BrokenOffError as error:
        if not error.is_cut:
            raise TemporaryError(str(error)) from error
        before = str(error)
    try:
        return _read(shock, node, progress)
    except BrokenOffError as error:
        if str(error) != before or shock.find(node.id) is None:
            raise TemporaryError(str(error)) from error
        raise


def _base_layers(attributes: NodeAttributes | None) -> list[Layer] | None:
    """Return the layers that the archive lacks; None if the node of a thin image does not tell."""
    base = attributes.thin_on if attributes else None
    if base is None:
        return []
    return None if base.layers is None else [Layer(diff_id, 0, "") for diff_id in base.layers]


def _read(shock: ShockClient, node: Node, progress: Progress) -> tuple[str, str, str]:
    """Return the id of the image in the file, and the SHA-256 of the file as it is and uncompressed."""
    from skyport_wf.image.archive.reader import ArchiveReader, inspect_archive
    from skyport_wf.image.archive.stream import ArchiveStream

    base = _base_layers(read_attributes(node.attributes))
    with open_download(shock, node, name_of(node), progress) as download:
        packed = _Hashed(download)
        plain = _Hashed(ArchiveStream(packed, name=f"the file of {name_of(node)} (node {node.id})"))
        archive = ArchiveReader(plain)
        for _ in archive.layers():
            pass
        image_id = archive.image(base=base).contents.image_id if base is not None else ""
        # The end of the file comes after that of the archive, and with it the comparison of its MD5.
        for stream in (plain, packed):
            while stream.read(PIECE):
                pass
    if base is None:
        with open_whole(shock, read_chain(shock, node), progress) as whole:
            image_id = inspect_archive(whole).image_id
    return image_id, packed.digest, plain.digest


class _Hashed:
    """A stream whose SHA-256 is known when it has been read."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._sha256 = hashlib.sha256()
        self.name = stream_name(stream)

    def read(self, size: int, /) -> bytes:
        piece = self._stream.read(size)
        self._sha256.update(piece)
        return piece

    @property
    def digest(self) -> str:
        """`sha256:` and what has been read so far."""
        return f"sha256:{self._sha256.hexdigest()}"
