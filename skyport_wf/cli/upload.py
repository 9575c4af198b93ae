"""`skyport-wf upload save.json`."""

from __future__ import annotations

import argparse

from skyport_wf.cli.arguments import add_record, any_path, fill_key
from skyport_wf.cli.outcome import Outcome
from skyport_wf.cli.progress import progress_bar

EXAMPLES = ("skyport-wf upload save.json --record upload.json",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("save", type=any_path, metavar="SAVE", help="the save record")
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
    archive = args.archive or args.save.parent / save.archive
    with open_shock(save.build.shock) as shock, progress_bar(args, f"upload {save.build.name}", size) as progress:
        record = upload(
            save, archive, shock,
            progress_file=target.with_name(f"{target.name}.progress"), progress=progress,
        )  # fmt: skip
    write_record(target, record)
    return Outcome(record, f"{save.build.name} is on node {record.node} of {record.url}")
