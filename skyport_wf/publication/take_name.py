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

from skyport_wf.errors import ShockError, SkyportError, TemporaryError
from skyport_wf.publication.attributes import (
    OWN_KEY,
    RETIRED_TYPE,
    UPLOAD_EXPIRATION,
    UPLOAD_TYPE,
    read_attributes,
    to_json_values,
)
from skyport_wf.publication.awe_lookup import IMAGE_TYPE, AweLookupError
from skyport_wf.publication.claim import Claim, claim_name
from skyport_wf.publication.name_state import Decision, WantedImage, decide, nobodys, retire_first
from skyport_wf.publication.published import (
    PublishedNode,
    read_again,
    require_owner,
    require_readable,
    why_not_ours_alone,
)
from skyport_wf.publication.receipts import receipt_of
from skyport_wf.publication.replacement import (
    announce_replacement,
    finish_replacement,
    restore_node,
    retire_node,
    stored_attributes,
)
from skyport_wf.publication.resolve import resolve
from skyport_wf.publication.thin import check_base, find_thin_on, same_image, with_base_id, workers_need
from skyport_wf.records.receipt import Receipt
from skyport_wf.records.source import Source

if TYPE_CHECKING:
    from skyport_wf.image.contents import ArchiveDigests
    from skyport_wf.publication.connection import Shock
    from skyport_wf.shock.node import Node

