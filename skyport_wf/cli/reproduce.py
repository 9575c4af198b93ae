"""`skyport-wf reproduce NAME`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from skyport_wf.cli.arguments import KEY_HELP, add_image_list, fill_key, output_file, progress_bar
from skyport_wf.cli.messages import build_output
from skyport_wf.cli.outcome import Outcome, table
from skyport_wf.errors import EXIT_DIFFERENCE, EXIT_DONE, UsageError

if TYPE_CHECKING:
    from skyport_wf.image.comparison.file_changes import FileChange, FileChanges
    from skyport_wf.inspection.reproduce import Reproduction

_PATHS = 20
_VALUE = 60
"""Characters of a value in a table."""


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
    parser.add_argument(
        "--ignore", action="append", default=[], metavar="PATTERN",
        help="leave out files whose path matches, such as '/opt/data/*'; * matches / too; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--ignore-traces", action="store_true", help="let logs, caches and times be no reason for `drifted`"
    )
    parser.add_argument(
        "--paths", type=_count, default=_PATHS, metavar="N", help="list so many files (default: %(default)s)"
    )
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
    leniency = Leniency(tuple(map(_pattern, args.ignore)), traces=args.ignore_traces)
    with open_shock(images.shock) as shock, progress_bar(args, f"read {spec.name}") as progress:
        found = reproduce(
            image, shock, output=build_output(args), progress=progress, pull=args.pull, keep=args.keep,
            leniency=leniency,
        )  # fmt: skip
    if args.record:
        write_record(fill_key(args.record, spec.reference), found)
    code = EXIT_DIFFERENCE if found.verdict == "drifted" else EXIT_DONE
    return Outcome(found, "\n\n".join(filter(None, _sections(found, args))), code)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of files")
    return int(text)


def _pattern(text: str) -> str:
    """Return the pattern; paths begin with `/`, so another one would never match."""
    if not text.startswith(("/", "*")):
        raise UsageError(
            f"--ignore {text!r} matches nothing: paths begin with /, so a pattern has to begin with / or *"
        )
    return text


def _sections(found: Reproduction, args: argparse.Namespace) -> Iterator[str]:
    yield "\n".join(_summary(found))
    if found.changed_inputs:
        yield "Not as when it was published:\n" + "\n".join(f"- {_printable(what)}" for what in found.changed_inputs)
    if found.packages:
        yield _package_table(found)
    if found.metadata:
        yield _metadata_table(found)
    yield from _files("Files", found.files, args.paths)
    yield from _files("Logs, caches and times, of which every build leaves its own", found.traces, args.paths)
    yield "\n".join(_remarks(found))


def _summary(found: Reproduction) -> Iterator[str]:
    yield f"{found.verdict}: {_verdict(found)}"
    yield f"published  {found.published_id}  node {found.node}"
    yield f"rebuilt    {found.rebuilt_id}  {f'kept as {found.kept_as}' if found.kept_as else 'removed again'}"


def _verdict(found: Reproduction) -> str:
    from skyport_wf.formatting import count

    if found.verdict == "identical":
        return f"{found.name} was built again bit by bit"
    if found.verdict == "same contents":
        left_out = ", apart from what is not to count" if found.traces.total or found.ignored else ""
        return f"{found.name} was built again with the same files and config{left_out}; only ids and times differ"
    differs = {"package": len(found.packages), "metadata field": len(found.metadata), "file": found.files.total}
    told = [count(number, what) for what, number in differs.items() if number]
    traces = f"nothing but logs, caches and times ({count(found.traces.total, 'file')})"
    return f"{found.name} differs in {', '.join(told) or traces}"


def _package_table(found: Reproduction) -> str:
    from skyport_wf.image.examination.report import KINDS

    rows = (
        (KINDS[package.kind], package.name, package.published or "-", package.rebuilt or "-")
        for package in found.packages
    )
    return table(("KIND", "PACKAGE", "PUBLISHED", "REBUILT"), rows)


def _metadata_table(found: Reproduction) -> str:
    rows = ((_value(change.field), _value(change.published), _value(change.rebuilt)) for change in found.metadata)
    return table(("METADATA", "PUBLISHED", "REBUILT"), rows)


def _files(title: str, changes: FileChanges, most: int) -> Iterator[str]:
    if not changes.total:
        return
    counts = {"added": changes.added, "removed": changes.removed, "changed": changes.changed}
    head = f"{title}: " + ", ".join(f"{number} {how}" for how, number in counts.items() if number)
    shown = changes.listed[:most]
    more = f"... and {changes.total - len(shown)} more" if changes.total > len(shown) else ""
    yield "\n".join(filter(None, (head, _file_table(shown), more)))


def _file_table(changes: tuple[FileChange, ...]) -> str:
    rows = ((change.how, _details(change), _printable(change.path)) for change in changes)
    return table(("CHANGE", "WHAT", "PATH"), rows) if changes else ""


def _details(change: FileChange) -> str:
    """Return what differs, such as `content, mode 0644 -> 0755`."""
    before, after = change.published, change.rebuilt
    if before is None or after is None:
        state = before or after
        return state.type if state else ""
    values = {
        "type": (before.type, after.type),
        "link": (before.target, after.target),
        "device": (before.target, after.target),
        "mode": (before.mode, after.mode),
        "owner": (before.owner, after.owner),
    }
    told = ((what, values.get(what)) for what in change.what)
    return ", ".join(f"{what} {_value(pair[0])} -> {_value(pair[1])}" if pair else what for what, pair in told)


def _remarks(found: Reproduction) -> Iterator[str]:
    from skyport_wf.formatting import count

    if found.touched:
        yield f"Not counted: {count(found.touched, 'path')} of which only the time of the last change differs."
    if found.ignored:
        yield f"Ignored as asked: differences in {count(found.ignored, 'file')}."
    yield from (f"Note: {_printable(note)}." for note in found.notes)


def _value(text: str | None) -> str:
    shown = _printable(text or "-")
    return shown if len(shown) <= _VALUE else f"{shown[: _VALUE - 3]}..."


def _printable(words: str) -> str:
    from skyport_wf.formatting import printable

    return printable(words)
