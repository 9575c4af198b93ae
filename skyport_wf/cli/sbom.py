"""`skyport-wf sbom receipt.json`."""

import argparse

from skyport_wf.cli.arguments import add_image_list, add_record, fill_key, input_file, opened_shock
from skyport_wf.cli.outcome import Outcome
from skyport_wf.cli.progress import progress_bar

EXAMPLES = ("skyport-wf sbom receipt.json --record packages.cdx.json",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("receipt", type=input_file, metavar="RECEIPT", help="the receipt of a published image")
    add_record(parser, "the packages as CycloneDX JSON")
    add_image_list(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Write which packages are in the published image; its file is read only if its node has no list of them."""
    import json

    from skyport_wf.image.examination.report import count_packages
    from skyport_wf.image.examination.sbom import make_sbom
    from skyport_wf.image_list.reference import parse_reference
    from skyport_wf.inspection.packages import list_packages
    from skyport_wf.records.files import check_packages_file, read_record, write_packages
    from skyport_wf.records.receipt import Receipt

    receipt = read_record(args.receipt, Receipt)
    target = fill_key(args.record, parse_reference(receipt.name))
    check_packages_file(target)
    with opened_shock(args) as shock, progress_bar(args, f"read {receipt.name}") as progress:
        listed = list_packages(receipt, shock, progress=progress)
    document = make_sbom(receipt.name, listed)
    write_packages(target, document)
    text = f"packages in {receipt.name}: {count_packages(listed.packages)} ({target})"
    return Outcome(json.loads(document), text)