_log = logging.getLogger(__name__)


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An upload, or a node that has the image already, about to take the name."""

    wanted: WantedImage
    node: str
    """The node that it was uploaded to, or that had the image already."""
    attributes: dict[str, Any] | None
    """The attributes that publish it, but for the time; None if nothing was uploaded."""
    hidden: dict[str, Any]
    """The attributes of an upload that nobody finds."""
    source: Source | None
    """The source that a node which has the image already is to name; None to leave that as it is."""
    dockerfile: str = ""
    description: str = ""
    """Both go with the source."""
    anew: str
    """Advice where the upload is gone."""
    instead_of: Node | None = None
    """The node that the image was read from, which is to lose its own name. Nothing is done if it has
    lost that already."""
    digests: ArchiveDigests | None = None
    """What a node was told to be an upload of, by a record that anybody may have written; None if this process has
    made the node."""


def take_name(candidate: Candidate, shock: Shock) -> Receipt:
    """Publish the image under its name and return its receipt, read off the node.

    An image that is published, and needs no change that this user may make, is left as it is: nothing is written.
    Raises AlreadyPublishedError if another image or another user has the name, ShockError if an AWE worker would not
    get the image, or if the base of a thin image is not published; SkyportError if `instead_of` has lost its name.
    """
    wanted = candidate.wanted
    decision = decide(shock, wanted, finish_replacement(shock, wanted.name))
    # What another user publishes at this moment is waited for.
    if not isinstance(decision.refusal, TemporaryError):
        decision.require()
    if not _is_done(decision, candidate, shock):
        with claim_name(shock.user, wanted.name, public=wanted.public) as claim:
            # Looked at again: now nobody else takes the name.
            if candidate.instead_of:
                read_again(shock, candidate.instead_of)
            decision = decide(shock, wanted).require()
            # Whoever held the name until now may be another user, whose node is not ours to write to.
            if not _is_done(decision, candidate, shock):
                if decision.names.same:
                    require_readable(shock, decision.names.same)
                return _publish(candidate, decision, shock, claim)
    same = decision.names.same
    assert same and same.public is not None  # noqa: S101 - of what is published there is a node, and who may read it
    require_readable(shock, same)
    # Who may not change the readers gets the image if he is one of them, whatever his image list says of them.
    chosen = _resolve_as_worker(wanted.name, shock, same.id, public=same.public)
    if same.id != candidate.node:
        _drop_upload(candidate, shock)
    return receipt_of(shock, chosen, public=same.public)


def _is_done(decision: Decision, candidate: Candidate, shock: Shock) -> bool:
    """Return whether a node has the image and says of it what it is to say, as far as this user may change that."""
    node = decision.names.same
    if not decision.is_done or node is None:
        return False
    known = node.attributes.skyport_wf
    if known is None or candidate.source is None:
        return True
    return known.source.digest == candidate.source.digest or not shock.may_change(node.id)


def _publish(candidate: Candidate, decision: Decision, shock: Shock, claim: Claim) -> Receipt:
    """Make the upload the image of its name, unless another node holds the very image; return its receipt."""
    wanted, names = candidate.wanted, decision.names
    for other in names.others:
        # Before anything is changed: two nodes of the name, one of which we may not touch, would be worse than none.
        require_owner(shock, other.id, wanted.name)
    attributes = read_attributes(candidate.attributes)
    thin_on = names.same.attributes.thin_on if names.same else attributes.thin_on if attributes else None
    base = check_base(shock, wanted.name, thin_on, public=wanted.public) if thin_on else None
    told = {} if names.same else _read_upload(candidate, shock)
    giving_way: list[PublishedNode] = []
    node_id = names.same.id if names.same else candidate.node
    try:
        claim.renew()
        _keep_readers(wanted, names.others, node_id, shock)
        for other in names.others:
            # Noted before it is done: the answer may be lost.
            giving_way.append(other)
            announce_replacement(shock, other, node_id)
        if names.same:
            _adopt(candidate, names.same, names.others, shock)
        else:
            _give_attributes(candidate, told, base, names.others, shock)
        for other in names.others:
            claim.renew()
            retire_node(shock, other)
        if names.others:
            # From here on the name is nobody else's, and must not go with a node that expires.
            shock.user.keep(node_id)
        # Everyone is to get what everyone may read, whatever this user wishes who may not close it.
        public = wanted.public or shock.everyone_reads(node_id)
        chosen = _resolve_as_worker(wanted.name, shock, node_id, public=public)
        if thin_on:
            check_base(shock, wanted.name, thin_on, public=wanted.public)
        claim.renew()
    except TemporaryError:
        # Shock does not answer. To ask it for anything more would take as long again; whoever looks next, finishes.
        raise
    except SkyportError:
        _give_back(candidate, names.same, giving_way, shock)
        raise
    if chosen.expires:
        chosen = shock.user.keep(node_id)
    if names.same and names.same.id != candidate.node:
        _drop_upload(candidate, shock)
    _warn_who_lost_a_base(wanted, names.others, shock)
    if thin_on:
        _log.warning("%s", workers_need(wanted.name, thin_on.name))
    return receipt_of(shock, chosen)


def _drop_upload(candidate: Candidate, shock: Shock) -> None:
    """Delete the upload, which is not needed. What is an image, or was one, stays: the record may be an old one."""
    try:
        node = shock.user.find(candidate.node)
    except (ShockError, TemporaryError):
        return
    if node and (node.text("type"), node.text("name")) == (UPLOAD_TYPE, candidate.wanted.name):
        shock.user.drop(node.id)


def _warn_who_lost_a_base(wanted: WantedImage, others: tuple[PublishedNode, ...], shock: Shock) -> None:
    for other in others:
        is_same = wanted.image_id is not None and same_image(other.attributes.id, wanted.image_id)
        if not is_same and (lost := find_thin_on(shock.user, other)):
            _log.warning(
                "thin on node %s, which was %s: %s. Publish them again", other.id, wanted.name, ", ".join(lost)
            )


def _read_upload(candidate: Candidate, shock: Shock) -> dict[str, Any]:
    """Return the attributes that the upload is to have, after seeing that it is there, is one of this image, and ours.

    Raises SkyportError if not; ShockError for another user's upload that this one may not read.
    """
    name = candidate.wanted.name
    node = shock.user.find(candidate.node)
    if node is None or candidate.attributes is None:
        raise SkyportError(
            f"{name}: the upload {candidate.node} is no longer on {shock.name}; uploads that are not registered "
            "expire. "
            f"{candidate.anew}"
        )
    if candidate.digests and not _is_upload_of(node, name, candidate.digests):
        raise SkyportError(
            f"{name}: node {node.id} of {shock.name} is no upload of this image, whatever the record says. It stays as "
            f"it is. {candidate.anew}"
        )
    if candidate.digests and (problem := why_not_ours_alone(shock, node.id)):
        # As an image, too, it would be somebody else's to change.
        raise SkyportError(f"{name}: the upload {node.id} is not registered: {problem}. {candidate.anew}")
    return candidate.attributes


def _give_attributes(
    candidate: Candidate,
    told: dict[str, Any],
    base: PublishedNode | None,
    others: tuple[PublishedNode, ...],
    shock: Shock,
) -> None:
    """Let the upload be found by its name; `told` are its attributes, but for what is known only now."""
    _set_readers(candidate.wanted, shock, candidate.node, anew=candidate.anew)
    attributes = with_base_id(told, base.attributes.id) if base else dict(told)
    if attributes.get(OWN_KEY):
        # Another tool's attributes have no place for these.
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        attributes[OWN_KEY] = {
            **attributes[OWN_KEY], "registered": now, "replaces": [other.id for other in others]
        }  # fmt: skip
    shock.user.replace_attributes(candidate.node, attributes)


def _is_upload_of(node: Node, name: str, digests: ArchiveDigests) -> bool:
    """Return whether the node was sent to become the image of this name, or was it before, and has this file."""
    said = node.attributes or {}
    is_one = said.get("type") in (UPLOAD_TYPE, RETIRED_TYPE, IMAGE_TYPE) and said.get("name") == name
    return is_one and (node.file.size, node.file.checksum.md5) == (digests.size, digests.md5)


def _adopt(candidate: Candidate, node: PublishedNode, others: tuple[PublishedNode, ...], shock: Shock) -> None:
    """Take a node that holds the image already as ours, and note what the image is made from now."""
    name = candidate.wanted.name
    require_owner(shock, node.id, name)
    if _set_readers(candidate.wanted, shock, node.id, anew=retire_first(name)) and not node.node.expires:
        if candidate.wanted.public:
            # Whoever published it so may have had a reason.
            _log.warning("%s was private (node %s): everyone may read it now", name, node.id)
        else:
            _log.info("%s was public (node %s): only its owner and listed users may read it now", name, node.id)
    known, source = node.attributes.skyport_wf, candidate.source
    if known is None:
        return
    now = msgspec.structs.replace(known, replaces=tuple(other.id for other in others))
    dockerfile = node.attributes.dockerfile
    if source and known.source.digest != source.digest:
        now = msgspec.structs.replace(now, source=source, description=candidate.description)
        dockerfile = candidate.dockerfile
    if now != known:
        attributes = msgspec.structs.replace(node.attributes, dockerfile=dockerfile, skyport_wf=now)
        # Its owner may have added some that only the lab knows.
        shock.user.replace_attributes(node.id, {**stored_attributes(node), **to_json_values(attributes)})


def _set_readers(wanted: WantedImage, shock: Shock, node_id: str, *, anew: str) -> bool:
    """Let those read the node who are meant to, and return whether that changed anything.

    anew: advice where nobody owns it.
    """
    access = shock.user.read_access(node_id)
    if access.public.read == wanted.public:
        return False
    if access.owner == "public":
        raise nobodys(wanted.name, anew)
    shock.user.set_public(node_id, wanted.public)
    return True


def _keep_readers(wanted: WantedImage, others: tuple[PublishedNode, ...], node_id: str, shock: Shock) -> None:
    """Let those read a private image who are listed as readers of the owner's others, which give up the name to it."""
    if wanted.public or not others:
        return
    owner = shock.user.read_access(node_id).owner
    for other in others:
        # Whom somebody else has let read his image, for an administrator to replace, is not to read another one's.
        if shock.user.read_access(other.id).owner == owner:
            shock.copy_readers(other.id, node_id)


