"""`skyport-wf resolve REPO[:TAG]`."""

import argparse

from skyport_wf.cli.arguments import add_image_list, read_settings
from skyport_wf.cli.outcome import Outcome
from skyport_wf.formatting import human_size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("name", metavar="REPO[:TAG]", help="as a task names it; without a tag, the highest there is")
    parser.add_argument("--anonymous", action="store_true", help="as a worker without a token")
    add_image_list(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Say which node an AWE worker would get, or why it would get none."""
    from skyport_wf.publication.connect import download_base, open_shock
    from skyport_wf.publication.resolve import resolve

    settings = read_settings(args)
    node = resolve(open_shock(settings, anonymous=args.anonymous), args.name)
    attributes = node.attributes or {}
    found = {
        "asked": args.name,
        "name": attributes.get("name"),
        "image_id": attributes["id"],
        "node": node.id,
        "download_url": f"{download_base(settings)}/node/{node.id}?download",
        "size": node.file.size,
        "md5": node.file.checksum.md5,
    }
    text = "\n".join(
        (
            f"{found['name']}  {found['image_id']}",
            f"node {node.id}, {human_size(node.file.size)}, MD5 {node.file.checksum.md5}",
            str(found["download_url"]),
        )
    )
    return Outcome(found, text)
