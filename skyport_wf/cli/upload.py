"""`skyport-wf upload save.json`."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from skyport_wf.cli.arguments import KEY_HELP, add_record, fill_key, output_file, progress_bar
from skyport_wf.cli.outcome import Outcome
from skyport_wf.errors import SkyportError

if TYPE_CHECKING:
    from skyport_wf.records.records import SaveRecord

_log = logging.getLogger(__name__)

EXAMPLES = ("skyport-wf upload save.json --record upload.json",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("save", type=Path, metavar="SAVE", help="the save record")
    parser.add_argument(
        "--archive", type=Path, metavar="FILE", help="the archive (default: where the save record says that it is)"
    )
    add_record(parser, "the upload record")
    parser.add_argument(
        "--sbom", type=output_file, metavar="FILE",
        help=f"list the packages in the archive while it is here, for `sbom --listed FILE`; {KEY_HELP}",
    )  # fmt: skip


def run(args: argparse.Namespace) -> Outcome:
    """Send the archive, and write the upload record."""
    from skyport_wf.publication.connection import open_shock
    from skyport_wf.records.files import read_record, write_record
    from skyport_wf.records.records import SaveRecord
    from skyport_wf.steps.upload import upload

    save = read_record(args.save, SaveRecord)
    size = save.saved.digests.size if save.saved else None
    target = fill_key(args.record, save.build.reference)
    archive = args.archive or args.save.parent / save.archive
    with open_shock(save.build.shock) as shock, progress_bar(args, f"upload {save.build.name}", size) as progress:
        record = upload(
            save, archive, shock,
            progress_file=target.with_name(f"{target.name}.progress"), progress=progress,
        )  # fmt: skip
    write_record(target, record)
    if args.sbom:
        _list_packages(save, archive, fill_key(args.sbom, save.build.reference))
    return Outcome(record, f"{save.build.name} is on node {record.node} of {record.url}")


def _list_packages(save: SaveRecord, archive: Path, target: Path) -> None:
    from skyport_wf.inspection.packages import list_saved_packages
    from skyport_wf.records.files import write_packages

    try:
        if document := list_saved_packages(save, archive):
            write_packages(target, document)
    except SkyportError as error:
        # The image is sent. Whoever lists the packages of what is published reads the node then, and tells.
        _log.info("the packages in %s are not listed: %s", archive, error)
