"""`skyport-wf publish`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from skyport_wf.cli.arguments import KEY_HELP, add_image_list, fill_key, progress_bar
from skyport_wf.cli.messages import build_output
from skyport_wf.cli.outcome import Outcome, table
from skyport_wf.errors import EXIT_DONE, EXIT_FAILED, UsageError
from skyport_wf.formatting import human_size

if TYPE_CHECKING:
    from skyport_wf.image_list.spec import ImageList, ImageSpec
    from skyport_wf.records.records import Receipt


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="REPO:TAG of images of the list")
    parser.add_argument("--all", action="store_true", help="publish every image of the list")
    add_image_list(parser)
    parser.add_argument("--private", action="store_true", help="let only the owner read the images")
    parser.add_argument("--dry-run", "-n", action="store_true", help="say what would be done, and send nothing")
    parser.add_argument(
        "--record", type=Path, metavar="FILE",
        help=f"write the receipt to FILE, and a lock file only where --lock says; {KEY_HELP}",
    )  # fmt: skip
    parser.add_argument(
        "--sbom", type=Path, metavar="FILE", help=f"write the packages in the image as CycloneDX JSON; {KEY_HELP}"
    )
    parser.add_argument("--lock", type=Path, metavar="FILE", help="the lock file (default: beside the image list)")


def run(args: argparse.Namespace) -> Outcome:
    """Publish the images, each after those that it is built on, and write what is said of them as it goes."""
    from skyport_wf.image_list.images_yaml import read_image_list
    from skyport_wf.steps.publish import private

    images = read_image_list(args.images)
    chosen = _choose(args, private(images) if args.private else images)
    images = private(images) if args.private else images
    return _rehearse(chosen, images, args) if args.dry_run else _publish(chosen, images, args)


def _choose(args: argparse.Namespace, images: ImageList) -> list[ImageSpec]:
    """Return the images that are asked for, in building order."""
    from skyport_wf.sources.order import order_images, with_needs

    if args.all == bool(args.names):
        raise UsageError("name the images to publish, or give --all")
    names = {images.find(name).name for name in args.names}
    listed = images if args.all else with_needs(images, args.images.parent, names)
    chosen = [image for image in order_images(listed, args.images.parent) if args.all or image.name in names]
    for option, path in {"--record": args.record, "--sbom": args.sbom}.items():
        if path and len({fill_key(path, image.reference) for image in chosen}) < len(chosen):
            raise UsageError(f"{option} {path}: each image needs a file of its own. Put {{key}} into the name.")
    return chosen


def _publish(chosen: list[ImageSpec], images: ImageList, args: argparse.Namespace) -> Outcome:
    from skyport_wf.steps.publish import publish

    receipts = []
    for image in chosen:
        with progress_bar(args, f"publish {image.name}") as progress:
            receipt = publish(image, images, args.images.parent, output=build_output(args), progress=progress)
        _record(receipt, image, args)
        if args.sbom:
            _list_packages(receipt, images, args)
        receipts.append(receipt)
    rows = [(receipt.name, human_size(receipt.size), receipt.download_url) for receipt in receipts]
    return Outcome({"published": receipts}, table(("IMAGE", "SIZE", "DOWNLOAD"), rows))


def _record(receipt: Receipt, image: ImageSpec, args: argparse.Namespace) -> None:
    """Write the receipt and the lock file where the command line wants them.

    No receipt goes to Snakemake's folders by itself: it would lack what Snakemake notes of its own files, and later
    edits would go unseen.
    """
    from skyport_wf.records.files import write_record
    from skyport_wf.steps.publish import update_lock

    if args.record:
        write_record(fill_key(args.record, image.reference), receipt)
    # A workflow engine's job must not write beside the image list, which is its input.
    lock = args.lock or (None if args.record else args.images.parent / "images.lock.json")
    if lock:
        update_lock(receipt, lock)


def _list_packages(receipt: Receipt, images: ImageList, args: argparse.Namespace) -> None:
    from skyport_wf.image_list.reference import parse_reference
    from skyport_wf.inspection.packages import list_packages
    from skyport_wf.records.files import write_document

    with progress_bar(args, f"read {receipt.name}", receipt.size) as progress:
        listed = list_packages(receipt, images.shock, progress=progress)
    write_document(fill_key(args.sbom, parse_reference(receipt.name)), listed.document)


def _rehearse(chosen: list[ImageSpec], images: ImageList, args: argparse.Namespace) -> Outcome:
    from skyport_wf.inspection.status import FAILING, read_status

    rows = [read_status(image, images, args.images.parent) for image in chosen]
    code = EXIT_FAILED if any(row.state in FAILING for row in rows) else EXIT_DONE
    return Outcome({"dry_run": rows}, table(("IMAGE", "WOULD"), [(row.name, row.next) for row in rows]), code)
