"""`skyport-wf completion SHELL`, and the words that a shell offers at the tab key."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress

from skyport_wf.cli.outcome import Outcome

EXAMPLES = (
    "skyport-wf completion bash >~/.local/share/bash-completion/completions/skyport-wf",
    "skyport-wf completion fish >~/.config/fish/completions/skyport-wf.fish",
)

_ASKED = "_ARGCOMPLETE"
IMAGES = ("NAME", "NEW", "A", "B", "REPO[:TAG]")
"""Words of the help for the name of an image."""
_COMMAND = "-- COMMAND"
_OR_FILES = "path of an archive"
"""Words of the help for what may be a path, too."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), metavar="SHELL", help="bash, zsh or fish")


def run(args: argparse.Namespace) -> Outcome:
    """Say what the shell has to read."""
    from argcomplete.shell_integration import shellcode

    code = shellcode(["skyport-wf"], shell=args.shell)
    return Outcome({"shell": args.shell, "code": code}, code)


def words_so_far() -> list[str]:
    """Return the words of the line that a shell asks to complete; none if this is an ordinary start."""
    return os.environ.get("COMP_LINE", "").split() if _ASKED in os.environ else []


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer the shell and end, if it asked."""
    if _ASKED in os.environ:
        from argcomplete import autocomplete

        # Its types want a class of its own here, and it calls what it gets.
        autocomplete(parser, default_completer=_complete_argument)  # type: ignore[arg-type]


def _complete_argument(prefix: str, action: argparse.Action, parsed_args: argparse.Namespace, **_: object) -> list[str]:
    """Return the names of images, or documents, or other words where they are wanted, and files where one may stand."""
    from argcomplete.completers import FilesCompleter

    from skyport_wf.cli.arguments import any_path, image_list, input_file, output_file

    known = set(_image_names(parsed_args)) if action.metavar in IMAGES else set(_words(action, prefix))
    is_path = action.type in (any_path, input_file, output_file, image_list) or action.metavar == _COMMAND
    is_path = is_path or _OR_FILES in (action.help or "")
    files = FilesCompleter()(prefix) if is_path else ()
    return [*sorted(name for name in known if name.startswith(prefix)), *files]


def _words(action: argparse.Action, prefix: str) -> Iterable[str]:
    """Return what an argument may begin with that is neither an image nor a file, and has no choices of argparse's."""
    if action.metavar == "DOCUMENT":
        from skyport_wf.pipelines.shipped import workflow_names

        return workflow_names()
    if action.metavar == "KEY=VALUE":
        from skyport_wf.inspection.filtering import FILTER_KEYS

        return (f"{key}=" for key in FILTER_KEYS)
    if action.metavar == "RIGHTS":
        from skyport_wf.cli.serve import NO_RIGHT, RIGHTS

        *given, _ = prefix.split(",")
        more = (",".join((*given, right)) for right in RIGHTS if right not in given)
        return more if given else (*more, NO_RIGHT)
    if "--to" in action.option_strings:
        from skyport_wf.image_list.spec import EMBEDDED

        return (EMBEDDED,)
    return ()


def _image_names(args: argparse.Namespace) -> Iterator[str]:
    """Yield the names in the image list and the lock file: both are here, where a Shock may take long to answer."""
    from skyport_wf.cli.arguments import image_list
    from skyport_wf.errors import SkyportError
    from skyport_wf.image_list.images_yaml import read_image_list
    from skyport_wf.image_list.place import DEFAULT_LIST, lock_beside
    from skyport_wf.records.files import read_record
    from skyport_wf.records.receipt import LockFile

    # argparse has not looked yet at what is not on the line.
    path = image_list(str(getattr(args, "images", DEFAULT_LIST)))
    # A list that is wrong gets its message from the command itself.
    with suppress(SkyportError):
        yield from (image.name for image in read_image_list(path).images)
    with suppress(SkyportError):
        yield from read_record(lock_beside(path), LockFile).images
