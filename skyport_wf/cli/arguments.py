"""Arguments that several verbs share, and how they show their work."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skyport_wf.spec import ShockSettings

DEFAULT_LIST = Path("images.yaml")
DEFAULT_RESULTS = Path("results/skyport")


def add_image_list(parser: argparse.ArgumentParser) -> None:
    """Add `--images`."""
    parser.add_argument(
        "--images", type=Path, default=DEFAULT_LIST, metavar="FILE", help="the image list (default: %(default)s)"
    )


def read_settings(args: argparse.Namespace) -> ShockSettings:
    """Return which Shock a verb means that needs no image list: the list's if there is one, or the embedded.

    The variable SHOCK_URL wins over both when the Shock is opened.
    """
    from skyport_wf.images_yaml import read_image_list
    from skyport_wf.spec import ShockSettings

    if args.images == DEFAULT_LIST and not args.images.exists():
        return ShockSettings()
    return read_image_list(args.images).shock


def add_record(parser: argparse.ArgumentParser, what: str) -> None:
    """Add `--record`, the file that a step writes."""
    parser.add_argument("--record", type=Path, required=True, metavar="FILE", help=f"where to write {what}")


@contextmanager
def progress_bar(args: argparse.Namespace, what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show a bar while bytes move, on a terminal only; yields what is to be called with each number of bytes."""
    if args.quiet or args.no_progress or not sys.stderr.isatty():
        yield lambda size: None
        return
    from tqdm import tqdm

    with tqdm(desc=what, total=total, unit="B", unit_scale=True, leave=False, file=sys.stderr) as bar:
        yield lambda size: (bar.update(size), None)[1]
