"""`skyport-wf copy NAME --to URL`."""

import argparse

from skyport_wf.cli.arguments import KEY_HELP, add_image_list, fill_key, output_file, progress_bar, read_settings
from skyport_wf.cli.outcome import Outcome
from skyport_wf.formatting import human_size

EXAMPLES = (
    "skyport-wf copy my-lab/tool:1.0 --to https://shock.example.org --to-token-env OTHER_TOKEN",
    "skyport-wf copy my-lab/tool:1.0 --to embedded",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("name", metavar="NAME", help="REPO[:TAG], as an AWE task names it")
    parser.add_argument("--to", required=True, metavar="URL", help="the Shock to copy to, or `embedded`")
    parser.add_argument(
        "--to-token-env", metavar="VAR", help="the variable with the token for it (default: without a token)"
    )
    parser.add_argument("--to-auth", default="OAuth", metavar="WORD", help="the word before that token, or `basic`")
    parser.add_argument("--private", action="store_true", help="let only the owner read the copy")
    parser.add_argument("--replace", action="store_true", help="take the name from another image that has it there")
    parser.add_argument(
        "--record", type=output_file, metavar="FILE", help=f"write the copy's receipt to FILE; {KEY_HELP}"
    )
    add_image_list(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Publish the image that an AWE worker would get on another Shock too."""
    from skyport_wf.image_list.reference import parse_reference
    from skyport_wf.image_list.spec import check_shock_url
    from skyport_wf.publication.connection import Target
    from skyport_wf.records.files import write_record
    from skyport_wf.transfer.copy import copy

    target = Target(check_shock_url(args.to, where="--to"), args.to_token_env, args.to_auth)
    with progress_bar(args, f"copy {args.name}") as progress:
        copied = copy(
            read_settings(args), args.name, target, private=args.private, replace=args.replace, progress=progress
        )
    receipt = copied.receipt
    if args.record:
        write_record(fill_key(args.record, parse_reference(receipt.name)), receipt)
    how = f"{human_size(copied.sent)} sent" if copied.sent else "its file was there already, nothing was sent"
    text = "\n".join(
        (
            f"{receipt.name} is on {receipt.shock}, readable by {receipt.readable_by} ({how})",
            f"node {receipt.node}, {human_size(receipt.size)}, MD5 {receipt.md5}",
            receipt.download_url,
        )
    )
    return Outcome(copied, text)
