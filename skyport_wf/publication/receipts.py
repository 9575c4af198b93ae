"""The receipt of a published image: read off its node, so that it says what Shock holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from skyport_wf.errors import ShockError
from skyport_wf.image_list.reference import pull_name
from skyport_wf.publication.attributes import NodeAttributes, read_attributes
from skyport_wf.publication.manifest import told_manifest
from skyport_wf.records.receipt import DockerRequirement, PullRequirement, Receipt, ReceiptUse
from skyport_wf.shock.node import download_url

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock
    from skyport_wf.shock.node import Node


def receipt_of(shock: Shock, node: Node, *, public: bool | None = None) -> Receipt:
    """Return the receipt of the published image on a node: the same whoever asks.

    public: whether everyone may read the node; asked for if None.
    Raises ShockError if its attributes make no sense.
    """
    attributes = read_attributes(node.attributes)
    if attributes is None:
        raise ShockError(f"node {node.id} has lost its attributes")
    return make_receipt(
        attributes,
        node=node.id,
        size=node.file.size,
        md5=node.file.checksum.md5,
        shock=shock.url,
        download_url=download_url(shock.download_base, node.id),
        public=shock.everyone_reads(node.id) if public is None else public,
        registry=shock.registry,
    )


def make_receipt(
    attributes: NodeAttributes,
    *,
    node: str,
    size: int,
    md5: str,
    shock: str,
    download_url: str,
    public: bool,
    registry: str = "",
) -> Receipt:
    """Return the receipt of the image that a node publishes.

    attributes: as the server has them, not as they were sent.
    node, size, md5: the node's id, and its file's bytes and MD5 as the server computed it.
    shock, download_url: where the node is, and where everyone gets its file.
    registry: HOST or HOST:PORT from which the image can be pulled; empty if none is configured.
    The same node makes the same receipt, whoever asks and whenever.
    """
    known, manifest = attributes.skyport_wf, told_manifest(attributes)
    oci = pull_name(registry, attributes.name, manifest.digest if manifest else "") if registry else msgspec.UNSET
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
            # Not beside the other: where both stand, runners pull, and fail where the registry is out of reach.
            cwl_pull={"DockerRequirement": PullRequirement(oci)} if oci else msgspec.UNSET,
            oci=oci,
        ),
        manifest_digest=manifest.digest if manifest else msgspec.UNSET,
        # Only a node that this package made can tell the rest.
        archive_sha256=known.archive.archive_sha256 if known else None,
        canonical=known.archive.canonical if known else None,
        base=known.base if known else None,
        layers=known.layers if known else None,
        stored_layers=(known.archive.layers if known else ()) or None,
        source=known.source if known else None,
        engine_image_id=known.engine_image_id if known else None,
        registered=known.registered if known else None,
    )


def _cwl_requirement(attributes: NodeAttributes, download_url: str) -> DockerRequirement:
    """Return what a CWL tool says of the image."""
    # By its name: Docker with containerd's image store does not know an image by its config digest. cwltool would load
    # the archive for each job, and then find no image.
    if attributes.thin_on:
        # A runner loads no thin archive: its engine has to have the image.
        return DockerRequirement(attributes.name)
    known = attributes.skyport_wf
    # The name that loading the archive gives, which is what the runner looks for then.
    return DockerRequirement((known and known.archive_name) or attributes.name, download_url)
