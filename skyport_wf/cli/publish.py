"""`skyport-wf publish`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from skyport_wf.cli.arguments import (
    KEY_HELP,
    add_image_list,
    check_names_or_all,
    fill_key,
    output_file,
    require_key,
    whole_number,
)
from skyport_wf.cli.messages import build_output
from skyport_wf.cli.outcome import Outcome, table
from skyport_wf.cli.progress import nth, progress_bar
from skyport_wf.cli.publish_queue import Ended, PublishQueue, failed, publish_in_turn, summarise
from skyport_wf.errors import EXIT_FAILED, SkyportError, UsageError
from skyport_wf.formatting import count
from skyport_wf.image_list.place import lock_beside

if TYPE_CHECKING:
    from pathlib import Path

    from skyport_wf.image_list.reference import ImageReference
    from skyport_wf.image_list.spec import ImageSpec, ShockSettings
    from skyport_wf.progress import Progress
    from skyport_wf.publication.connection import Shock
    from skyport_wf.records.receipt import Receipt
    from skyport_wf.sources.resolution import ResolvedImage


EXAMPLES = (
    "skyport-wf publish --all --dry-run",
    "skyport-wf publish my-lab/tool:1.0",
    "skyport-wf publish --all --jobs 4 --keep-going",
    "skyport-wf publish --all --record 'receipts/{key}.json'",
)
_MOST_JOBS = 100
"""Images that are published at once: each is a process, with an archive on its way."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="images of the list, also with * ? [...]")
    parser.add_argument("--all", action="store_true", help="publish every image of the list")
    parser.add_argument("--one", action="store_true", help="publish nothing if several images are meant")
    add_image_list(parser)
    parser.add_argument("--private", action="store_true", help="let only the owner read the images")
    parser.add_argument("--dry-run", "-n", action="store_true", help="say what would be done, and send nothing")
    jobs = whole_number(f"a number from 1 to {_MOST_JOBS}", least=1, most=_MOST_JOBS)
    parser.add_argument(
        "--jobs", "-j", type=jobs, default=1, metavar="N", help="publish up to N images at once (default: 1)"
    )
    parser.add_argument(
        "--keep-going", "-k", action="store_true",
        help="after a failure, go on with the images that do not need the one that failed",
    )  # fmt: skip
    # For a command that was started by another one.
    parser.add_argument("--progress-to", type=int, metavar="FD", help=argparse.SUPPRESS)
    parser.add_argument(
        "--record", type=output_file, metavar="FILE",
        help=f"write the receipt to FILE, and a lock file only where --lock says; {KEY_HELP}",
    )  # fmt: skip
    parser.add_argument(
        "--sbom",
        type=output_file,
        metavar="FILE",
        help=f"write the packages in the image as CycloneDX JSON; {KEY_HELP}",
    )
    parser.add_argument(
        "--lock", type=output_file, metavar="FILE", help="the lock file (default: beside the image list)"
    )


def run(args: argparse.Namespace) -> Outcome:
    """Publish the images, each after those that it is built on, and write what is said of them as it goes."""
    from skyport_wf.image_list.images_yaml import read_image_list
    from skyport_wf.image_list.spec import make_private
    from skyport_wf.publication.connection import open_shock
    from skyport_wf.records.files import check_receipt_files
    from skyport_wf.sources.resolution import resolve_images

    check_names_or_all(args)
    images = read_image_list(args.images)
    images = make_private(images) if args.private else images
    names = [image.name for image in images.choose(args.names)]
    if args.one and len(names) != 1:
        raise UsageError(f"--one: {' '.join(args.names) or '--all'} means {count(len(names), 'image')}. Name one.")
    if len(names) > 1:
        require_key("--record", args.record)
        require_key("--sbom", args.sbom)
    # What cannot be written is said before anything is published.
    records, packages = (
        [fill_key(path, images.find(name).reference) for name in names] if path else []
        for path in (args.record, args.sbom)
    )
    check_receipt_files(records, _lock_of(args), names, packages=packages)
    # Of an address that does not give its image, a dry run says so and goes on, as `status` does.
    unknown: dict[str, SkyportError] | None = {} if args.dry_run or args.keep_going else None
    resolved = resolve_images(images, args.images.parent, names, unknown=unknown)
    chosen = [image for name, image in resolved.items() if name in names]
    set_apart = {name: error for name, error in (unknown or {}).items() if name in names}
    with open_shock(images.shock) as shock:
        if args.dry_run:
            return _rehearse(
                chosen, [(images.find(name), error) for name, error in set_apart.items()], images.shock, shock
            )
        return _publish(chosen, [failed(name, error) for name, error in set_apart.items()], images.shock, shock, args)


