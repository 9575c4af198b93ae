"""The differences between two images as people read them: of `reproduce` and of `diff`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from skyport_wf.cli.arguments import whole_number
from skyport_wf.cli.outcome import Table, table
from skyport_wf.errors import UsageError
from skyport_wf.formatting import count, printable

if TYPE_CHECKING:
    from skyport_wf.image.comparison.comparison import ImageComparison
    from skyport_wf.image.comparison.file_changes import FileChange, FileChanges

_PATHS = 20
_VALUE = 60
"""Characters of a value in a table."""


def add_leniency(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which differences in files count, and how many are listed."""
    parser.add_argument(
        "--ignore", action="append", default=[], metavar="PATTERN",
        help="leave out files whose path matches, such as '/opt/data/*'; * matches / too; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--ignore-traces",
        action="store_true",
        help="list logs, caches and times, and let the verdict not depend on them",
    )
    parser.add_argument(
        "--paths", type=whole_number("a number of files"), default=_PATHS, metavar="N",
        help="list so many files (default: %(default)s)",
    )  # fmt: skip


def check_pattern(text: str) -> str:
    """Return a pattern of --ignore; paths begin with `/`, so another one would never match."""
    if not text.startswith(("/", "*")):
        raise UsageError(
            f"--ignore {text!r} matches nothing: paths begin with /, so a pattern has to begin with / or *"
        )
    return text


def comparison_sections(found: ImageComparison, heads: Sequence[str], *, paths: int) -> Iterator[str | Table]:
    """Yield the tables of what differs, and remarks.

    heads: what the columns of the two images are called.
    paths: how many files are listed.
    """
    if found.packages:
        yield _package_table(found, heads)
    if found.metadata:
        yield _metadata_table(found, heads)
    yield from _files("Files", found.files, paths)
    yield from _files("Logs, caches and times, of which every build leaves its own", found.traces, paths)
    yield "\n".join(_remarks(found))


def count_differences(found: ImageComparison) -> str:
    """Return how much differs, such as `1 package, 3 files`; empty if nothing does."""
    differs = {"package": len(found.packages), "metadata field": len(found.metadata), "file": found.files.total}
    return ", ".join(count(number, what) for what, number in differs.items() if number)


def _package_table(found: ImageComparison, heads: Sequence[str]) -> Table:
    from skyport_wf.image.examination.report import KINDS

    rows = (
        (KINDS[package.kind], package.name, package.published or "-", package.rebuilt or "-")
        for package in found.packages
    )
    return table(("KIND", "PACKAGE", *heads), rows)


def _metadata_table(found: ImageComparison, heads: Sequence[str]) -> Table:
    rows = ((_value(change.field), _value(change.published), _value(change.rebuilt)) for change in found.metadata)
    return table(("METADATA", *heads), rows)


def _files(title: str, changes: FileChanges, most: int) -> Iterator[str]:
    if not changes.total:
        return
    counts = {"added": changes.added, "removed": changes.removed, "changed": changes.changed}
    head = f"{title}: " + ", ".join(f"{number} {how}" for how, number in counts.items() if number)
    shown = changes.listed[:most]
    more = f"... and {changes.total - len(shown)} more" if changes.total > len(shown) else ""
    yield "\n".join(filter(None, (head, _file_table(shown), more)))


def _file_table(changes: tuple[FileChange, ...]) -> str:
    rows = ((change.how, _details(change), printable(change.path)) for change in changes)
    return str(table(("CHANGE", "WHAT", "PATH"), rows)) if changes else ""


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


def _remarks(found: ImageComparison) -> Iterator[str]:
    if found.touched:
        yield f"Not counted: {count(found.touched, 'path')} of which only the time of the last change differs."
    if found.ignored:
        yield f"Ignored as asked: differences in {count(found.ignored, 'file')}."
    yield from (f"Note: {printable(note)}." for note in found.notes)


def _value(text: str | None) -> str:
    shown = printable(text or "-")
    return shown if len(shown) <= _VALUE else f"{shown[: _VALUE - 3]}..."
