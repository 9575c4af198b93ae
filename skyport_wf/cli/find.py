"""`skyport-wf find --package NAME [CONDITION]`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from skyport_wf.cli.absent_names import tell_absent
from skyport_wf.cli.arguments import add_image_list, opened_shock
from skyport_wf.cli.outcome import Outcome, Table, table
from skyport_wf.formatting import count, one_line, printable

if TYPE_CHECKING:
    from skyport_wf.inspection.find import Found
    from skyport_wf.publication.inventory import StoredImage

_SHOWN = 5
"""Names of images that a note tells."""
EXAMPLES = (
    "skyport-wf find --package openssl '<3'",
    "skyport-wf find 'my-lab/*' --package samtools '>=1.10,<1.17'",
    "skyport-wf find --package r-base --package 'biocgenerics'",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="only images of this name: REPO:TAG, REPO, or either with * ? [...]"
    )
    parser.add_argument(
        "--package", "-p", nargs="+", action="append", required=True, metavar="WORD",
        help="a package's name, may have * ? [...], and conditions for its version in quotes: openssl '<3'. Several "
        "times: images that have all of them",
    )  # fmt: skip
    parser.add_argument("--all", "-a", action="store_true", help="also in retired and replaced images")
    add_image_list(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Find the images that have a package, by the lists on their nodes; no image is read."""
    from skyport_wf.inspection.find import find_packages, parse_wanted
    from skyport_wf.publication.inventory import list_images

    wanted = [parse_wanted(words) for words in args.package]
    with opened_shock(args) as shock:
        images = [
            image for image in list_images(shock.user, args.names, hidden=args.all) if image.state != "unfinished"
        ]
        absent = tell_absent(shock, args.names, images, hidden=args.all)
    found = find_packages(images, wanted)
    value = {
        "searched": len(images),
        "images": [
            {**_describe(one.image), "image_id": (one.image.node.attributes or {}).get("id"), "packages": one.packages}
            for one in found.images
        ],
        "unlisted": [_describe(image) for image in found.unlisted],
        "incomplete": [_describe(image) for image in found.incomplete],
        "notes": found.notes,
    }
    answer = _text(found, len(images)) if images or not absent else []
    return Outcome(value, [*answer, "\n".join(absent.values())])


def _describe(image: StoredImage) -> dict[str, object]:
    return {"name": image.name, "state": image.state, "node": image.node.id}


def _text(found: Found, searched: int) -> list[str | Table]:
    from skyport_wf.image.examination.report import KINDS

    rows = [
        (one.image.name, package.name, package.version, KINDS[package.kind])
        for one in found.images
        for package in one.packages
    ]
    total = f"{len(found.images)} of {count(searched, 'image')}"
    paragraphs: list[str | Table] = [
        table(("IMAGE", "PACKAGE", "VERSION", "KIND"), rows) if rows else "",
        total,
        *map(printable, found.notes),
    ]
    if found.unlisted:
        paragraphs.append(
            f"Not known of {_names(found.unlisted)}: their nodes have no list of packages. `skyport-wf adopt NAME` "
            "reads an image and adds it."
        )
    if found.incomplete:
        paragraphs.append(
            f"Not all packages are listed of {_names(found.incomplete)}. `skyport-wf show NAME` says why."
        )
    return paragraphs


def _names(images: Sequence[StoredImage]) -> str:
    more = f" and {len(images) - _SHOWN} more" if len(images) > _SHOWN else ""
    return ", ".join(one_line(image.name) or f"node {image.node.id}" for image in images[:_SHOWN]) + more
