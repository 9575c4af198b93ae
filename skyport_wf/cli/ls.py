"""`skyport-wf ls`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from skyport_wf.cli.arguments import add_image_list, opened_shock
from skyport_wf.cli.outcome import Outcome, short_id, table
from skyport_wf.formatting import count, human_size, printable

if TYPE_CHECKING:
    from skyport_wf.publication.inventory import StoredImage


EXAMPLES = (
    "skyport-wf ls",
    "skyport-wf ls my-lab/tool",
    "skyport-wf ls 'my-lab/*'",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "patterns", nargs="*", metavar="NAME", help="only images of this name: REPO:TAG, REPO, or either with * ? [...]"
    )
    parser.add_argument("--all", "-a", action="store_true", help="also retired, replaced and unfinished ones")
    add_image_list(parser)


def run(args: argparse.Namespace) -> Outcome:
    """List the images that the Shock has, newest first."""
    from skyport_wf.publication.inventory import list_images

    with opened_shock(args) as shock:
        images = list_images(shock.user, args.patterns, hidden=args.all)
    rows = [
        (
            image.name,
            image.state,
            short_id(str(_attribute(image, "id") or "")),
            human_size(image.node.file.size),
            image.node.created_on[:19],
            image.node.id,
        )
        for image in images
    ]
    listed = table(("IMAGE", "STATE", "IMAGE ID", "SIZE", "CREATED", "NODE"), rows)
    notes = [f"{printable(image.name)} ({image.node.id}): {'; '.join(image.notes)}" for image in images if image.notes]
    total = f"{count(len(images), 'image')}, {human_size(sum(image.node.file.size for image in images))}"
    paragraphs = (listed, "\n".join(notes), total if args.all else "")
    return Outcome({"images": [_describe(image) for image in images]}, "\n\n".join(filter(None, paragraphs)))


def _attribute(image: StoredImage, key: str) -> object:
    return (image.node.attributes or {}).get(key)


def _describe(image: StoredImage) -> dict[str, object]:
    node = image.node
    return {
        "name": _attribute(image, "name"),
        "state": image.state,
        "image_id": _attribute(image, "id"),
        "size": node.file.size,
        "created_on": node.created_on,
        "last_modified": node.last_modified,
        "expiration": node.expiration if node.expires else None,
        "node": node.id,
        "notes": image.notes,
    }
