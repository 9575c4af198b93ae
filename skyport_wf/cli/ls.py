"""`skyport-wf ls`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from skyport_wf.cli.arguments import add_image_list, opened_shock
from skyport_wf.cli.outcome import Outcome, short_id, table
from skyport_wf.formatting import human_size

if TYPE_CHECKING:
    from skyport_wf.shock.node import Node


EXAMPLES = (
    "skyport-wf ls",
    "skyport-wf ls my-lab/tool",
    "skyport-wf ls 'my-lab/*'",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("repository", nargs="?", metavar="REPO", help="only this repository's images")
    add_image_list(parser)


def run(args: argparse.Namespace) -> Outcome:
    """List the images that the Shock has, newest first."""
    from skyport_wf.publication.awe_lookup import IMAGE_TYPE

    query = {"type": IMAGE_TYPE} | ({"repository": args.repository} if args.repository else {})
    with opened_shock(args) as shock:
        nodes = shock.user.query(query)
    images = [_describe(node) for node in nodes]
    rows = [
        (image["name"], short_id(str(image["image_id"])), human_size(node.file.size), node.created_on[:19], node.id)
        for image, node in zip(images, nodes, strict=True)
    ]
    return Outcome({"images": images}, table(("IMAGE", "IMAGE ID", "SIZE", "CREATED", "NODE"), rows))


def _describe(node: Node) -> dict[str, object]:
    attributes = node.attributes or {}
    return {
        "name": attributes.get("name"),
        "image_id": attributes.get("id"),
        "size": node.file.size,
        "created_on": node.created_on,
        "node": node.id,
    }
