"""`skyport-wf copy NAME... --to URL`."""

from __future__ import annotations

import argparse
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from skyport_wf.cli.absent_names import suggesting_names
from skyport_wf.cli.arguments import (
    KEY_HELP,
    add_image_list,
    auth_word,
    check_names_or_all,
    fill_key,
    output_file,
    read_settings,
    require_key,
    variable_name,
    whole_number,
)
from skyport_wf.cli.outcome import Outcome, Table, table
from skyport_wf.cli.progress import nth, progress_bar
from skyport_wf.errors import EXIT_DONE, SkyportError, UsageError
from skyport_wf.formatting import count, human_size

if TYPE_CHECKING:
    from pathlib import Path

    from skyport_wf.image_list.spec import ShockSettings
    from skyport_wf.publication.connection import Shock
    from skyport_wf.transfer.copy import CopiedImage, PlannedCopy

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")
_MOST_JOBS: Final = 16
"""More connections at once are no faster, and a server has other users."""
EXAMPLES = (
    "skyport-wf copy my-lab/tool:1.0 --to https://shock.example.org --to-token-env OTHER_TOKEN",
    "skyport-wf copy my-lab/tool:1.0 --to embedded",
    "skyport-wf copy 'my-lab/*' --to embedded --dry-run",
    "skyport-wf copy --all --to https://shock.example.org --to-token-env OTHER_TOKEN --jobs 4",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="REPO[:TAG], as an AWE task names it, or in quotes with * ? [...]"
    )
    parser.add_argument("--all", "-a", action="store_true", help="copy every published image")
    jobs = whole_number(f"a number from 1 to {_MOST_JOBS}", least=1, most=_MOST_JOBS)
    parser.add_argument("--jobs", "-j", type=jobs, default=1, metavar="N", help="copy so many images at once")
    parser.add_argument("--to", required=True, metavar="URL", help="the Shock to copy to, or `embedded`")
    parser.add_argument(
        "--to-token-env", type=variable_name, metavar="VAR",
        help="the variable with the token for it (default: without a token)",
    )  # fmt: skip
    parser.add_argument(
        "--to-auth", type=auth_word, default="OAuth", metavar="WORD", help="the word before that token, or `basic`"
    )
    parser.add_argument("--private", action="store_true", help="let only the owner read the copy")
    parser.add_argument("--replace", action="store_true", help="take the name from another image that has it there")
    parser.add_argument("--dry-run", "-n", action="store_true", help="say what would be copied, and send nothing")
    parser.add_argument(
        "--record", type=output_file, metavar="FILE", help=f"write the copy's receipt to FILE; {KEY_HELP}"
    )
    add_image_list(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Publish the images that an AWE worker would get on another Shock too, each after its base image."""
    from skyport_wf.image_list.spec import check_shock_url
    from skyport_wf.publication.connection import Target
    from skyport_wf.publication.inventory import expand_names, list_images
    from skyport_wf.transfer.copy import bases_first, open_both

    target = Target(check_shock_url(args.to, where="--to"), args.to_token_env, args.to_auth)
    check_names_or_all(args)
    settings = read_settings(args)
    with open_both(settings, target) as (origin, there), suggesting_names(origin):
        if args.all:
            # A Shock without images is mirrored, too.
            images = list_images(origin.user, ["*"])
            if nameless := [image.node.id for image in images if not image.name]:
                _log.warning("left out, as it has no name, so that nobody finds it: node %s", ", ".join(nameless))
            names = sorted({image.name for image in images} - {""})
        else:
            names = expand_names(origin.user, args.names)
        if not names:
            value: dict[str, object] = {"dry_run": [], "size": 0} if args.dry_run else {"copied": [], "failed": {}}
            return Outcome(value, f"{origin.name} has no published images, so there is nothing to copy")
        groups = [names]
        if len(names) > 1:
            require_key("--record", args.record)
            _check_receipts(names, args)
            groups = bases_first(names, list_images(origin.user))
        if args.dry_run:
            return _rehearse(origin, there, groups, args)
        if len(names) == 1:
            return _tell(_copy_one(origin, there, names[0], settings, args, title=f"copy {names[0]}"))
        return _copy_all(origin, there, groups, settings, args)


def _check_receipts(names: Sequence[str], args: argparse.Namespace) -> None:
    """Raise UsageError if the receipt of one image would replace another's: no image list keeps such names apart."""
    from skyport_wf.image_list.reference import parse_reference
    from skyport_wf.output_file import check_different

    files: list[Path] = []
    for name in dict.fromkeys(names) if args.record else ():
        # Of what is no name, it is told when it is to be copied.
        with suppress(UsageError):
            files.append(fill_key(args.record, parse_reference(name)))
    check_different(files)


def _copy_one(
    origin: Shock, there: Shock, name: str, settings: ShockSettings, args: argparse.Namespace, *, title: str
) -> CopiedImage:
    from skyport_wf.records.files import write_record
    from skyport_wf.transfer.copy import copy

    planned, record = _plan(origin, there, name, args)
    with progress_bar(args, title) as progress:
        copied = copy(origin, there, planned, settings=settings, progress=progress)
    if record:
        write_record(record, copied.receipt)
    return copied


def _plan(origin: Shock, there: Shock, name: str, args: argparse.Namespace) -> tuple[PlannedCopy, Path | None]:
    """Return what is to be done, and the file for the receipt: one that cannot be is said before anything is sent."""
    from skyport_wf.image_list.reference import is_pattern, parse_reference
    from skyport_wf.publication.awe_lookup import SeveralMeantError
    from skyport_wf.records.files import check_receipt_files
    from skyport_wf.transfer.copy import plan_copy

    try:
        planned = plan_copy(origin, there, name, private=args.private, replace=args.replace)
    except SeveralMeantError as error:
        if name in args.names and not is_pattern(name):
            raise
        # It is not a word of the user, but one that stands for it.
        raise SkyportError(
            f"no AWE worker can ask for an image of this name, nor could it for a copy. `skyport-wf ls {name!r}` says "
            "what is wrong."
        ) from error
    record = fill_key(args.record, parse_reference(planned.wanted.name)) if args.record else None
    check_receipt_files([record] if record else [], None, ())
    return planned, record


def _tell(copied: CopiedImage) -> Outcome:
    receipt = copied.receipt
    text = "\n".join(
        (
            f"{receipt.name} is on {receipt.shock}, readable by {receipt.readable_by} ({_how(copied)})",
            f"node {receipt.node}, {human_size(receipt.size)}, MD5 {receipt.md5}",
            receipt.download_url,
        )
    )
    return Outcome(copied, text)


def _how(copied: CopiedImage) -> str:
    return f"{human_size(copied.sent)} sent" if copied.sent else "its file was there already, nothing was sent"


def _copy_all(
    origin: Shock, there: Shock, groups: Sequence[Sequence[str]], settings: ShockSettings, args: argparse.Namespace
) -> Outcome:
    """Copy several images; one that cannot be copied does not keep the others from it."""
    names = [name for group in groups for name in group]
    titles = {name: nth(f"copy {name}", number, len(names)) for number, name in enumerate(names, start=1)}

    def work(name: str, _: threading.Event) -> tuple[str, CopiedImage | SkyportError]:
        try:
            return name, _copy_one(origin, there, name, settings, args, title=titles[name])
        except SkyportError as error:
            return name, error

    found = _in_groups(origin, there, groups, work, args)
    copied = [one for one in found.values() if not isinstance(one, SkyportError)]
    failed = {name: one for name, one in found.items() if isinstance(one, SkyportError)}
    rows = [
        (name, f"failed: {one}") if isinstance(one, SkyportError) else (one.receipt.name, _how(one))
        for name, one in found.items()
    ]
    text: list[str | Table] = [table(("IMAGE", "RESULT"), rows)]
    value: dict[str, object] = {"copied": copied, "failed": {name: str(error) for name, error in failed.items()}}
    if not failed:
        return Outcome(value, text)
    what = f"{len(copied)} of {count(len(found), 'image')} copied; run the command again to copy the others"
    code = max(error.exit_code for error in failed.values())
    return Outcome({**value, "error": what, "exit_code": code}, [*text, what], code)


def _rehearse(origin: Shock, there: Shock, groups: Sequence[Sequence[str]], args: argparse.Namespace) -> Outcome:
    def work(name: str, _: threading.Event) -> tuple[str, PlannedCopy | SkyportError]:
        try:
            return name, _plan(origin, there, name, args)[0]
        except SkyportError as error:
            return name, error

    planned = _in_groups(origin, there, groups, work, args)
    rows = [(name, _would(one)) for name, one in planned.items()]
    size = sum(one.node.file.size for one in planned.values() if not isinstance(one, SkyportError) and not one.is_done)
    value: dict[str, object] = {"dry_run": [{"name": name, "next": what} for name, what in rows], "size": size}
    codes = [one.exit_code for one in planned.values() if isinstance(one, SkyportError)]
    code = max(codes, default=EXIT_DONE)
    if codes:
        value |= {"error": f"{len(codes)} of {count(len(planned), 'image')} would fail", "exit_code": code}
    return Outcome(value, (table(("IMAGE", "WOULD"), rows), f"{human_size(size)} to send at most"), code)


def _would(planned: PlannedCopy | SkyportError) -> str:
    if isinstance(planned, SkyportError):
        return f"fail: {planned}"
    return "do nothing" if planned.is_done else f"copy it, {human_size(planned.node.file.size)}"


def _in_groups(
    origin: Shock,
    there: Shock,
    groups: Sequence[Sequence[str]],
    work: Callable[[str, threading.Event], tuple[str, _Result]],
    args: argparse.Namespace,
) -> dict[str, _Result]:
    """Return what `work` returns for each name, in the order of the names: so many at once, one group after another."""
    from skyport_wf.transfer.concurrency import run_concurrently

    for shock in (origin, there):
        shock.open_threads()
    found: dict[str, _Result] = {}
    for group in groups:
        found |= run_concurrently(work, group, at_once=args.jobs)
    return {name: found[name] for group in groups for name in group}
