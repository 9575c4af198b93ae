"""`skyport-wf save build.json`."""

import argparse
from pathlib import Path

from skyport_wf.cli.arguments import add_record
from skyport_wf.cli.outcome import Outcome, human_size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("build", type=Path, metavar="BUILD", help="the build record")
    parser.add_argument("--archive", type=Path, required=True, metavar="FILE", help="where to write the archive")
    add_record(parser, "the save record")


def run(args: argparse.Namespace) -> Outcome:
    """Write the archive and the save record."""
    from skyport_wf.record_files import read_record, write_record
    from skyport_wf.records import BuildRecord
    from skyport_wf.steps.save import save

    build = read_record(args.build, BuildRecord)
    record = save(build, args.archive, record_folder=args.record.parent)
    write_record(args.record, record)
    if record.saved is None:
        return Outcome(record, f"{build.name} is published already, nothing to save")
    digests = record.saved.digests
    sizes = f"{human_size(digests.size)}, {human_size(digests.archive_size)} uncompressed"
    return Outcome(record, f"{build.name} is in {args.archive} ({sizes})")
