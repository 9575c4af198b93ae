"""`skyport-wf pull NAME`."""

import argparse

from skyport_wf.cli.arguments import add_image_list, opened_shock, progress_bar
from skyport_wf.cli.outcome import Outcome, short_id
from skyport_wf.formatting import human_size

EXAMPLES = ("skyport-wf pull my-lab/tool:1.0",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("name", metavar="NAME", help="REPO[:TAG], as an AWE task names it")
    add_image_list(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Load the image that an AWE worker would get into the engine, and tag it."""
    from skyport_wf.transfer.pull import pull

    with opened_shock(args) as shock, progress_bar(args, f"pull {args.name}") as progress:
        pulled = pull(shock, args.name, progress=progress)
    how = (
        f"{human_size(pulled.downloaded)} loaded from node {pulled.node}" if pulled.downloaded else "the engine had it"
    )
    if pulled.bases:
        how = f"{human_size(pulled.downloaded)} loaded, with its base images {', '.join(pulled.bases)}"
    return Outcome(pulled, f"{pulled.name} is image {short_id(pulled.image_id)} ({how})")
