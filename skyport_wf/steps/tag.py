"""Another name for a published image, without sending it: the server copies the file."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.errors import ShockError, SkyportError
from skyport_wf.image_list.reference import parse_reference
from skyport_wf.image_list.spec import ShockSettings
from skyport_wf.publication.attributes import read_attributes
from skyport_wf.publication.awe_lookup import harm_of_tag
from skyport_wf.publication.awe_problems import require_file
from skyport_wf.publication.name_state import decide, wanted_image
from skyport_wf.publication.published import require_readable
from skyport_wf.publication.receipts import receipt_of
from skyport_wf.publication.resolve import find_for_worker
from skyport_wf.records.receipt import Receipt
from skyport_wf.records.records import BuildRecord
from skyport_wf.steps.register import register
from skyport_wf.transfer.same_image import copy_node, why_not_copied

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock

_log = logging.getLogger(__name__)
_OTHERWISE = "choose another tag, or retire the image that is there (skyport-wf retire), if nobody needs it any more."


def tag(shock: Shock, asked: str, new_name: str, *, dry_run: bool = False) -> Receipt | None:
    """Publish the image that an AWE worker gets for `asked` under another name, too; return that one's receipt.

    Who may read it is the same, also of those that the node lists. The image has the name already: nothing is done,
    whoever may read it there.
    dry_run: whether only to see if it can be done; None is returned then if something would be.
    Raises AlreadyPublishedError if another image has the new name, ShockError if the file is another user's, or gone,
    or the server does not copy it, or does not let the same users read it.
    """
    parse_reference(new_name)
    node = find_for_worker(shock, asked)
    attributes = read_attributes(node.attributes)
    known = attributes.skyport_wf if attributes else None
    if attributes is None or known is None:
        raise SkyportError(
            f"{asked} was published by another tool, and its node does not tell what is in its file. Publish it anew "
            "under the new name."
        )
    build = BuildRecord(
        name=new_name,
        source=known.source,
        shock=ShockSettings(url=shock.url, public=shock.everyone_reads(node.id)),
        description=known.description,
        dockerfile=attributes.dockerfile,
        engine=attributes.docker_version,
        image=known.engine_image_id or attributes.id,
        base=known.base,
        thin_on=known.thin_on,
    )
    wanted = msgspec.structs.replace(wanted_image(build, image_id=attributes.id), otherwise=_OTHERWISE)
    decision = decide(shock, wanted)
    if decision.is_there and (there := decision.names.same):
        require_readable(shock, there)
        receipt = receipt_of(shock, there.node, public=there.public)
        if there.public != wanted.public:
            # Whoever published it so may have had a reason.
            others = "listed users" if there.public else "everyone"
            _log.warning(
                "%s is there already (node %s) and stays as it is, readable by %s; %s is readable by %s",
                new_name, there.id, receipt.readable_by, asked, others,
            )  # fmt: skip
        return receipt
    decision.require()
    if harm := harm_of_tag(new_name):
        _log.warning("%s", harm)
    require_file(node)
    failed = f"node {node.id}, which has {asked}, cannot be copied"
    if problem := why_not_copied(shock, build, node, attributes):
        raise ShockError(
            f"{failed}: {problem}. Else pull the image (skyport-wf pull {asked}), and publish it as {new_name}."
        )
    # Of a file that is gone this says more than the refusal to copy it, and a dry run says it, too.
    shock.user.read_start(node, 1)
    if dry_run:
        return None
    try:
        copied = copy_node(shock, build, node, attributes)
    except ShockError as error:
        raise ShockError(f"{failed}: {error}") from error
    shock.copy_readers(node.id, copied.node)
    return register(copied, shock)
