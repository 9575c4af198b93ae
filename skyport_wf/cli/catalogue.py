"""`skyport-wf catalogue --out DIR`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from skyport_wf.cli.arguments import add_image_list, any_path, opened_shock
from skyport_wf.cli.outcome import Outcome
from skyport_wf.cli.progress import progress_bar
from skyport_wf.errors import ShockError
from skyport_wf.formatting import count

if TYPE_CHECKING:
    from skyport_wf.pages.catalogue import FixedCatalogue
    from skyport_wf.publication.connection import Shock

EXAMPLES = (
    "skyport-wf catalogue --out public",
    "SHOCK_URL=https://shock.example.org skyport-wf catalogue --out public --title 'Images of the lab'",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "--out", type=any_path, required=True, metavar="DIR", help="the folder to write; made if need be"
    )
    parser.add_argument("--title", metavar="TEXT", help="what the pages call the Shock (default: its address)")
    parser.add_argument(
        "--private", action="store_true", help="also images that only listed users may read, you among them"
    )
    parser.add_argument(
        "--read", action="store_true", help="read each image once, for its wasted bytes, and packages no node lists"
    )
    add_image_list(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Write a page for each image, and the list of them."""
    from skyport_wf.pages.folder import write_folder
    from skyport_wf.pages.site import make_pages

    with opened_shock(args) as shock, progress_bar(args, "read") as progress:
        catalogue = _catalogue(args, shock)
        title = args.title or f"Images on {shock.name}"
        pages = make_pages(catalogue, title=title, reading=progress if args.read else None)
        done = write_folder(args.out, pages)
        images = len(catalogue.entries())
    text = f"{count(images, 'image')} in {args.out}: {count(done.written, 'file')} written, {done.unchanged} unchanged"
    text += f", {done.removed} removed" if done.removed else ""
    return Outcome({"images": images, "out": str(args.out), "files": done}, text)


def _catalogue(args: argparse.Namespace, shock: Shock) -> FixedCatalogue:
    from skyport_wf.pages.catalogue import FixedCatalogue
    from skyport_wf.pages.details import Place
    from skyport_wf.pages.findings import FindingsStore

    if not args.private and "read" not in shock.anonymous_rights:
        raise ShockError(
            f"{shock.name} tells nothing to those without a token, so there are no images that everyone may read. "
            "--private lists those that you may."
        )
    place = Place(shock.url, shock.download_base, shock.registry)
    return FixedCatalogue(shock.user if args.private else shock.anybody, shock.anybody, FindingsStore(), place)
