"""Arguments that several verbs share, and how they show their work."""

from __future__ import annotations

import argparse
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from skyport_wf.cli.absent_names import suggesting_names
from skyport_wf.errors import UsageError
from skyport_wf.image_list.place import DEFAULT_LIST, find_image_list, lock_beside
from skyport_wf.output_file import LONGEST_NAME, behind_links, check_different, place_of

if TYPE_CHECKING:
    from skyport_wf.image_list.reference import ImageReference
    from skyport_wf.image_list.spec import ShockSettings
    from skyport_wf.publication.connection import Shock

_log = logging.getLogger(__name__)
_LONGEST_PATH = 4095
"""Bytes of a path (PATH_MAX of Linux)."""
_SHOWN = 100
"""Characters of a wrong word that are shown."""
_MOST_DIGITS = 18
"""Of a number: Python refuses to read thousands of them, in its own way."""
_NAMES = ("name", "names", "a", "b", "new_name")
"""Arguments that name images, or archives by their paths: none has more than a path may have."""
DEFAULT_RESULTS = Path("results/skyport")
_THROUGH_LINKS = ("lock", "log")
"""Options whose file is written where a link leads to; the others take the place of a link."""
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
        "--log", type=output_file, default=default, metavar="FILE",
        help="write messages to FILE; warnings and errors go to stderr too",
    )  # fmt: skip
    parser.add_argument("--no-progress", action="store_true", default=default, help="show no progress bars")
    return parser


def check_words(args: argparse.Namespace) -> None:
    """Raise UsageError for a word that no file, server or record can have, whatever it is for."""
    for argument, value in vars(args).items():
        for word in value if isinstance(value, list) else [value]:
            too_long = argument in _NAMES and isinstance(word, str) and len(word) > _LONGEST_PATH
            if reason := "it is too long" if too_long else _why_unusable(word):
                raise UsageError(f"argument {argument}: {str(word)[:_SHOWN]!r}: {reason}")


def _why_unusable(word: object) -> str:
    if isinstance(word, (str, Path)) and "\0" in str(word):
        return "it has a NUL character"
    if isinstance(word, str):
        try:
            word.encode()
        except UnicodeEncodeError:
            return "it is not UTF-8"
    if isinstance(word, Path):
        return _why_no_path(word)
    return ""


def check_names(args: argparse.Namespace, arguments: Iterable[str]) -> None:
    """Raise UsageError for an empty name of an image, as of a variable that is not set: it would fit what has no name.

    arguments: those that name images.
    """
    for argument in arguments:
        value = getattr(args, argument)
        if "" in (value if isinstance(value, list) else [value]):
            raise UsageError("'' names no image. Is a variable not set?")


def check_outputs(args: argparse.Namespace, options: Iterable[str]) -> None:
    """Raise UsageError if one file to write would take the place of another, or something else that of the lock file.

    options: those that name a file to write.
    """
    paths = {option: path for option in options if (path := getattr(args, option))}
    if not paths:
        return
    lock = place_of(lock_beside(getattr(args, "images", None) or find_image_list(DEFAULT_LIST)))
    for option, path in paths.items():
        place = place_of(path)
        if option != "lock" and lock in (place, *place.parents):
            raise UsageError(f"--{option} {path}: this is the place of the lock file. Name another file.")
    check_different(behind_links(path) if option in _THROUGH_LINKS else path for option, path in paths.items())


def check_names_or_all(args: argparse.Namespace) -> None:
    """Raise UsageError unless either names are given or `--all`."""
    if args.all and args.names:
        raise UsageError("give names or --all, not both")
    if not (args.all or args.names):
        raise UsageError(f"name the images to {args.verb}, or give --all")


def any_path(text: str) -> Path:
    """Return the path of a file or folder. An empty text, as of a variable that is not set, would be this folder."""
    if not text:
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a file or folder")
    return Path(text)


def node_id(text: str) -> str:
    """Return the id of a node as Shock writes it: some tools show the letters of a UUID as capitals."""
    if not text:
        raise argparse.ArgumentTypeError(f"{text!r} is not the id of a node. Is a variable not set?")
    return text.lower()


def input_file(text: str) -> Path:
    """Return the path of a file to read. `-` is stdin, as for other programs; a file of that name is `./-`."""
    return any_path("/dev/stdin" if text == "-" else text)


def output_file(text: str) -> Path:
    """Return the path of a file to write, with no `..` behind a folder: that may lack now, and be made by then.

    `-` is stdout, as for other programs; a file of that name is `./-`.
    """
    path = Path("/dev/stdout" if text == "-" else text)
    if path.name in ("", ".."):
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a file")
    # Of a NUL character, `check_words` tells.
    if ".." not in path.parts or "\0" in text:
        return path
    # What is there before the folder is made is what would be replaced. A path as short as the user's is for messages.
    folder = os.path.realpath(path.parent)
    return Path(folder if path.is_absolute() else os.path.relpath(folder), path.name)


