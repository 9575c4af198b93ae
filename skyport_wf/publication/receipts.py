"""The receipt and the lock file's entry: both are read off the published node, so they say what Shock holds."""

from collections.abc import Iterable
from typing import Any

from skyport_wf.publication.attributes import NodeAttributes, Publication
from skyport_wf.records.records import DockerRequirement, LockedImage, LockFile, Receipt, ReceiptUse


def make_receipt(
    attributes: NodeAttributes, *, node: str, size: int, md5: str, shock: str, download_url: str, public: bool
) -> Receipt:
    """Return the receipt of the image that a node publishes.

    attributes: as the server has them, not as they were sent.
    node, size, md5: the node's id, and its file's bytes and MD5 as the server computed it.
    shock, download_url: where the node is, and where everyone gets its file.
    The same node makes the same receipt, whoever asks and whenever.
    """
    return Receipt(
        name=attributes.name,
        image_id=attributes.id,
        shock=shock,
        node=node,
        download_url=download_url,
        size=size,
        md5=md5,
        engine=attributes.docker_version,
        thin_on=attributes.thin_on,
        readable_by="everyone" if public else "listed users",
        use=ReceiptUse(
            cwl={"DockerRequirement": _cwl_requirement(attributes, download_url)},
            awe={"Dockerimage": attributes.name},
        ),
        **_known_facts(attributes.skyport_wf),
    )


def _cwl_requirement(attributes: NodeAttributes, download_url: str) -> DockerRequirement:
    """Return what a CWL tool says of the image. A runner loads no thin archive: its engine has to have the image."""
    if attributes.thin_on:
        return DockerRequirement(attributes.id)
    return DockerRequirement(attributes.id, download_url)


def _known_facts(known: Publication | None) -> dict[str, Any]:
    """Return what only a node that this package made can tell."""
    if known is None:
        return {}
    return {
        "archive_sha256": known.archive.archive_sha256,
        "canonical": known.archive.canonical,
        "base": known.base,
        "layers": known.layers,
        "source": known.source,
        "source_digest": known.source_digest,
        "dockerfile_digest": known.dockerfile_digest,
        "context_digest": known.context_digest,
        "script": known.script,
        "container": known.container,
        "dockerfile_url": known.dockerfile_url,
        "git": known.git,
        "engine_image_id": known.engine_image_id,
        "registered": known.registered,
    }


def lock_image(receipt: Receipt) -> LockedImage:
    """Return the lock file's entry for a published image."""
    return LockedImage(
        image_id=receipt.image_id,
        shock=receipt.shock,
        node=receipt.node,
        size=receipt.size,
        md5=receipt.md5,
        archive_sha256=receipt.archive_sha256,
        source_digest=receipt.source_digest,
    )


def merge_into_lock(lock: LockFile | None, receipts: Iterable[Receipt]) -> LockFile:
    """Return the lock file with the entries of `receipts` put in, or in the place of older ones."""
    entries = dict(lock.images) if lock else {}
    entries |= {receipt.name: lock_image(receipt) for receipt in receipts}
    return LockFile(dict(sorted(entries.items())))
