"""`skyport-wf adopt NAME`."""

import argparse

from skyport_wf.cli.arguments import add_image_list, node_id, opened_shock
from skyport_wf.cli.outcome import Outcome
from skyport_wf.cli.progress import progress_bar

EXAMPLES = (
    "skyport-wf adopt skyport/velvet:1.2.10 --dry-run",
    "skyport-wf adopt skyport/velvet:latest --as skyport/velvet:1.2.10",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("name", metavar="NAME", help="the name that the node has, whatever that is")
    parser.add_argument("--as", dest="new_name", metavar="REPO:TAG", help="the name that it is to have")
    parser.add_argument("--node", type=node_id, metavar="ID", help="the node, if several have the name")
    parser.add_argument("--dry-run", "-n", action="store_true", help="say what would be done, and change nothing")
    add_image_list(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Complete the attributes of a node that another tool made, and give it a gzipped file, so that AWE can use it."""
    from skyport_wf.transfer.adopt import adopt

    with opened_shock(args) as shock, progress_bar(args, f"read {args.name}") as progress:
        adopted = adopt(
            shock, args.name, new_name=args.new_name, node_id=args.node, dry_run=args.dry_run, progress=progress
        )
    if not adopted.changes:
        return Outcome(adopted, f"{adopted.name} (node {adopted.node}) is as it should be, nothing to mend")
    head = f"{args.name} would be changed:" if args.dry_run else f"{args.name} was changed:"
    lines = [head, *(f"  {change}" for change in adopted.changes)]
    if not args.dry_run:
        lines.append(f"{adopted.name} is image {adopted.image_id} on node {adopted.node}")
    return Outcome(adopted, "\n".join(lines))
