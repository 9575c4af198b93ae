"""`skyport-wf resolve REPO[:TAG]`."""

import argparse

from skyport_wf.cli.arguments import add_image_list, opened_shock
from skyport_wf.cli.outcome import Outcome
from skyport_wf.errors import EXIT_DIFFERENCE, EXIT_DONE
from skyport_wf.formatting import human_size, printable

EXAMPLES = (
    "skyport-wf resolve my-lab/tool:1.0",
    "skyport-wf resolve my-lab/tool",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("name", metavar="REPO[:TAG]", help="as a task names it; without a tag, the highest there is")
    parser.add_argument("--anonymous", action="store_true", help="as a worker without a token")
    add_image_list(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Say which node an AWE worker would get, or why it would get none."""
    from skyport_wf.publication.awe_problems import find_problems_of_file, how_to_mend
    from skyport_wf.publication.resolve import ask_as_worker
    from skyport_wf.shock.node import download_url

    with opened_shock(args, anonymous=args.anonymous) as shock:
        node = ask_as_worker(shock, args.name, anonymous=args.anonymous)
        problems = find_problems_of_file(shock.anybody if args.anonymous else shock.user, node, read=True)
    attributes = node.attributes or {}
    found = {
        "asked": args.name,
        "name": attributes.get("name"),
        "image_id": attributes["id"],
        "node": node.id,
        "download_url": download_url(shock.download_base, node.id),
        "size": node.file.size,
        "md5": node.file.checksum.md5,
        "problems": [problem.text for problem in problems],
    }
    text = "\n".join(
        (
            printable(f"{found['name']}  {found['image_id']}"),
            f"node {node.id}, {human_size(node.file.size)}, MD5 {node.file.checksum.md5}",
            str(found["download_url"]),
            *(f"Problem: {problem.text}." for problem in problems),
            *([f"{how_to_mend(node, problems)} mends it."] if problems else []),
        )
    )
    code = EXIT_DIFFERENCE if any(problem.fatal for problem in problems) else EXIT_DONE
    return Outcome(found, text, code)
