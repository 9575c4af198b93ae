"""`skyport-wf retire NAME`."""

import argparse

from skyport_wf.cli.arguments import add_image_list, read_settings
from skyport_wf.cli.outcome import Outcome


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("name", metavar="NAME", help="REPO:TAG")
    parser.add_argument("--force", action="store_true", help="even if other published images are thin on it")
    add_image_list(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Take the name off a published image; its node stays, for those who know its id."""
    from skyport_wf.image_list.reference import parse_reference
    from skyport_wf.publication.connect import open_shock
    from skyport_wf.publication.retire import retire

    name = str(parse_reference(args.name))
    nodes = retire(open_shock(read_settings(args)), name, force=args.force)
    return Outcome({"name": name, "retired": nodes}, f"{name} is retired (node {', '.join(nodes)})")
