"""`skyport-wf tag NAME NEW`."""

import argparse

from skyport_wf.cli.arguments import add_image_list, opened_shock
from skyport_wf.cli.outcome import Outcome

EXAMPLES = (
    "skyport-wf tag my-lab/tool:1.0 my-lab/tool:1.0-course",
    "skyport-wf tag my-lab/tool:1.0 my-lab/tool:1.0-course --dry-run",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("name", metavar="NAME", help="REPO[:TAG] of a published image, as an AWE task names it")
    parser.add_argument("new_name", metavar="NEW", help="REPO:TAG that it is to have, too")
    parser.add_argument("--dry-run", "-n", action="store_true", help="say what would be done, and change nothing")
    add_image_list(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Publish an image under another name, too; the server copies its file, and nothing is sent."""
    from skyport_wf.steps.tag import tag

    with opened_shock(args) as shock:
        receipt = tag(shock, args.name, args.new_name, dry_run=args.dry_run)
    if receipt is None:
        value = {"dry_run": {"name": args.name, "new_name": args.new_name}}
        return Outcome(value, f"{args.new_name} would be published, as {args.name} is (nothing would be sent)")
    if args.dry_run:
        return Outcome(receipt, f"{receipt.name} is published, as {args.name} is: nothing would be done")
    return Outcome(
        receipt, f"{receipt.name} is published, readable by {receipt.readable_by} (node {receipt.node}, nothing sent)"
    )