def whole_number(
    what: str, *, least: int = 0, most: int = 10**_MOST_DIGITS - 1, unit: str = ""
) -> Callable[[str], int]:
    """Return what reads the number that an argument is.

    what: what messages say that a wrong word is not.
    unit: what may stand behind the number.
    """

    def read(text: str) -> int:
        number = text.removesuffix(unit)
        # Other alphabets have digits, too.
        if number.isascii() and number.isdigit() and len(number) <= _MOST_DIGITS and least <= int(number) <= most:
            return int(number)
        raise argparse.ArgumentTypeError(f"{text[:_SHOWN]!r} is not {what}")

    return read


def auth_word(text: str) -> str:
    """Return the word before a token, as `auth` of the image list has it; with others a header could say more."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,39}", text):
        raise argparse.ArgumentTypeError("not a scheme. Give a word such as OAuth, or basic")
    return text


def variable_name(text: str) -> str:
    """Return the name of a variable, which is never the token itself."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        # Not shown: somebody may have given the token in its place.
        raise argparse.ArgumentTypeError("not the name of a variable. Give one such as OTHER_TOKEN")
    return text


def add_image_list(parser: argparse.ArgumentParser) -> None:
    """Add `--images`."""
    parser.add_argument(
        "--images", type=image_list, default=str(DEFAULT_LIST), metavar="FILE",
        help="the image list, or the folder that holds images.yaml (default: the nearest one, here or further up)",
    )  # fmt: skip


def image_list(text: str) -> Path:
    """Return the image list that `text` names; see `find_image_list`."""
    return find_image_list(any_path(text))


def read_settings(args: argparse.Namespace, *, url: str | None = None) -> ShockSettings:
    """Return which Shock a verb means that needs no image list: the list's if there is one, or the embedded.

    url: the Shock that is meant without a list of it, if not the embedded one.
    The variable SHOCK_URL wins over all of them when the Shock is opened.
    """
    return _read_settings(args, url)[0]


def _read_settings(args: argparse.Namespace, url: str | None) -> tuple[ShockSettings, bool]:
    """Return what `read_settings` does, and whether the token that they name is one for that Shock.

    Where a record names one Shock, and the image list another, the token is for that of the list: whoever has written
    the record is not to get it.
    """
    from skyport_wf.image_list.images_yaml import read_image_list
    from skyport_wf.image_list.spec import EMBEDDED, ShockSettings
    from skyport_wf.image_list.urls import one_spelling
    from skyport_wf.publication.settings import shock_url, token_source

    if args.images == DEFAULT_LIST and not args.images.exists():
        return (ShockSettings(url=url) if url else ShockSettings()), True
    if not url or args.images != find_image_list(DEFAULT_LIST):
        return read_image_list(args.images).shock, True
    others = ShockSettings(url=url)
    # A file that nobody has named may be something else of that name, or a list of other images, on another Shock.
    try:
        settings = read_image_list(args.images).shock
    except UsageError as error:
        _log.info("%s is not heeded: %s", args.images, error)
        return others, True
    if shock_url(settings) == one_spelling(url):
        return settings, True
    # The embedded one needs no token, so that one is for another.
    is_theirs = shock_url(settings) in (EMBEDDED, shock_url(others))
    return others, is_theirs or token_source(others) != token_source(settings)


@contextmanager
def opened_shock(args: argparse.Namespace, *, url: str | None = None, anonymous: bool = False) -> Iterator[Shock]:
    """Open the Shock that a verb means which needs no image list, for as long as the block takes.

    url: as for `read_settings`; anonymous: as for `suggesting_names`.
    """
    from skyport_wf.publication.connection import open_shock

    settings, with_token = _read_settings(args, url)
    with open_shock(settings, with_token=with_token) as shock, suggesting_names(shock, anonymous=anonymous):
        yield shock


@contextmanager
def shock_if_needed(args: argparse.Namespace) -> Iterator[Callable[[], Shock]]:
    """Give what opens the Shock when it is first called, and returns the same one then, until the block ends."""
    with ExitStack() as opened:
        yield cache(lambda: opened.enter_context(opened_shock(args)))


def add_record(parser: argparse.ArgumentParser, what: str) -> None:
    """Add `--record`, the file that a step writes."""
    parser.add_argument(
        "--record", type=output_file, required=True, metavar="FILE", help=f"where to write {what}; {KEY_HELP}"
    )


def require_key(option: str, path: Path | None) -> None:
    """Raise UsageError for a file that an option names, and that several images would write."""
    if path and _KEY not in str(path):
        raise UsageError(f"{option} {path}: each image needs a file of its own. Put {_KEY} into the name.")


def fill_key(path: Path, reference: ImageReference) -> Path:
    """Return `path` with the image's key for each `{key}`.

    CWL cannot put a name together, and files of several images that come to one folder must not have one name.
    Raises UsageError if that makes a name that no file can have.
    """
    filled = Path(str(path).replace(_KEY, reference.key))
    if reason := _why_no_path(filled):
        raise UsageError(f"{filled}: {reason}. Write another name in the place of {_KEY}.")
    return filled


def _why_no_path(path: Path) -> str:
    """Return why no file can have this path, or an empty text."""
    if len(os.fsencode(path)) > _LONGEST_PATH:
        return f"a path has at most {_LONGEST_PATH} bytes"
    if any(len(os.fsencode(name)) > LONGEST_NAME for name in path.parts):
        return f"the name of a file has at most {LONGEST_NAME} bytes"
    return ""
