"""`skyport-wf retire NAME`."""

import argparse

from skyport_wf.cli.arguments import add_image_list, opened_shock
from skyport_wf.cli.outcome import Outcome

EXAMPLES = (
    "skyport-wf retire my-lab/tool:1.0 --dry-run",
    "skyport-wf retire my-lab/tool:1.0",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("name", metavar="NAME", help="REPO:TAG")
    parser.add_argument("--node", metavar="ID", help="the node that loses the name, if several have it")
    parser.add_argument("--undo", action="store_true", help="give the name back to a node that was retired")
    parser.add_argument("--dry-run", "-n", action="store_true", help="say what would be done, and change nothing")
    parser.add_argument("--force", action="store_true", help="even if published thin images are built on it")
    add_image_list(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Take the name off a published image; its node stays, for those who know its id."""
    from skyport_wf.publication.retire import restore, retire

    # Any name may be retired, also one that could not be published today.
    name = args.name
    with opened_shock(args) as shock:
        if args.undo:
            nodes = restore(shock, name, node_id=args.node, dry_run=args.dry_run)
        else:
            nodes = retire(shock, name, node_id=args.node, force=args.force, dry_run=args.dry_run)
    done = f"{name} would be" if args.dry_run else f"{name} is"
    what = "published again" if args.undo else "retired"
    value = {"name": name, "restored" if args.undo else "retired": nodes, "dry_run": args.dry_run}
    return Outcome(value, f"{done} {what} (node {', '.join(nodes)})")
