"""Having the server copy an archive that it holds already, instead of sending it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from skyport_wf.image.contents import ArchiveDigests
from skyport_wf.publication.attributes import describe_upload
from skyport_wf.records.records import BuildRecord

if TYPE_CHECKING:
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import Node

_log = logging.getLogger(__name__)
_CANDIDATES = 3


def copy_on_server(
    shock: ShockClient, build: BuildRecord, digests: ArchiveDigests, *, file_name: str, expiration: str
) -> Node | None:
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
        if not _holds(source, digests):
            continue
        try:
            copy = shock.create_copy(
                source.id, file_name=file_name, attributes=describe_upload(build), expiration=expiration
            )
        except ShockRefusalError as error:
            # Deleted meanwhile, or of a kind that cannot be copied.
            _log.debug("node %s cannot be copied: %s", source.id, error)
            continue
        if _holds(copy, digests) and copy.expires:
            _log.info("%s has these bytes already (node %s), nothing is sent", shock.name, source.id)
            return copy
        shock.delete(copy.id)
    return None


def _holds(node: Node, digests: ArchiveDigests) -> bool:
    return node.file.complete and (node.file.size, node.file.checksum.md5) == (digests.size, digests.md5)
