"""Sending an archive in one piece, to a node that nobody finds by its name yet, and that expires by itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from skyport_wf.errors import TemporaryError
from skyport_wf.image.contents import ArchiveDigests
from skyport_wf.publication.attributes import describe_upload
from skyport_wf.records.records import BuildRecord

if TYPE_CHECKING:
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import Node

_log = logging.getLogger(__name__)
EXPIRATION = "2D"
"""How long an upload waits to be registered before the server deletes it: days, to live through a weekend's crash."""


def send(
    shock: ShockClient, build: BuildRecord, open_content: Callable[[], Iterable[bytes]], *, size: int | None
) -> Node:
    """Make the hidden, expiring node with the archive on it.

    open_content: gives the archive's pieces, once for each attempt.
    size: its bytes, None if not known yet.
    """
    _log.info("sending %s to %s", build.name, shock.name)
    return shock.create(
        open_content,
        file_name=file_name(build),
        attributes=describe_upload(build),
        expiration=EXPIRATION,
        size=size,
    )


def check_arrival(shock: ShockClient, node: Node, digests: ArchiveDigests, name: str) -> None:
    """Raise TemporaryError, and delete the node, if the server stored something else than was sent."""
    stored = (node.file.size, node.file.checksum.md5)
    if stored == (digests.size, digests.md5):
        return
    shock.delete(node.id)
    raise TemporaryError(
        f"{name} arrived damaged: {shock.name} stored {stored[0]} bytes with MD5 {stored[1]}, "
        f"sent were {digests.size} with {digests.md5}. Run the command again."
    )


def file_name(build: BuildRecord) -> str:
    """Return what a download of the archive is called."""
    return f"{build.reference.key}.tar.gz"
