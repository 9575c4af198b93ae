"""A node with an image becomes the one of its name, and proves to be what an AWE worker gets.

Every part of it can be repeated. The order matters for what a crash leaves: until the very end the node
expires, so a registration that is never finished undoes itself. Publishers of one name take turns (claim.py):
nothing here happens twice at a time.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from skyport_wf.errors import ShockError, SkyportError
from skyport_wf.publication.attributes import OWN_KEY, NodeAttributes, read_attributes, to_json_values
from skyport_wf.publication.awe_lookup import AweLookupError
from skyport_wf.publication.claim import Claim, claim_name
from skyport_wf.publication.destination import Destination
from skyport_wf.publication.name_state import PublishedNode, check_ownership, find_published, judge
from skyport_wf.publication.receipts import make_receipt
from skyport_wf.publication.resolve import resolve
from skyport_wf.publication.retire import retire_node
from skyport_wf.publication.thin import check_base, find_thin_on, with_base_id, workers_need
from skyport_wf.records.records import Receipt, Source, ThinBase

if TYPE_CHECKING:
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import Node

_log = logging.getLogger(__name__)


class Candidate(msgspec.Struct, frozen=True):
    """An image that is to have its name."""

    name: str
    """REPO:TAG."""
    node: str
    """The node that it was uploaded to, or that had the image already."""
    image_id: str | None
    """None if nothing was uploaded and the node is known by its source."""
    source_digest: str
    """Tells the image, too; empty if nothing but the id does."""
    thin_on: str
    """The name of the image whose layers its archive leaves out, empty for a whole archive."""
    attributes: dict[str, Any] | None
    """What publishes it, but for the time; None if nothing was uploaded."""
    hidden: dict[str, str]
    """The attributes of an upload that nobody finds."""
    source: Source | None
    """What a node that has the image already is to say that it is made from; None to leave that as it is."""
    description: str
    """Goes with the source."""
    replace: bool
    """Whether another image may lose the name."""
    otherwise: str
    """What to do if it may not."""
    anew: str
    """What to do if the upload is gone."""


def give_name(candidate: Candidate, there: Destination) -> Receipt:
    """Publish the image under its name and return its receipt, read off the node.

    Raises AlreadyPublishedError if another image or another user has the name, ShockError if an AWE
    worker would not get the image, or if what it is thin on is not published.
    """
    with claim_name(there.shock, candidate.name, public=there.public) as claim:
        node_id = _take_name(candidate, there, claim)
        try:
            chosen = _resolve_as_worker(candidate.name, there, node_id)
            thin_on = _check_base_again(candidate.name, there, chosen)
        except ShockError:
            if node_id == candidate.node:
                _step_back(there.shock, candidate)
            raise
        claim.renew()
        receipt = _finish(candidate.name, there, chosen)
    if thin_on:
        _log.warning("%s", workers_need(candidate.name, thin_on.name))
    return receipt


def _take_name(candidate: Candidate, there: Destination, claim: Claim) -> str:
    """Make the upload the image of its name, unless another node holds the very image; return the node's id."""
    name, shock = candidate.name, there.shock
    standing = judge(
        name, find_published(shock, name), source_digest=candidate.source_digest, image_id=candidate.image_id,
        replace=candidate.replace, thin_on=candidate.thin_on, otherwise=candidate.otherwise,
    )  # fmt: skip
    for other in standing.others:
        # Before anything is changed: two nodes of the name, one of which we may not touch, would be worse than none.
        check_ownership(shock, other.id, name)
    thin_on = standing.same.attributes.thin_on if standing.same else _thin_on(candidate)
    base = check_base(there, name, thin_on) if thin_on else None
    claim.renew()
    if standing.same:
        _adopt(candidate, there, standing.same)
        if standing.same.id != candidate.node:
            _drop_upload(shock, candidate.node)
    else:
        _publish(candidate, there, base)
    for other in standing.others:
        claim.renew()
        _say_who_loses_a_base(candidate, there, other)
        retire_node(shock, other, name)
    return standing.same.id if standing.same else candidate.node


def _thin_on(candidate: Candidate) -> ThinBase | None:
    """Return the image whose layers the archive of the upload lacks, None if it lacks none."""
    attributes = read_attributes(candidate.attributes)
    return attributes.thin_on if attributes else None


def _say_who_loses_a_base(candidate: Candidate, there: Destination, node: PublishedNode) -> None:
    """Log which images are thin on one that another takes the name of."""
    same = candidate.image_id == node.attributes.id
    if not same and (names := find_thin_on(there.shock, node)):
        _log.warning("thin on node %s, which was %s: %s. Publish them again", node.id, candidate.name, ", ".join(names))


