"""`skyport-wf receipt REPO[:TAG]`."""

import argparse

from skyport_wf.cli.arguments import add_image_list, opened_shock, output_file
from skyport_wf.cli.outcome import Outcome
from skyport_wf.formatting import human_size

EXAMPLES = (
    "skyport-wf receipt my-lab/tool:1.0 --record receipt.json",
    "skyport-wf receipt my-lab/tool --lock images.lock.json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("name", metavar="REPO[:TAG]", help="as a task names it; without a tag, the highest there is")
    parser.add_argument("--record", type=output_file, metavar="FILE", help="write the receipt to FILE")
    parser.add_argument("--lock", type=output_file, metavar="FILE", help="put the image into the lock file FILE, too")
    add_image_list(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Write the receipt of a published image, whoever has published it and how: its node tells all."""
    from skyport_wf.publication.resolve import find_for_worker
    from skyport_wf.publication.take_name import receipt_of
    from skyport_wf.records.files import update_lock, write_record

    with opened_shock(args) as shock:
        receipt = receipt_of(shock, find_for_worker(shock, args.name))
    if args.record:
        write_record(args.record, receipt)
    if args.lock:
        update_lock(args.lock, [receipt])
    text = f"{receipt.name}  {receipt.image_id}\nnode {receipt.node}, {human_size(receipt.size)}"
    return Outcome(receipt, text)
