"""List the packages in a published image, for the file beside its receipt."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.errors import UsageError
from skyport_wf.inspection.show import examine_receipt

if TYPE_CHECKING:
    from skyport_wf.image.examination.packages.package import Package
    from skyport_wf.publication.connection import Shock
    from skyport_wf.records.receipt import Receipt

_log = logging.getLogger(__name__)


class PackageList(msgspec.Struct, frozen=True):
    """The packages in an image."""

    packages: tuple[Package, ...]
    document: bytes
    """The same as CycloneDX JSON."""


def list_packages(
    receipt: Receipt, shock: Shock, *, progress: Callable[[int], None] = lambda size: None
) -> PackageList:
    """Return the packages in the image that a receipt is of, read off the node that it names.

    progress: called with the bytes of each piece read.
    Raises UsageError if the receipt is of another Shock, and what `examine_receipt` raises.
    """
    from skyport_wf.image.examination.sbom import make_sbom

    if shock.url != receipt.shock:
        raise UsageError(
            f"the receipt of {receipt.name} is of {receipt.shock}, and the Shock that is meant is {shock.url}. "
            "Name the receipt's in SHOCK_URL."
        )
    found = examine_receipt(shock.user, receipt, progress=progress)
    for note in found.notes:
        _log.warning("packages of %s: %s", receipt.name, note)
    if not found.has_bash:
        _log.warning("%s has no /bin/bash, so no AWE task can start in it", receipt.name)
    return PackageList(found.packages, make_sbom(receipt.name, found))
