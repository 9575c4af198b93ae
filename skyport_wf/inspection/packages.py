"""List the packages in a published image, for the file beside its receipt."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.errors import UsageError
from skyport_wf.input_file import read_bounded
from skyport_wf.inspection.show import examine_file, examine_receipt

if TYPE_CHECKING:
    from skyport_wf.image.examination.examine import ImageExamination
    from skyport_wf.image.examination.packages.package import Package
    from skyport_wf.publication.connection import Shock
    from skyport_wf.records.receipt import Receipt
    from skyport_wf.records.records import SaveRecord

_LARGEST = 256 << 20
"""Bytes of a list of packages that are read."""
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
    _warn(receipt.name, found)
    return PackageList(found.packages, make_sbom(receipt.name, found))


def list_saved_packages(save: SaveRecord, archive: Path) -> bytes | None:
    """Return the CycloneDX JSON of the image in a saved archive, None where the archive does not tell all of it.

    Raises ArchiveError if it cannot be read.
    """
    from skyport_wf.image.examination.sbom import make_sbom

    if save.saved is None or save.build.thin_on:
        return None
    found = examine_file(archive, wanted=save.build.name)
    _warn(save.build.name, found)
    return make_sbom(save.build.name, found)


def take_list(path: Path, receipt: Receipt) -> bytes | None:
    """Return the CycloneDX JSON in the file `path` if it is of the receipt's image, and remove the file.

    It counts once: should the packages be listed again, it is to see what the node has.
    """
    try:
        document = read_bounded(path, _LARGEST)
        about = msgspec.json.decode(document)["metadata"]["component"]
        if (f"{about['name']}:{about['version']}", about["bom-ref"]) != (receipt.name, receipt.image_id):
            return None
        # Only now is it known that the file is such a list, and no file of somebody's.
        path.unlink()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, RecursionError):
        return None
    return document


def _warn(name: str, found: ImageExamination) -> None:
    for note in found.notes:
        _log.warning("packages of %s: %s", name, note)
    if not found.has_bash:
        _log.warning("%s has no /bin/bash, so no AWE task can start in it", name)
