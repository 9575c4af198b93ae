"""`skyport-wf verify`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from skyport_wf.cli.arguments import DEFAULT_RESULTS, add_image_list, any_path, input_file, opened_shock
from skyport_wf.cli.colours import state
from skyport_wf.cli.outcome import Outcome, table
from skyport_wf.cli.parser import did_you_mean
from skyport_wf.cli.progress import progress_bar
from skyport_wf.errors import EXIT_DIFFERENCE, EXIT_DONE, SkyportError, UsageError
from skyport_wf.image_list.place import lock_beside
from skyport_wf.input_file import is_absent

if TYPE_CHECKING:
    from skyport_wf.records.receipt import LockFile

EXAMPLES = (
    "skyport-wf verify",
    "skyport-wf verify 'my-lab/*' --deep",
    "skyport-wf verify --remove-stale",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these images; also with * ? [...]")
    add_image_list(parser)
    parser.add_argument(
        "--lock", type=input_file, metavar="FILE", help="the lock file (default: beside the image list)"
    )
    parser.add_argument(
        "--deep", action="store_true", help="read every byte of the images' files, too, and find what is damaged"
    )
    parser.add_argument(
        "--remove-stale",
        action="store_true",
        help="remove the receipts of images that differ, so that they are made anew",
    )
    parser.add_argument(
        "--results",
        type=any_path,
        default=DEFAULT_RESULTS,
        metavar="DIR",
        help="where receipts are (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> Outcome:
    """Compare what Shock holds with the lock file."""
    from skyport_wf.image_list.images_yaml import read_image_list
    from skyport_wf.inspection.verify import verify
    from skyport_wf.records.files import read_record
    from skyport_wf.records.receipt import LockFile

    lock = read_record(args.lock or lock_beside(args.images), LockFile)
    # Without a list, the lock file is all there is to compare with.
    listed = [] if is_absent(args.images) else [image.name for image in read_image_list(args.images).images]
    if args.names:
        lock, listed = _only(args.names, lock, listed)
    with opened_shock(args) as shock, progress_bar(args, "read") as progress:
        found = list(verify(lock, shock, listed=listed, deep=args.deep, progress=progress))
    # Whether there were any, by folder.
    folders = dict(_remove_records(args.results, image.name) for image in found if args.remove_stale and not image.ok)
    removed = [path for path, were_there in folders.items() if were_there]
    none = [path for path, were_there in folders.items() if not were_there]
    rows = [(image.name, state("ok" if image.ok else "DIFFERS"), image.detail) for image in found]
    code = EXIT_DONE if all(image.ok for image in found) else EXIT_DIFFERENCE
    text = (
        table(("IMAGE", "STATE", "DETAIL"), rows),
        "\n".join(f"removed the records in {path}" for path in removed),
        "\n".join(f"there are no records in {path}: if they are elsewhere, say so with --results" for path in none),
    )
    return Outcome({"images": found, "removed": removed}, text, code)


def _only(words: Sequence[str], lock: LockFile, listed: Sequence[str]) -> tuple[LockFile, list[str]]:
    """Return the lock file and the names of the list without the images that nobody asked for."""
    import msgspec

    from skyport_wf.image_list.reference import fits

    names = {*lock.images, *listed}
    for word in words:
        if not any(fits(name, [word]) for name in names):
            raise UsageError(f"neither the lock file nor the image list has {word}{did_you_mean(word, names) or '.'}")
    images = {name: image for name, image in lock.images.items() if fits(name, words)}
    return msgspec.structs.replace(lock, images=images), [name for name in listed if fits(name, words)]


def _remove_records(results: Path, name: str) -> tuple[str, bool]:
    """Remove all records of the image: any of them would make a workflow engine think that its step is done.

    Return their folder, and whether there were any.
    """
    from skyport_wf.image_list.reference import parse_reference

    folder = results / parse_reference(name).key
    were_there = False
    for record in ("build.json", "save.json", "upload.json", "receipt.json", "packages.cdx.json"):
        try:
            (folder / record).unlink()
            were_there = True
        except FileNotFoundError:
            continue
        except OSError as error:
            raise SkyportError(f"cannot remove {folder / record}: {error.strerror}") from error
    return str(folder), were_there