def _resolve_as_worker(name: str, shock: Shock, node_id: str, *, public: bool) -> Node:
    """Return the node that an AWE worker gets for the name. Raises ShockError if it is not the one of this id.

    public: whether everyone is to get it.
    """
    try:
        chosen = resolve(shock.as_worker(public=public), name)
    except AweLookupError as error:
        raise ShockError(f"{name} is on node {node_id}, but {error}") from error
    if chosen.id != node_id:
        raise ShockError(f"{name} is on node {node_id}, but an AWE worker gets node {chosen.id}")
    return chosen


def _give_back(candidate: Candidate, same: PublishedNode | None, giving_way: list[PublishedNode], shock: Shock) -> None:
    """Give the name back to those that had it, and take it off our own upload: with two nodes, AWE would have none.

    Some other tool has published the name at this moment, one that knows nothing of claims; or the server refuses what
    it did not refuse before. What cannot be given back is finished by whoever looks at the name next.
    """
    try:
        for node in giving_way:
            restore_node(shock, node)
        upload = shock.user.find(candidate.node) if same is None else None
        # Where nothing was written, as another user's upload cannot be, there is nothing to take back.
        if upload and upload.text("type") == IMAGE_TYPE and (upload.expires or giving_way):
            shock.user.expire(upload.id, UPLOAD_EXPIRATION)
            shock.user.replace_attributes(upload.id, candidate.hidden)
    except (ShockError, TemporaryError) as error:
        _log.warning("the name %s could not be given back: %s", candidate.wanted.name, error)
