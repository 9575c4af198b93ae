"""`skyport-wf reproduce NAME`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from skyport_wf.cli.arguments import KEY_HELP, add_image_list, fill_key, output_file
from skyport_wf.cli.comparison import add_leniency, check_pattern, comparison_sections, count_differences
from skyport_wf.cli.messages import build_output
from skyport_wf.cli.outcome import Outcome, Table
from skyport_wf.cli.progress import progress_bar
from skyport_wf.errors import EXIT_DIFFERENCE, EXIT_DONE
from skyport_wf.formatting import count, printable

if TYPE_CHECKING:
    from skyport_wf.inspection.reproduce import Reproduction

EXAMPLES = (
    "skyport-wf reproduce my-lab/tool:1.0",
    "skyport-wf reproduce my-lab/tool:1.0 --ignore '/opt/data/*' --ignore-traces",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("name", metavar="NAME", help="REPO:TAG of an image of the list")
    add_image_list(parser)
    parser.add_argument("--pull", action="store_true", help="ask the registry for a newer base image")
    parser.add_argument("--keep", action="store_true", help="leave the image that is built in the engine")
    add_leniency(parser)
    parser.add_argument(
        "--record", type=output_file, metavar="FILE", help=f"write the JSON report to FILE, too; {KEY_HELP}"
    )


def run(args: argparse.Namespace) -> Outcome:
    """Build the image again, and say what differs from the published one."""
    from skyport_wf.image_list.images_yaml import read_image_list
    from skyport_wf.inspection.reproduce import Leniency, reproduce
    from skyport_wf.publication.connection import open_shock
    from skyport_wf.records.files import write_record
    from skyport_wf.sources.resolution import resolve_images

    images = read_image_list(args.images)
    spec = images.find(args.name)
    image = resolve_images(images, args.images.parent, [spec.name])[spec.name]
    leniency = Leniency(tuple(map(check_pattern, args.ignore)), traces=args.ignore_traces)
    with open_shock(images.shock) as shock, progress_bar(args, f"read {spec.name}") as progress:
        found = reproduce(
            image, shock, output=build_output(args), progress=progress, pull=args.pull, keep=args.keep,
            leniency=leniency,
        )  # fmt: skip
    if args.record:
        write_record(fill_key(args.record, spec.reference), found)
    code = EXIT_DIFFERENCE if found.verdict == "drifted" else EXIT_DONE
    return Outcome(found, list(_sections(found, args)), code)


def _sections(found: Reproduction, args: argparse.Namespace) -> Iterator[str | Table]:
    yield "\n".join(_summary(found))
    if found.changed_inputs:
        yield "Not as when it was published:\n" + "\n".join(f"- {printable(what)}" for what in found.changed_inputs)
    yield from comparison_sections(found, ("PUBLISHED", "REBUILT"), paths=args.paths)


def _summary(found: Reproduction) -> Iterator[str]:
    yield f"{found.verdict}: {_verdict(found)}"
    yield f"published  {found.published_id}  node {found.node}"
    yield f"rebuilt    {found.rebuilt_id}  {f'kept as {found.kept_as}' if found.kept_as else 'removed again'}"


def _verdict(found: Reproduction) -> str:
    if found.verdict == "identical":
        return f"{found.name} was built again bit by bit"
    if found.verdict == "same contents":
        left_out = ", apart from what is not to count" if found.traces.total or found.ignored else ""
        return f"{found.name} was built again with the same files and config{left_out}; only ids and times differ"
    traces = f"nothing but logs, caches and times ({count(found.traces.total, 'file')})"
    return f"{found.name} differs in {count_differences(found) or traces}"
