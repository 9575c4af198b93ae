"""`skyport-wf retire NAME...`."""

import argparse
from collections.abc import Mapping

from skyport_wf.cli.arguments import add_image_list, node_id, opened_shock
from skyport_wf.cli.outcome import Outcome
from skyport_wf.errors import UsageError

EXAMPLES = (
    "skyport-wf retire my-lab/tool:1.0 --dry-run",
    "skyport-wf retire 'my-lab/old-*'",
    "skyport-wf retire --undo my-lab/tool:1.0",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="REPO:TAG, or in quotes with * ? [...] for several")
    parser.add_argument(
        "--node", type=node_id, metavar="ID",
        help="the node that loses the name, or gets it back; alone, whatever its name is",
    )  # fmt: skip
    parser.add_argument("--undo", action="store_true", help="give the name back to a node that was retired")
    parser.add_argument("--dry-run", "-n", action="store_true", help="say what would be done, and change nothing")
    parser.add_argument(
        "--force", action="store_true",
        help="even if published thin images are built on it; with --undo, even if it is a thin one without its base",
    )  # fmt: skip
    add_image_list(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Take the name off published images; their nodes stay, for those who know their ids."""
    from skyport_wf.publication.inventory import expand_names
    from skyport_wf.publication.retire import name_of_retired, restore_all, retire_all, retire_node_of_id

    if not (args.names or args.node):
        raise UsageError("name the images to retire, or to publish again with --undo")
    with opened_shock(args) as shock:
        if not (args.names or args.undo):
            name = retire_node_of_id(shock, args.node, force=args.force, dry_run=args.dry_run)
            return _tell({name: [args.node]}, args)
        if args.names:
            # Any name may be retired, also one that could not be published today.
            names = expand_names(shock.user, args.names, retired=args.undo)
        else:
            names = [name_of_retired(shock, args.node)]
        if args.node and len(names) > 1:
            raise UsageError("--node ID names one node: give one name with it")
        change = restore_all if args.undo else retire_all
        nodes = change(shock, names, node_id=args.node, force=args.force, dry_run=args.dry_run)
    return _tell(nodes, args)


def _tell(nodes: Mapping[str, list[str]], args: argparse.Namespace) -> Outcome:
    from skyport_wf.image_list.reference import fits, is_pattern

    what = "published again" if args.undo else "retired"
    value = {"restored" if args.undo else "retired": nodes, "dry_run": args.dry_run}
    lines = [
        f"{name or 'an image without a name'} {'would be' if args.dry_run else 'is'} {what} (node {', '.join(found)})"
        if found
        else f"{name} is published, nothing is retired"
        for name, found in nodes.items()
    ]
    idle = [word for word in args.names if is_pattern(word) and not any(fits(name, [word]) for name in nodes)]
    lines += [f"nothing that fits {word} is retired" for word in idle]
    return Outcome(value, "\n".join(lines))
