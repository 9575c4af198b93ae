"""List the packages in a published image, for the file beside its receipt."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from skyport_wf.errors import UsageError
from skyport_wf.inspection.show import examine_receipt
from skyport_wf.progress import UNSEEN, Progress
from skyport_wf.publication.package_lists import listed_packages
from skyport_wf.publication.thin import same_image

if TYPE_CHECKING:
    from skyport_wf.image.examination.package_list import PackageList
    from skyport_wf.publication.connection import Shock
    from skyport_wf.records.receipt import Receipt

_log = logging.getLogger(__name__)


def list_packages(receipt: Receipt, shock: Shock, *, progress: Progress = UNSEEN) -> PackageList:
    """Return the packages in the image that a receipt is of: the list on the node that it names, or of the node's file.

    progress: called with the bytes of each piece read, where the node has no list.
    Raises UsageError if the receipt is of another Shock, and what `examine_receipt` raises.
    """
    if not shock.is_at(receipt.shock):
        raise UsageError(
            f"the receipt of {receipt.name} is of {receipt.shock}, and the Shock that is meant is {shock.url}. "
            "Name the receipt's in SHOCK_URL."
        )
    node = shock.user.find(receipt.node)
    listed = listed_packages(node) if node else None
    if listed is None or not same_image(listed.image_id, receipt.image_id):
        # It also says what is wrong if the node is gone, or has another image.
        listed = examine_receipt(shock.user, receipt, progress=progress).listed
    for note in listed.notes:
        _log.warning("packages of %s: %s", receipt.name, note)
    if not listed.has_bash:
        _log.warning("%s has no /bin/bash, so no AWE task can start in it", receipt.name)
    return listed
