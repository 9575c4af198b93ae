"""Arguments that several verbs share, and how they show their work."""

from __future__ import annotations

import argparse
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skyport_wf.image_list.reference import ImageReference
    from skyport_wf.image_list.spec import ShockSettings
    from skyport_wf.publication.connection import Shock

DEFAULT_LIST = Path("images.yaml")
DEFAULT_RESULTS = Path("results/skyport")
_KEY = "{key}"
KEY_HELP = f"{_KEY} in it stands for the image's name as a file name"


def everywhere(default: object) -> argparse.ArgumentParser:
    """Return the options that every verb has; they may stand before the verb or behind it.

    default: what they are when they are not given; `argparse.SUPPRESS` behind the verb, where absence says nothing.
    """
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--json", action="store_true", default=default, help="print one JSON document")
    parser.add_argument(
        "--quiet", "-q", action="store_true", default=default, help="say nothing but the outcome and errors"
    )
    parser.add_argument("--verbose", "-v", action="store_true", default=default, help="say more of what is done")
    parser.add_argument(
        "--log", default=default, metavar="FILE", help="write messages to FILE; errors go to stderr too"
    )
    parser.add_argument("--no-progress", action="store_true", default=default, help="show no progress bars")
    return parser


def add_image_list(parser: argparse.ArgumentParser) -> None:
    """Add `--images`."""
    parser.add_argument(
        "--images", type=image_list, default=str(DEFAULT_LIST), metavar="FILE",
        help="the image list, or the folder that holds images.yaml (default: the nearest one, here or further up)",
    )  # fmt: skip


def image_list(text: str) -> Path:
    """Return the image list that `text` names: CWL can name the folder of a project, but not a file inside it.

    If it is the usual name and not here, the list of the project is taken in whose folders the user works.
    """
    path = Path(text)
    if path.is_dir():
        return _list_in(path) or path / DEFAULT_LIST
    if path != DEFAULT_LIST or path.exists():
        return path
    here = Path.cwd()
    # A list that somebody else could have put there might send the token to a Shock of theirs.
    ours = takewhile(_is_ours_alone, here.parents)
    found = next(filter(None, map(_list_in, (here, *ours))), None)
    return Path(os.path.relpath(found)) if found else path


def _is_ours_alone(folder: Path) -> bool:
    """Return whether a folder belongs to the user, and nobody else may write into it."""
    with suppress(OSError):
        status = folder.stat()
        return status.st_uid == os.geteuid() and not status.st_mode & stat.S_IWOTH
    return False


def _list_in(folder: Path) -> Path | None:
    """Return the image list in a folder, by either of the names that YAML files have."""
    names = (DEFAULT_LIST.name, DEFAULT_LIST.with_suffix(".yml").name)
    return next((folder / name for name in names if (folder / name).is_file()), None)


def read_settings(args: argparse.Namespace) -> ShockSettings:
    """Return which Shock a verb means that needs no image list: the list's if there is one, or the embedded.

    The variable SHOCK_URL wins over both when the Shock is opened.
    """
    from skyport_wf.image_list.images_yaml import read_image_list
    from skyport_wf.image_list.spec import ShockSettings

    if args.images == DEFAULT_LIST and not args.images.exists():
        return ShockSettings()
    return read_image_list(args.images).shock


@contextmanager
def opened_shock(args: argparse.Namespace) -> Iterator[Shock]:
    """Open the Shock that a verb means which needs no image list, for as long as the block takes."""
    from skyport_wf.publication.connection import open_shock

    with open_shock(read_settings(args)) as shock:
        yield shock


def add_record(parser: argparse.ArgumentParser, what: str) -> None:
    """Add `--record`, the file that a step writes."""
    parser.add_argument("--record", type=Path, required=True, metavar="FILE", help=f"where to write {what}; {KEY_HELP}")


def fill_key(path: Path, reference: ImageReference) -> Path:
    """Return `path` with the image's key for each `{key}`.

    CWL cannot put a name together, and files of several images that come to one folder must not have one name.
    """
    return Path(str(path).replace(_KEY, reference.key))


@contextmanager
def progress_bar(args: argparse.Namespace, what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show a bar while bytes move, on a terminal only; yields what is to be called with each number of bytes."""
    if args.quiet or args.no_progress or not sys.stderr.isatty():
        yield lambda size: None
        return
    from tqdm import tqdm

    with tqdm(desc=what, total=total, unit="B", unit_scale=True, leave=False, file=sys.stderr) as bar:
        yield lambda size: (bar.update(size), None)[1]
