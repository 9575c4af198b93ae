"""Getting an archive onto a node that nobody finds by its name yet, and that expires by itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from skyport_wf.errors import ShockError, TemporaryError
from skyport_wf.image.contents import ArchiveDigests
from skyport_wf.publication.attributes import UPLOAD_EXPIRATION, describe_upload
from skyport_wf.records.records import BuildRecord
from skyport_wf.transfer.earlier import holds

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import Node

_log = logging.getLogger(__name__)
_CANDIDATES = 3
"""Nodes with the same bytes that are tried as a source."""


def send(shock: Shock, build: BuildRecord, open_content: Callable[[], Iterable[bytes]], *, size: int | None) -> Node:
    """Make the hidden, expiring node with the archive on it.

    open_content: gives the archive's pieces, once for each attempt.
    size: its bytes, None if not known yet.
    """
    _log.info("sending %s to %s", build.name, shock.name)
    return shock.user.create(
        open_content,
        file_name=build.file_name,
        attributes=describe_upload(build),
        expiration=UPLOAD_EXPIRATION,
        size=size,
    )


def check_arrival(shock: Shock, node: Node, digests: ArchiveDigests, name: str) -> None:
    """Raise TemporaryError, and delete the node, if the server stored something else than was sent."""
    stored = (node.file.size, node.file.checksum.md5)
    if stored == (digests.size, digests.md5):
        return
    shock.user.drop(node.id)
    raise TemporaryError(
        f"{name} arrived damaged: {shock.name} stored {stored[0]} bytes with MD5 {stored[1]}, "
        f"sent were {digests.size} with {digests.md5}. Run the command again."
    )


def copy_on_server(shock: ShockClient, build: BuildRecord, digests: ArchiveDigests) -> Node | None:
    """Return a new hidden, expiring node with the archive, if some node that we may read has the same bytes.

    None if there is none. Size and MD5 tell: who could make another archive with the MD5 of ours would have had
    to make ours as well; and an AWE worker compares the image's id, a SHA-256, after loading.
    """
    from skyport_wf.shock.connection import ShockRefusalError

    try:
        found = shock.find_by_md5(digests.md5, limit=_CANDIDATES)
    except ShockRefusalError as error:
        _log.debug("%s does not tell which nodes hold a file: %s", shock.name, error)
        return None
    for source in found:
        if not holds(source, digests):
            continue
        try:
            copy = shock.create_copy(
                source.id,
                file_name=build.file_name,
                attributes=describe_upload(build),
                expiration=UPLOAD_EXPIRATION,
            )
        except ShockError as error:
            # Deleted meanwhile, damaged, or another user's, of which a server copies nothing for us.
            _log.debug("node %s cannot be copied: %s", source.id, error)
            continue
        if holds(copy, digests) and copy.expires:
            _log.info("%s has these bytes already (node %s), nothing is sent", shock.name, source.id)
            return copy
        shock.drop(copy.id)
    return None
