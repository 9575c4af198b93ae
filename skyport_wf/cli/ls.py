"""`skyport-wf ls`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from skyport_wf.cli.absent_names import tell_absent
from skyport_wf.cli.arguments import add_image_list, opened_shock
from skyport_wf.cli.colours import state
from skyport_wf.cli.outcome import Outcome, Table, short_id, table
from skyport_wf.formatting import count, human_size, one_line, printable

if TYPE_CHECKING:
    from skyport_wf.inspection.listing import ListedImage, Space
    from skyport_wf.publication.connection import Shock

SORT_KEYS: Final = ("created", "changed", "name", "size", "state", "owner")
_SECONDS: Final = len("2026-11-26T20:20:25")
EXAMPLES = (
    "skyport-wf ls",
    "skyport-wf ls 'my-lab/*'",
    "skyport-wf ls --all --long --sort size",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="only images of this name: REPO:TAG, REPO, or either with * ? [...]"
    )
    parser.add_argument("--all", "-a", action="store_true", help="also retired, replaced and unfinished ones")
    parser.add_argument("--long", "-l", action="store_true", help="also owner, readers and last change, and totals")
    parser.add_argument(
        "--filter", action="append", default=[], metavar="KEY=VALUE",
        help="only images with state=, owner=, readers=, platform=, label= (may have * ? [...]), larger= or smaller= "
        "than 1GB, older= or newer= than 90d; several times: all of them",
    )  # fmt: skip
    parser.add_argument("--sort", choices=SORT_KEYS, default="created", help="the order (default: %(default)s)")
    parser.add_argument("--reverse", "-r", action="store_true", help="the other way round")
    parser.add_argument(
        "--format", choices=("table", "tsv", "names"), default="table",
        help="a table for people, lines with tabs and whole values, or names alone (default: %(default)s)",
    )  # fmt: skip
    add_image_list(parser)


def run(args: argparse.Namespace) -> Outcome:
    """List the images that the Shock has, newest first."""
    from skyport_wf.inspection.listing import measure

    with opened_shock(args) as shock:
        listed, absent = _find(shock, args)
    space = measure([one.image for one in listed])
    value: dict[str, object] = {"images": [_describe(one, long=args.long) for one in listed]}
    if args.long or args.all:
        value["space"] = space
    if args.format == "names":
        return Outcome(value, "\n".join(dict.fromkeys(printable(one.image.name) for one in listed)))
    if args.format == "tsv":
        return Outcome(value, "\n".join("\t".join(line) for line in _tsv(listed)))
    text = _text(listed, space, args) if listed else [] if absent else [_nothing(args)]
    return Outcome(value, [*text, "\n".join(absent)])


def _nothing(args: argparse.Namespace) -> str:
    """Return that there is nothing to list, though each name fits an image, or none is given."""
    which = f" {', '.join(map(printable, args.names))}" if args.names else ""
    which += " that fits" if args.filter else ""
    more = "; `--all` looks at retired, replaced and unfinished ones, too" if args.filter and not args.all else ""
    return f"no image{which} is {'here' if args.all else 'published here'}{more}"


def _find(shock: Shock, args: argparse.Namespace) -> tuple[list[ListedImage], list[str]]:
    """Return the images in their order, and what to say of names that no image has."""
    from skyport_wf.inspection.filtering import needs_access, parse_filter
    from skyport_wf.inspection.listing import ListedImage, add_access, sort_images
    from skyport_wf.publication.inventory import list_images

    about_access = [parse_filter(text) for text in args.filter if needs_access(text)]
    others = [parse_filter(text) for text in args.filter if not needs_access(text)]
    images = list_images(shock.user, args.names, hidden=args.all)
    absent = tell_absent(shock, args.names, images, hidden=args.all)
    listed = [ListedImage(image, "", "everyone") for image in images]
    # First those that need no question for each image.
    listed = [one for one in listed if all(condition(one) for condition in others)]
    if args.long or args.sort == "owner" or args.format == "tsv" or about_access:
        listed = add_access(shock, [one.image for one in listed])
    listed = [one for one in listed if all(condition(one) for condition in about_access)]
    return sort_images(listed, args.sort, reverse=args.reverse), list(absent.values())


def _text(listed: Sequence[ListedImage], space: Space, args: argparse.Namespace) -> list[str | Table]:
    head = ["IMAGE", "STATE", "IMAGE ID", "SIZE", "CREATED", "NODE"]
    rows = [
        [image.name, state(image.state), short_id(_id(one)), human_size(image.node.file.size),
         _time(image.node.created_on), image.node.id]
        for one in listed
        for image in (one.image,)
    ]  # fmt: skip
    if args.long:
        head[5:5] = ["CHANGED", "OWNER", "READERS"]
        for row, one in zip(rows, listed, strict=True):
            row[5:5] = [_time(one.image.node.last_modified), one.owner or "-", one.readable_by]
    notes = [
        f"{one_line(one.image.name)} ({one.image.node.id}): {'; '.join(one.image.notes)}"
        for one in listed
        if one.image.notes
    ]
    paragraphs: list[str | Table] = [table(head, rows), "\n".join(notes)]
    if args.long or args.all:
        total = f"{count(len(listed), 'image')}, {human_size(space.stored)} stored"
        shared = space.named - space.stored
        total += f"; {human_size(shared)} more are shared" if shared else ""
        paragraphs.append(total + (f"; {human_size(space.reclaimable)} can be deleted" if space.reclaimable else ""))
    return paragraphs


def _tsv(listed: Sequence[ListedImage]) -> list[list[str]]:
    """Return the lines for programs: bytes, whole ids and times as Shock has them; a heading first."""
    lines = [["name", "state", "image_id", "size", "created", "changed", "owner", "readers", "node"]]
    for one in listed:
        node = one.image.node
        cells = (
            one.image.name, one.image.state, _id(one), node.file.size, node.created_on, node.last_modified, one.owner,
            one.readable_by, node.id,
        )  # fmt: skip
        lines.append([printable(str(cell)).replace("\t", " ") for cell in cells])
    return lines


def _time(text: str) -> str:
    # With a space, day and time can go below each other.
    return text[:_SECONDS].replace("T", " ")


def _id(one: ListedImage) -> str:
    return str((one.image.node.attributes or {}).get("id") or "")


def _describe(one: ListedImage, *, long: bool) -> dict[str, object]:
    node = one.image.node
    attributes = node.attributes or {}
    return {
        "name": attributes.get("name"),
        "state": one.image.state,
        "image_id": attributes.get("id"),
        "size": node.file.size,
        "created_on": node.created_on,
        "last_modified": node.last_modified,
        "expiration": node.expiration if node.expires else None,
        "node": node.id,
        "notes": one.image.notes,
        **({"owner": one.owner or None, "readable_by": one.readable_by} if long else {}),
    }
