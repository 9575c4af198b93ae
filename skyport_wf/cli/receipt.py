"""`skyport-wf receipt REPO[:TAG]`."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from skyport_wf.cli.arguments import KEY_HELP, add_image_list, fill_key, input_file, opened_shock, output_file
from skyport_wf.cli.outcome import Outcome
from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.formatting import human_size, printable

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock
    from skyport_wf.records.receipt import LockedImage, Receipt
    from skyport_wf.shock.node import Node

_log = logging.getLogger(__name__)
EXAMPLES = (
    "skyport-wf receipt my-lab/tool:1.0 --record receipt.json",
    "skyport-wf receipt my-lab/tool --lock images.lock.json",
    "skyport-wf receipt my-lab/tool:1.0 --locked images.lock.json --record receipt.json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("name", metavar="NAME", help="REPO[:TAG], as an AWE task names it")
    parser.add_argument("--record", type=output_file, metavar="FILE", help=f"write the receipt to FILE; {KEY_HELP}")
    parser.add_argument("--lock", type=output_file, metavar="FILE", help="put the image into the lock file FILE, too")
    parser.add_argument(
        "--locked", type=input_file, metavar="FILE", help="the image has to be the one of this lock file"
    )
    add_image_list(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Write the receipt of a published image, whoever has published it and how: its node tells all."""
    from skyport_wf.image_list.reference import parse_reference
    from skyport_wf.publication.receipts import receipt_of
    from skyport_wf.publication.resolve import find_for_worker
    from skyport_wf.records.files import check_receipt_files, read_record, update_lock, write_record
    from skyport_wf.records.receipt import LockFile

    locked = read_record(args.locked, LockFile).images.get(args.name) if args.locked else None
    if args.locked and locked is None:
        raise UsageError(f"the lock file {args.locked} has no image {args.name}")
    with opened_shock(args, url=locked.shock if locked else None) as shock:
        node = find_for_worker(shock, args.name)
        receipt = receipt_of(shock, node)
        _warn_of_problems(shock, node)
    if locked:
        _check(receipt, locked, args.locked)
    record = fill_key(args.record, parse_reference(receipt.name)) if args.record else None
    # Both are written, or none.
    check_receipt_files([record] if record else [], args.lock, [receipt.name])
    if record:
        write_record(record, receipt)
    if args.lock:
        update_lock(args.lock, [receipt])
    text = f"{printable(f'{receipt.name}  {receipt.image_id}')}\nnode {receipt.node}, {human_size(receipt.size)}"
    return Outcome(receipt, text)


def _warn_of_problems(shock: Shock, node: Node) -> None:
    """Say what is wrong with the node of an image: another tool left it incomplete, or its file is lost."""
    from skyport_wf.publication.awe_problems import find_problems_of_file, how_to_mend, in_words
    from skyport_wf.publication.thin import name_of

    if problems := find_problems_of_file(shock.user, node, read=True):
        name, problem = printable(name_of(node)), in_words(problems)
        _log.warning("%s (node %s): %s. %s mends it", name, node.id, problem, how_to_mend(node, problems))


def _check(receipt: Receipt, locked: LockedImage, file: Path) -> None:
    """Raise SkyportError if the published image is not the one of the lock file."""
    from skyport_wf.image_list.urls import one_spelling
    from skyport_wf.publication.thin import same_image

    held = {"Shock": receipt.shock, "node": receipt.node, "image": receipt.image_id, "MD5": receipt.md5}
    wanted = {"Shock": one_spelling(locked.shock), "node": locked.node, "image": locked.image_id, "MD5": locked.md5}
    if same_image(held["image"], wanted["image"]):
        # Other tools write ids without `sha256:`.
        wanted["image"] = held["image"]
    if other := [f"the {what} is {held[what]}, not {wanted[what]}" for what in held if held[what] != wanted[what]]:
        raise SkyportError(
            f"{receipt.name} is not the image of {file}: {'; '.join(other)}. If that is meant, take the lock file anew "
            "from whoever publishes it."
        )
