"""`skyport-wf receipt NAME`."""

import argparse
from pathlib import Path

from skyport_wf.cli.arguments import add_image_list, add_record, fill_key, opened_shock
from skyport_wf.cli.outcome import Outcome, short_id
from skyport_wf.errors import SkyportError, UsageError

EXAMPLES = ("skyport-wf receipt my-lab/tool:1.0 --lock images.lock.json --record receipt.json",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("name", metavar="NAME", help="REPO:TAG of a published image")
    add_record(parser, "the receipt")
    parser.add_argument("--lock", type=Path, metavar="FILE", help="the image has to be the one of this lock file")
    add_image_list(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Write the receipt of an image that is published, by whomever: it is read off the node."""
    from skyport_wf.image_list.reference import parse_reference
    from skyport_wf.publication.resolve import find_for_worker
    from skyport_wf.publication.take_name import receipt_of
    from skyport_wf.records.files import read_record, write_record
    from skyport_wf.records.receipt import LockFile

    locked = read_record(args.lock, LockFile).images.get(args.name) if args.lock else None
    if args.lock and locked is None:
        raise UsageError(f"the lock file {args.lock} has no image {args.name}")
    with opened_shock(args, url=locked.shock if locked else None) as shock:
        receipt = receipt_of(shock, find_for_worker(shock, args.name))
    if locked:
        held = {"Shock": receipt.shock, "node": receipt.node, "image": receipt.image_id, "MD5": receipt.md5}
        wanted = {"Shock": locked.shock, "node": locked.node, "image": locked.image_id, "MD5": locked.md5}
        if other := [f"the {what} is {held[what]}, not {wanted[what]}" for what in held if held[what] != wanted[what]]:
            raise SkyportError(
                f"{args.name} is not the image of {args.lock}: {'; '.join(other)}. If that is meant, take the lock "
                "file anew from whoever publishes it."
            )
    write_record(fill_key(args.record, parse_reference(receipt.name)), receipt)
    return Outcome(receipt, f"{receipt.name} is image {short_id(receipt.image_id)}, on node {receipt.node}")