def _publish(candidate: Candidate, there: Destination, base: PublishedNode | None) -> None:
    node = there.shock.find(candidate.node)
    if node is None or candidate.attributes is None:
        raise SkyportError(
            f"{candidate.name}: the upload {candidate.node} is no longer on {there.shock.name}; uploads that are not "
            f"registered expire. {candidate.anew}"
        )
    _set_public(candidate.name, there, node.id)
    attributes = with_base_id(candidate.attributes, base.attributes.id) if base else candidate.attributes
    there.shock.replace_attributes(node.id, _registered_now(attributes))


def _registered_now(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes with the time; those that another tool wrote have no place for it."""
    if not attributes.get(OWN_KEY):
        return attributes
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {**attributes, OWN_KEY: {**attributes[OWN_KEY], "registered": now}}


def _adopt(candidate: Candidate, there: Destination, node: PublishedNode) -> None:
    """Take a node that holds the image already as ours, and note what the image is made from now."""
    check_ownership(there.shock, node.id, candidate.name)
    _set_public(candidate.name, there, node.id)
    known, source = node.attributes.skyport_wf, candidate.source
    if known is None or source is None or known.source_digest == source.digest:
        return
    now = msgspec.structs.replace(
        known, source=source.kind, source_digest=source.digest, description=candidate.description,
        dockerfile_digest=source.dockerfile_digest, context_digest=source.context_digest,
        script=source.script, container=source.container, dockerfile_url=source.dockerfile_url, git=source.git,
    )  # fmt: skip
    attributes = msgspec.structs.replace(node.attributes, dockerfile=source.dockerfile, skyport_wf=now)
    there.shock.replace_attributes(node.id, to_json_values(attributes))


def _set_public(name: str, there: Destination, node_id: str) -> None:
    """Let those read the node who are meant to."""
    access = there.shock.read_access(node_id)
    if access.public.read == there.public:
        return
    if access.owner == "public":
        # Nobody owns what was uploaded without a token, so nobody can close it (and Shock answers 401).
        raise SkyportError(f"{name} cannot be private: it was uploaded without a token. Set {there.token_from}.")
    there.shock.set_public(node_id, there.public)


def _resolve_as_worker(name: str, there: Destination, node_id: str) -> Node:
    """Return the node that an AWE worker gets for the name. Raises ShockError if it is not the one of this id."""
    try:
        chosen = resolve(there.worker, name)
    except AweLookupError as error:
        raise ShockError(f"{name} is on node {node_id}, but {error}") from error
    if chosen.id != node_id:
        raise ShockError(f"{name} is on node {node_id}, but an AWE worker gets node {chosen.id}")
    return chosen


def _check_base_again(name: str, there: Destination, chosen: Node) -> ThinBase | None:
    """Return what the published image is thin on. Raises ShockError if that was retired meanwhile."""
    attributes = read_attributes(chosen.attributes)
    thin_on = attributes.thin_on if attributes else None
    if thin_on:
        check_base(there, name, thin_on)
    return thin_on


def _step_back(shock: ShockClient, candidate: Candidate) -> None:
    """Take the name off our own upload again: with two nodes of that name, AWE would have none.

    Some other tool has published the name at this moment, one that knows nothing of claims; or an older node
    of the name stays finished as it is.
    """
    node = shock.find(candidate.node)
    if node and node.expires:
        shock.replace_attributes(node.id, candidate.hidden)


def _drop_upload(shock: ShockClient, node_id: str) -> None:
    """Delete an upload that turned out not to be needed; one that cannot be deleted expires."""
    try:
        shock.delete(node_id)
    except ShockError as error:
        _log.info("the upload %s is not needed and stays until it expires: %s", node_id, error)


def _finish(name: str, there: Destination, chosen: Node) -> Receipt:
    """Take the node's expiration off, and return the receipt."""
    node = there.shock.keep(chosen.id) if chosen.expires else chosen
    attributes = read_attributes(node.attributes)
    if attributes is None:
        raise ShockError(f"node {node.id} has lost its attributes")
    return receipt_of(name, there, node.id, attributes)


def receipt_of(name: str, there: Destination, node_id: str, attributes: NodeAttributes) -> Receipt:
    """Return the receipt of the published node, with what the server says of its file and its readers."""
    node = there.shock.find(node_id)
    if node is None:
        raise ShockError(f"node {node_id} of {name} vanished from {there.shock.name}")
    return make_receipt(
        attributes,
        node=node.id,
        size=node.file.size,
        md5=node.file.checksum.md5,
        shock=there.url,
        download_url=f"{there.download_base}/node/{node.id}?download",
        public=there.shock.read_access(node.id).public.read,
    )
