"""`skyport-wf du [NAME...]`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from skyport_wf.cli.absent_names import tell_absent
from skyport_wf.cli.arguments import add_image_list, opened_shock
from skyport_wf.cli.outcome import Outcome, table
from skyport_wf.formatting import human_size, printable

if TYPE_CHECKING:
    from skyport_wf.inspection.listing import Space

EXAMPLES = (
    "skyport-wf du",
    "skyport-wf du 'my-lab/*'",
    "skyport-wf du --by owner",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="only images of this name: REPO:TAG, REPO, or either with * ? [...]"
    )
    parser.add_argument(
        "--by", choices=("repository", "owner", "state"), default="repository", help="the groups (default: %(default)s)"
    )
    add_image_list(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Say how much space the images take: stored, shared, and what `delete` would free; in any state."""
    from skyport_wf.image_list.reference import fits
    from skyport_wf.inspection.listing import ListedImage, add_access, kept_files, measure, measure_groups
    from skyport_wf.publication.inventory import list_images

    with opened_shock(args) as shock:
        # All of them, as others may need a file that a retired image of these names has.
        everything = list_images(shock.user, hidden=True)
        images = [image for image in everything if not args.names or fits(image.name, args.names)]
        absent = tell_absent(shock, args.names, images, hidden=True)
        if args.by == "owner":
            listed = add_access(shock, images)
        else:
            listed = [ListedImage(image, "", "everyone") for image in images]
    kept = kept_files(everything)
    groups, total = measure_groups(listed, args.by, kept=kept), measure(images, kept=kept)
    value = {
        "by": args.by,
        "groups": groups,
        "total": total,
    }
    rows = [_row(printable(name) or "-", space) for name, space in groups.items()]
    head = (args.by.upper(), "IMAGES", "STORED", "SHARED", "RECLAIMABLE")
    if not (images or absent):
        return Outcome(value, "there are no images")
    return Outcome(value, [table(head, [*rows, _row("total", total)]) if images else "", "\n".join(absent.values())])


def _row(name: str, space: Space) -> tuple[object, ...]:
    return (
        name, space.images, human_size(space.stored), _or_dash(space.named - space.stored), _or_dash(space.reclaimable)
    )  # fmt: skip


def _or_dash(size: int) -> str:
    return human_size(size) if size else "-"
