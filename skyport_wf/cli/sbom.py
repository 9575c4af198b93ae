"""`skyport-wf sbom receipt.json`."""

import argparse
from pathlib import Path

from skyport_wf.cli.arguments import add_image_list, add_record, fill_key, opened_shock, progress_bar
from skyport_wf.cli.outcome import Outcome

EXAMPLES = ("skyport-wf sbom receipt.json --record packages.cdx.json",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("receipt", type=Path, metavar="RECEIPT", help="the receipt of a published image")
    add_record(parser, "the packages as CycloneDX JSON")
    parser.add_argument(
        "--listed", type=Path, metavar="FILE",
        help="take what `upload --sbom` wrote, if it is of this image, instead of reading the image again; it is "
        "removed then",
    )  # fmt: skip
    add_image_list(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Read the published image once, and write which packages are in it."""
    import json

    from skyport_wf.image.examination.report import count_packages
    from skyport_wf.image_list.reference import parse_reference
    from skyport_wf.inspection.packages import list_packages, take_list
    from skyport_wf.records.files import read_record, write_packages
    from skyport_wf.records.receipt import Receipt

    receipt = read_record(args.receipt, Receipt)
    target = fill_key(args.record, parse_reference(receipt.name))
    if args.listed and (document := take_list(fill_key(args.listed, parse_reference(receipt.name)), receipt)):
        write_packages(target, document)
        return Outcome(json.loads(document), f"packages in {receipt.name}: as listed before it was sent ({target})")
    with opened_shock(args) as shock, progress_bar(args, f"read {receipt.name}", receipt.size) as progress:
        listed = list_packages(receipt, shock, progress=progress)
    write_packages(target, listed.document)
    text = f"packages in {receipt.name}: {count_packages(listed.packages)} ({target})"
    return Outcome(json.loads(listed.document), text)
