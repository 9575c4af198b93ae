"""`skyport-wf catalogue --out DIR`."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from skyport_wf.cli.arguments import add_image_list, opened_shock
from skyport_wf.cli.outcome import Outcome
from skyport_wf.formatting import count

if TYPE_CHECKING:
    from skyport_wf.pages.catalogue import Catalogue
    from skyport_wf.publication.connection import Shock

EXAMPLES = (
    "skyport-wf catalogue --out public",
    "SHOCK_URL=https://shock.example.org skyport-wf catalogue --out public --title 'Images of the lab'",
)

_log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to write; made if need be")
    parser.add_argument("--title", metavar="TEXT", help="what the pages call the Shock (default: its address)")
    parser.add_argument(
        "--private", action="store_true", help="also images that only listed users may read, you among them"
    )
    parser.add_argument(
        "--no-packages", action="store_true", help="read no image; packages are there of those that were read before"
    )
    parser.add_argument(
        "--registry", metavar="HOST[:PORT]", help="a registry that has the images, for lines with `docker pull`"
    )
    add_image_list(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Write a page for each image, and the list of them."""
    from skyport_wf.pages.folder import write_folder
    from skyport_wf.pages.site import make_pages

    with opened_shock(args) as shock:
        catalogue = _catalogue(args, shock)
        reading = None if args.no_packages else lambda entry: _log.info("%s: looking into it", entry.name)
        title = args.title or f"Images on {shock.name}"
        done = write_folder(args.out, make_pages(catalogue, title=title, reading=reading))
        images = len(catalogue.entries())
    text = f"{count(images, 'image')} in {args.out}: {count(done.written, 'file')} written, {done.unchanged} unchanged"
    text += f", {done.removed} removed" if done.removed else ""
    return Outcome({"images": images, "out": str(args.out), "files": done}, text)


def _catalogue(args: argparse.Namespace, shock: Shock) -> Catalogue:
    from skyport_wf.pages.catalogue import Catalogue
    from skyport_wf.pages.details import Place
    from skyport_wf.pages.findings import FindingsStore
    from skyport_wf.pages.listing import Listing

    place = Place(shock.url, shock.download_base, args.registry)
    reader = shock.user if args.private else shock.anybody
    return Catalogue(reader, shock.anybody, FindingsStore(), place, Listing())
