"""`skyport-wf files NAME [PATH]`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from skyport_wf.cli.arguments import add_image_list, output_file, shock_if_needed
from skyport_wf.cli.outcome import Outcome
from skyport_wf.cli.progress import progress_bar
from skyport_wf.formatting import count, human_size, printable

if TYPE_CHECKING:
    from skyport_wf.inspection.files import FileListing, ListedFile
    from skyport_wf.inspection.image_source import ImageSource
    from skyport_wf.inspection.taking_out import TakenOut

_SHOWN = 5
"""Paths that were left out, of which a message tells."""
EXAMPLES = (
    "skyport-wf files my-lab/tool:1.0 /opt/tool",
    "skyport-wf files my-lab/tool:1.0 /etc/os-release --output os-release",
    "skyport-wf files ./tool.tar.gz /opt/tool/lib --output lib",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "name", metavar="NAME", help="REPO[:TAG] of a published image, or a path of an archive or OCI layout"
    )
    parser.add_argument("path", nargs="?", default="/", metavar="PATH", help="the file or folder (default: all)")
    parser.add_argument(
        "--output", "-o", type=output_file, metavar="FILE", help="write the file, or the folder with all in it, to FILE"
    )
    add_image_list(parser)


def run(args: argparse.Namespace) -> Outcome:
    """List what the image shows at a path, all layers together, or take it out; no engine is needed."""
    from skyport_wf.image.layers.file_index import FileIndex
    from skyport_wf.inspection.files import find_wanted, list_files
    from skyport_wf.inspection.image_source import find_image
    from skyport_wf.inspection.taking_out import check_target, take_out

    if args.output:
        check_target(args.output)
    with (
        shock_if_needed(args) as shock,
        progress_bar(args, f"read {args.name}") as progress,
        FileIndex() as index,
    ):
        source = find_image(args.name, shock, progress)
        source.examine(index)
        if args.output is None:
            listing = list_files(index, args.path)
            return Outcome(listing, "\n".join(_lines(listing)))
        return _tell(source, take_out(source, find_wanted(index, args.path), args.output), args.path, args.output)


def _lines(listing: FileListing) -> list[str]:
    rows = list(map(_cells, listing.files))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for file, row in zip(listing.files, rows, strict=True):
        cells = [f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)]
        leads = f" -> {printable(file.target)}" if file.type == "symbolic link" else ""
        lines.append(f"{file.mode}  {'  '.join(cells)}  {printable(file.path)}{leads}")
    more = listing.total - len(listing.files)
    total = f"{count(listing.total, 'path')}, {human_size(listing.size)}"
    return [*lines, *([f"... and {more} more: name a folder"] if more else []), "", total]


def _cells(file: ListedFile) -> tuple[str, str, str]:
    from datetime import UTC, datetime

    try:
        time = datetime.fromtimestamp(file.mtime, UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        # A layer may say any number.
        time = str(file.mtime)
    size = file.target if "device" in file.type else str(file.size)
    return f"{file.uid}:{file.gid}", size, time


def _tell(source: ImageSource, taken: TakenOut, path: str, target: Path) -> Outcome:
    lines = [f"{path} of {source.name}: {count(taken.files, 'file')}, {human_size(taken.size)} ({target})"]
    if taken.left_out:
        shown = ", ".join(map(printable, taken.left_out[:_SHOWN]))
        more = f" and {len(taken.left_out) - _SHOWN} more" if len(taken.left_out) > _SHOWN else ""
        lines.append(f"left out, as devices, pipes and links that lead out of the folder are: {shown}{more}")
    return Outcome(taken, "\n".join(lines))
