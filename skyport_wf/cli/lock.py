"""`skyport-wf lock`."""

import argparse
from pathlib import Path

from skyport_wf.cli.arguments import output_file
from skyport_wf.cli.outcome import Outcome
from skyport_wf.formatting import count

EXAMPLES = ("skyport-wf lock results/skyport/*/receipt.json --lock images.lock.json",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("receipts", type=Path, nargs="+", metavar="RECEIPT", help="receipts of published images")
    parser.add_argument("--lock", type=output_file, required=True, metavar="FILE", help="the lock file")


def run(args: argparse.Namespace) -> Outcome:
    """Write a lock file with the entries of these receipts, and no others."""
    from skyport_wf.records.files import read_record, write_record
    from skyport_wf.records.receipt import Receipt, merge_into_lock

    lock = merge_into_lock(None, [read_record(path, Receipt) for path in args.receipts])
    write_record(args.lock, lock)
    return Outcome(lock, f"{args.lock} holds {count(len(lock.images), 'image')}")
