"""`skyport-wf pull NAME`."""

import argparse

from skyport_wf.cli.arguments import add_image_list, input_file, opened_shock, output_file
from skyport_wf.cli.outcome import Outcome, short_id
from skyport_wf.cli.progress import progress_bar
from skyport_wf.errors import UsageError
from skyport_wf.formatting import human_size, printable

EXAMPLES = (
    "skyport-wf pull my-lab/tool:1.0",
    "skyport-wf pull my-lab/tool:1.0 --output tool.tar.gz",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("name", metavar="NAME", nargs="?", help="REPO[:TAG], as an AWE task names it")
    add_image_list(parser)
    parser.add_argument(
        "--output", type=output_file, metavar="FILE",
        help="write the archive to FILE, uncompressed if that ends in .tar; needs no engine",
    )  # fmt: skip
    parser.add_argument("--receipt", type=input_file, metavar="FILE", help="with --output: the image of this receipt")


def run(args: argparse.Namespace) -> Outcome:
    """Load the image that an AWE worker would get into the engine, and tag it."""
    from skyport_wf.engine.connection import connect
    from skyport_wf.transfer.pull import pull

    if args.name is None and args.receipt is None:
        raise UsageError("name the image, or with --output its --receipt")
    if args.name is not None and args.receipt is not None:
        raise UsageError("give the image's name or its --receipt, not both")
    if args.receipt and not args.output:
        raise UsageError("--receipt is for --output: an engine gets an image by its name")
    if args.output:
        return _fetch(args)
    with opened_shock(args) as shock, progress_bar(args, f"pull {args.name}") as progress:
        pulled = pull(shock, connect(), args.name, progress=progress)
    how = (
        f"{human_size(pulled.downloaded)} loaded from node {pulled.node}" if pulled.downloaded else "the engine had it"
    )
    if pulled.bases:
        which = "base image" if len(pulled.bases) == 1 else "base images"
        how = f"{human_size(pulled.downloaded)} loaded, with its {which} {', '.join(pulled.bases)}"
    return Outcome(pulled, f"{pulled.name} is image {short_id(pulled.image_id)} ({how})")


def _fetch(args: argparse.Namespace) -> Outcome:
    from skyport_wf.records.files import read_record
    from skyport_wf.records.receipt import Receipt
    from skyport_wf.transfer.fetch import fetch, find_node

    receipt = read_record(args.receipt, Receipt) if args.receipt else None
    with opened_shock(args, url=receipt.shock if receipt else None) as shock:
        node = find_node(shock, args.name, receipt)
        with progress_bar(args, f"pull {args.output}") as progress:
            fetched = fetch(shock, node, args.output, progress=progress)
    how = f"{human_size(fetched.downloaded)} from node {fetched.node}" if fetched.downloaded else "it was there"
    return Outcome(
        fetched, f"{fetched.path} holds {printable(fetched.name)}, image {short_id(fetched.image_id)} ({how})"
    )
