"""The last step: the upload becomes the image of its name, and proves to be what an AWE worker gets.

Every part of it can be repeated. The order matters for what a crash leaves: until the very end the node
expires, so a registration that is never finished undoes itself. Publishers of one name take turns (claim.py):
nothing here happens twice at a time.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.attributes import (
    NodeAttributes,
    describe_image,
    describe_upload,
    read_attributes,
    to_json_values,
)
from skyport_wf.awe import AweLookupError
from skyport_wf.errors import ShockError, SkyportError
from skyport_wf.receipts import make_receipt
from skyport_wf.records import BuildRecord, Receipt, UploadRecord
from skyport_wf.steps.claim import Claim, claim_name
from skyport_wf.steps.connect import download_base, open_shock, shock_url
from skyport_wf.steps.resolve import resolve
from skyport_wf.steps.retire import retire_node
from skyport_wf.steps.standing import PublishedNode, check_ownership, find_published, judge

if TYPE_CHECKING:
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import Node

_log = logging.getLogger(__name__)


def register(record: UploadRecord) -> Receipt:
    """Publish the uploaded image and return its receipt, read off the node.

    Raises AlreadyPublishedError if another image or another user has the name, ShockError if an AWE
    worker would not get the image.
    """
    build = record.build
    _check_same_shock(record)
    shock = open_shock(build.shock)
    with claim_name(shock, build.name, public=build.shock.public) as claim:
        node_id = _take_name(shock, record, claim)
        try:
            chosen = _resolve_as_worker(build, node_id)
        except ShockError:
            if node_id == record.node:
                _step_back(shock, record)
            raise
        claim.renew()
        return _finish(shock, build, chosen)


def _check_same_shock(record: UploadRecord) -> None:
    url = shock_url(record.build.shock)
    if url != record.url:
        raise SkyportError(
            f"{record.build.name} was uploaded to {record.url}, but SHOCK_URL or the image list now says {url}. "
            "Upload it there first."
        )


def _take_name(shock: ShockClient, record: UploadRecord, claim: Claim) -> str:
    """Make the upload the image of its name, unless another node holds the very image; return the node's id."""
    build = record.build
    standing = judge(
        build.name, find_published(shock, build.name), source_digest=build.source.digest,
        image_id=record.saved.contents.image_id if record.saved else None, replace=build.replace,
    )  # fmt: skip
    for other in standing.others:
        # Before anything is changed: two nodes of the name, one of which we may not touch, would be worse than none.
        check_ownership(shock, other.id, build.name)
    claim.renew()
    if standing.same:
        _adopt(shock, build, standing.same)
        if standing.same.id != record.node:
            _drop_upload(shock, record.node)
    else:
        _publish(shock, record)
    for other in standing.others:
        claim.renew()
        retire_node(shock, other, build.name)
    return standing.same.id if standing.same else record.node


def _publish(shock: ShockClient, record: UploadRecord) -> None:
    node = shock.find(record.node)
    if node is None or record.saved is None:
        raise SkyportError(
            f"{record.build.name}: the upload {record.node} is no longer on {shock.name}; uploads that are not "
            "registered expire. Run `skyport-wf upload` again (with Snakemake: remove its upload.json)."
        )
    _set_public(shock, record.build, node.id)
    registered = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    attributes = describe_image(record.build, record.saved, registered=registered)
    shock.replace_attributes(node.id, to_json_values(attributes))


def _adopt(shock: ShockClient, build: BuildRecord, node: PublishedNode) -> None:
    """Take a node that holds the image already as ours, and note what the image is made from now."""
    check_ownership(shock, node.id, build.name)
    _set_public(shock, build, node.id)
    known = node.attributes.skyport_wf
    if known is None or known.source_digest == build.source.digest:
        return
    source = build.source
    now = msgspec.structs.replace(
        known, source=source.kind, source_digest=source.digest, description=build.description,
        dockerfile_digest=source.dockerfile_digest, context_digest=source.context_digest,
        script=source.script, container=source.container,
    )  # fmt: skip
    attributes = msgspec.structs.replace(node.attributes, dockerfile=source.dockerfile, skyport_wf=now)
    shock.replace_attributes(node.id, to_json_values(attributes))


def _set_public(shock: ShockClient, build: BuildRecord, node_id: str) -> None:
    """Let those read the node who are meant to."""
    access = shock.read_access(node_id)
    if access.public.read == build.shock.public:
        return
    if access.owner == "public":
        # Nobody owns what was uploaded without a token, so nobody can close it (and Shock answers 401).
        raise SkyportError(
            f"{build.name} cannot be private: it was uploaded without a token. Set {build.shock.token_env}."
        )
    shock.set_public(node_id, build.shock.public)


def _resolve_as_worker(build: BuildRecord, node_id: str) -> Node:
    """Return the node that an AWE worker gets for the name. Raises ShockError if it is not the one of this id."""
    worker = open_shock(build.shock, anonymous=build.shock.public)
    try:
        chosen = resolve(worker, build.name)
    except AweLookupError as error:
        raise ShockError(f"{build.name} is on node {node_id}, but {error}") from error
    if chosen.id != node_id:
        raise ShockError(f"{build.name} is on node {node_id}, but an AWE worker gets node {chosen.id}")
    return chosen


def _step_back(shock: ShockClient, record: UploadRecord) -> None:
    """Take the name off our own upload again: with two nodes of that name, AWE would have none.

    Some other tool has published the name at this moment, one that knows nothing of claims; or an older node
    of the name stays finished as it is.
    """
    node = shock.find(record.node)
    if node and node.expires:
        shock.replace_attributes(node.id, describe_upload(record.build))


def _drop_upload(shock: ShockClient, node_id: str) -> None:
    """Delete an upload that turned out not to be needed; one that cannot be deleted expires."""
    try:
        shock.delete(node_id)
    except ShockError as error:
        _log.info("the upload %s is not needed and stays until it expires: %s", node_id, error)


def _finish(shock: ShockClient, build: BuildRecord, chosen: Node) -> Receipt:
    """Take the node's expiration off, and return the receipt."""
    node = shock.keep(chosen.id) if chosen.expires else chosen
    attributes = read_attributes(node.attributes)
    if attributes is None:
        raise ShockError(f"node {node.id} has lost its attributes")
    return receipt_of(shock, build, node.id, attributes)


def receipt_of(shock: ShockClient, build: BuildRecord, node_id: str, attributes: NodeAttributes) -> Receipt:
    """Return the receipt of the published node, with what the server says of its file and its readers."""
    node = shock.find(node_id)
    if node is None:
        raise ShockError(f"node {node_id} of {build.name} vanished from {shock.name}")
    return make_receipt(
        attributes,
        node=node.id,
        size=node.file.size,
        md5=node.file.checksum.md5,
        shock=shock_url(build.shock),
        download_url=f"{download_base(build.shock)}/node/{node.id}?download",
        public=shock.read_access(node.id).public.read,
    )
