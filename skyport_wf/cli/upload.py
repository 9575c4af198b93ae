"""`skyport-wf upload save.json`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from skyport_wf.cli.arguments import add_record, any_path, fill_key, input_file
from skyport_wf.cli.outcome import Outcome
from skyport_wf.cli.progress import progress_bar
from skyport_wf.errors import UsageError
from skyport_wf.output_file import is_special, own_descriptor

if TYPE_CHECKING:
    from skyport_wf.records.records import SaveRecord

EXAMPLES = ("skyport-wf upload save.json --record upload.json",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("save", type=input_file, metavar="SAVE", help="the save record")
    parser.add_argument(
        "--archive", type=any_path, metavar="FILE", help="the archive (default: where the save record says that it is)"
    )
    add_record(parser, "the upload record")


def run(args: argparse.Namespace) -> Outcome:
    """Send the archive, and write the upload record."""
    from skyport_wf.publication.connection import open_shock
    from skyport_wf.records.files import check_record_file, read_record, write_record
    from skyport_wf.records.records import SaveRecord
    from skyport_wf.steps.upload import upload

    save = read_record(args.save, SaveRecord)
    size = save.saved.digests.size if save.saved else None
    target = fill_key(args.record, save.build.reference)
    check_record_file(target, "skyport-wf upload")
    # In the folder of devices there is no place for it.
    remembered = None if is_special(target) else target.with_name(f"{target.name}.progress")
    archive = args.archive or _archive_beside(args.save, save)
    with open_shock(save.build.shock) as shock, progress_bar(args, f"upload {save.build.name}", size) as progress:
        record = upload(
            save, archive, shock,
            progress_file=remembered, progress=progress,
        )  # fmt: skip
    write_record(target, record)
    return Outcome(record, f"{save.build.name} is on node {record.node} of {record.url}")


def _archive_beside(record: Path, save: SaveRecord) -> Path:
    """Return the archive that a record names as seen from its own folder. Raises UsageError for one from a pipe."""
    if save.saved and own_descriptor(record) is not None:
        raise UsageError(f"{record}: a record names its archive as seen from its own folder. Give --archive, too.")
    return record.parent / save.archive