def _publish(
    chosen: Sequence[ResolvedImage],
    set_apart: Sequence[Ended],
    settings: ShockSettings,
    shock: Shock,
    args: argparse.Namespace,
) -> Outcome:
    from skyport_wf.engine.connection import one_connection
    from skyport_wf.steps.build import check_builds

    connect = one_connection()

    def publish_one(image: ResolvedImage, number: int) -> Ended:
        from skyport_wf.steps.publish import publish

        name = image.spec.name
        with _progress(args, nth(f"publish {name}", number, len(chosen))) as progress:
            published = publish(image, settings, shock, connect=connect, output=build_output(args), progress=progress)
        _write_files(published.receipt, image.spec.reference, shock, args)
        return Ended(name, published.how, published.receipt)

    is_single = len(chosen) == 1 and not set_apart
    if is_single or not args.keep_going:
        check_builds(chosen, settings, shock, connect)
    if is_single:
        return summarise([publish_one(chosen[0], 1)])
    queue = PublishQueue(chosen, keep_going=args.keep_going)
    if args.jobs > 1:
        from skyport_wf.cli.side_by_side import publish_side_by_side

        publish_side_by_side(queue, args)
    else:
        publish_in_turn(queue, publish_one)
    return summarise([*(queue.ended[image.spec.name] for image in chosen), *set_apart])


def _progress(args: argparse.Namespace, title: str) -> AbstractContextManager[Progress]:
    """Return what shows the progress of an image, or tells it to the command that started this one."""
    if args.progress_to is None:
        return progress_bar(args, title)
    from skyport_wf.cli.side_by_side import ToldProgress

    return nullcontext(ToldProgress(args.progress_to))


def _write_files(receipt: Receipt, reference: ImageReference, shock: Shock, args: argparse.Namespace) -> None:
    """Write receipt, lock file and packages where the command line wants them.

    No receipt goes to Snakemake's folders by itself: it would lack what Snakemake notes of its own files, and later
    edits would go unseen.
    """
    from skyport_wf.records.files import update_lock, write_packages, write_record

    if args.record:
        write_record(fill_key(args.record, reference), receipt)
    if lock := _lock_of(args):
        update_lock(lock, [receipt])
    if args.sbom:
        from skyport_wf.image.examination.sbom import make_sbom
        from skyport_wf.inspection.packages import list_packages

        with progress_bar(args, f"read {receipt.name}") as progress:
            listed = list_packages(receipt, shock, progress=progress)
        write_packages(fill_key(args.sbom, reference), make_sbom(receipt.name, listed))


def _lock_of(args: argparse.Namespace) -> Path | None:
    """Return the lock file to write, if any."""
    # A workflow engine's job must not write beside the image list, which is its input.
    lock: Path | None = args.lock or (None if args.record else lock_beside(args.images))
    return lock


def _rehearse(
    chosen: Sequence[ResolvedImage],
    set_apart: Sequence[tuple[ImageSpec, SkyportError]],
    settings: ShockSettings,
    shock: Shock,
) -> Outcome:
    from skyport_wf.engine.connection import one_connection
    from skyport_wf.inspection.status import read_status, unknown_status
    from skyport_wf.publication.published import PublishedNames

    names = PublishedNames(shock, [image.spec.name for image in chosen])
    connect = one_connection()
    rows = [read_status(image, settings, shock, connect=connect, names=names) for image in chosen]
    rows += [unknown_status(spec, error) for spec, error in set_apart]
    listed = table(("IMAGE", "WOULD"), [(row.name, row.next) for row in rows])
    if not (failing := sum(row.would_fail for row in rows)):
        return Outcome({"dry_run": rows}, listed)
    what = f"{failing} of {count(len(rows), 'image')} would fail"
    return Outcome({"dry_run": rows, "error": what, "exit_code": EXIT_FAILED}, listed, EXIT_FAILED)
