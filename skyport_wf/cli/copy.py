"""`skyport-wf copy NAME... --to URL`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from skyport_wf.cli.arguments import (
    KEY_HELP,
    add_image_list,
    fill_key,
    output_file,
    progress_bar,
    read_settings,
    require_key,
)
from skyport_wf.cli.outcome import Outcome, table
from skyport_wf.errors import EXIT_DONE, SkyportError
from skyport_wf.formatting import human_size

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock
    from skyport_wf.transfer.copy import CopiedImage

EXAMPLES = (
    "skyport-wf copy my-lab/tool:1.0 --to https://shock.example.org --to-token-env OTHER_TOKEN",
    "skyport-wf copy my-lab/tool:1.0 --to embedded",
    "skyport-wf copy 'my-lab/*' --to embedded --dry-run",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "names", nargs="+", metavar="NAME", help="REPO[:TAG], as an AWE task names it, or in quotes with * ? [...]"
    )
    parser.add_argument("--to", required=True, metavar="URL", help="the Shock to copy to, or `embedded`")
    parser.add_argument(
        "--to-token-env", metavar="VAR", help="the variable with the token for it (default: without a token)"
    )
    parser.add_argument("--to-auth", default="OAuth", metavar="WORD", help="the word before that token, or `basic`")
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
    with open_both(read_settings(args), target) as (origin, there):
        names = expand_names(origin.user, args.names)
        if len(names) > 1:
            require_key("--record", args.record)
            names = bases_first(names, list_images(origin.user))
        if args.dry_run:
            return _rehearse(origin, there, names, args)
        if len(names) == 1:
            return _tell(_copy_one(origin, there, names[0], args))
        return _copy_all(origin, there, names, args)


def _copy_one(origin: Shock, there: Shock, name: str, args: argparse.Namespace) -> CopiedImage:
    from skyport_wf.image_list.reference import parse_reference
    from skyport_wf.records.files import write_record
    from skyport_wf.transfer.copy import copy, plan_copy

    planned = plan_copy(origin, there, name, private=args.private, replace=args.replace)
    # A name that no file can have is said before anything is sent.
    record = fill_key(args.record, parse_reference(planned.wanted.name)) if args.record else None
    with progress_bar(args, f"copy {name}", planned.node.file.size) as progress:
        copied = copy(origin, there, planned, progress=progress)
    if record:
        write_record(record, copied.receipt)
    return copied


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


def _copy_all(origin: Shock, there: Shock, names: Sequence[str], args: argparse.Namespace) -> Outcome:
    """Copy several images; one that cannot be copied does not keep the others from it."""
    copied: list[CopiedImage] = []
    failed: dict[str, str] = {}
    rows: list[tuple[str, str]] = []
    code = EXIT_DONE
    for name in names:
        try:
            one = _copy_one(origin, there, name, args)
        except SkyportError as error:
            failed[name] = str(error)
            rows.append((name, f"failed: {error}"))
            code = max(code, error.exit_code)
            continue
        copied.append(one)
        rows.append((one.receipt.name, _how(one)))
    return Outcome({"copied": copied, "failed": failed}, table(("IMAGE", ""), rows), code)


def _rehearse(origin: Shock, there: Shock, names: Sequence[str], args: argparse.Namespace) -> Outcome:
    from skyport_wf.transfer.copy import plan_copy

    rows: list[tuple[str, str]] = []
    code = EXIT_DONE
    for name in names:
        try:
            planned = plan_copy(origin, there, name, private=args.private, replace=args.replace)
        except SkyportError as error:
            rows.append((name, f"fail: {error}"))
            code = max(code, error.exit_code)
            continue
        rows.append((name, "do nothing" if planned.is_done else f"copy it, {human_size(planned.node.file.size)}"))
    value = {"dry_run": [{"name": name, "next": what} for name, what in rows]}
    return Outcome(value, table(("IMAGE", "WOULD"), rows), code)
