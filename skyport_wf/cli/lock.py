"""`skyport-wf lock`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from skyport_wf.cli.arguments import image_list, input_file, output_file
from skyport_wf.cli.outcome import Outcome
from skyport_wf.errors import UsageError
from skyport_wf.formatting import count

if TYPE_CHECKING:
    from skyport_wf.records.receipt import Receipt

EXAMPLES = ("skyport-wf lock results/skyport/*/receipt.json --lock images.lock.json",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("receipts", type=input_file, nargs="+", metavar="RECEIPT", help="receipts of published images")
    parser.add_argument("--lock", type=output_file, required=True, metavar="FILE", help="the lock file")
    parser.add_argument("--keep", nargs="+", default=[], metavar="NAME", help="other images that stay in the lock file")
    parser.add_argument(
        "--images", type=image_list, metavar="FILE",
        help="the image list: bring descriptions on the nodes, and links in the receipts, up to date with it",
    )  # fmt: skip


def run(args: argparse.Namespace) -> Outcome:
    """Write a lock file with the entries of these receipts, and of the others only those to keep."""
    from skyport_wf.output_file import behind_links
    from skyport_wf.records.files import check_record_file, has_lock, read_record, write_lock
    from skyport_wf.records.receipt import Receipt

    receipts = {path: read_record(path, Receipt) for path in args.receipts}
    # Before nodes and receipts are changed.
    if not has_lock(args.lock, [*receipts.values()], keep=args.keep):
        check_record_file(behind_links(args.lock), "skyport-wf lock")
    if args.images:
        receipts |= _update_notes(args.images, receipts)
    _check_different(receipts)
    lock = write_lock(args.lock, [*receipts.values()], keep=args.keep)
    return Outcome(lock, f"{args.lock} holds {count(len(lock.images), 'image')}")


def _check_different(receipts: dict[Path, Receipt]) -> None:
    """Raise UsageError for two receipts of one name that would make different entries."""
    from skyport_wf.records.receipt import lock_image

    first: dict[str, Path] = {}
    for path, receipt in receipts.items():
        other = first.setdefault(receipt.name, path)
        if lock_image(receipts[other]) != lock_image(receipt):
            raise UsageError(
                f"{other} and {path} are both receipts of {receipt.name}, and say different things. A lock file has "
                "one entry for each name: leave one of them out."
            )


def _update_notes(path: Path, receipts: dict[Path, Receipt]) -> dict[Path, Receipt]:
    """Let nodes and receipts say what the list says; return the receipts that changed.

    Their files keep their time, as they stand for the same images.
    """
    from skyport_wf.image_list.images_yaml import read_image_list
    from skyport_wf.output_file import is_special
    from skyport_wf.publication.connection import open_shock
    from skyport_wf.publication.notes import update_notes
    from skyport_wf.records.files import write_record

    images = read_image_list(path)
    described = {image.name: image.description for image in images.images}
    changed = {}
    with open_shock(images.shock) as shock:
        for file, receipt in receipts.items():
            if receipt.name in described:
                now = update_notes(shock, receipt, description=described[receipt.name])
                if now != receipt:
                    if not is_special(file):
                        write_record(file, now, keep_time=True)
                    changed[file] = now
    return changed
