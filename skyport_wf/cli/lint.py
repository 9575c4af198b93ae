"""`skyport-wf lint [NAME...]`, `--dockerfile FILE...`, `--cwl FILE...`."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from skyport_wf.cli.arguments import add_image_list
from skyport_wf.cli.outcome import Outcome
from skyport_wf.errors import EXIT_DIFFERENCE, EXIT_DONE, UsageError

if TYPE_CHECKING:
    from skyport_wf.lint.findings import Threshold
    from skyport_wf.lint.hadolint.run import Hadolint
    from skyport_wf.lint.images import LintedFile

_log = logging.getLogger(__name__)
_THRESHOLDS = ("error", "warning", "info", "style", "none")
"""The levels of lint.findings, which is imported too late for --help."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="images of the list; all of them if none is named")
    add_image_list(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--dockerfile", type=Path, nargs="+", metavar="FILE", help="Dockerfiles, without an image list")
    what.add_argument("--cwl", type=Path, nargs="+", metavar="FILE", help="CWL documents that AWE is to run")
    parser.add_argument(
        "--level", choices=_THRESHOLDS, metavar="LEVEL",
        help="end with exit code 3 for findings from this level on: %(choices)s (default: what hadolint's settings "
        "have as failure-threshold, or else warning)",
    )  # fmt: skip
    parser.add_argument(
        "--ignore", action="append", default=[], metavar="CODE", help="do not apply this rule, such as SKY002"
    )
    parser.add_argument(
        "--engine", action="store_true", help="look also whether the engine's images of these names have /bin/bash"
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="write what --json prints into FILE, too")
    parser.add_argument(
        "--packed", action="store_true", help="the CWL documents are what will be submitted: each has to have a $graph"
    )


def run(args: argparse.Namespace) -> Outcome:
    """Report mistakes in Dockerfiles, scripts or CWL documents, by line."""
    if args.names and (args.cwl or args.dockerfile):
        raise UsageError("name either images of the list, or files with --dockerfile or --cwl")
    if args.engine and (args.cwl or args.dockerfile):
        raise UsageError("--engine looks into images: name images of the list")
    if args.cwl and (args.level or args.ignore):
        raise UsageError("--level and --ignore are for Dockerfiles: what AWE does not take in CWL always counts")
    if args.packed and not args.cwl:
        raise UsageError("--packed is for CWL documents: name them with --cwl")
    outcome = _lint_cwl(args) if args.cwl else _lint_images(args)
    if args.report:
        from skyport_wf.output_file import replace_file
        from skyport_wf.records.encoding import encode_json
        from skyport_wf.steps.save import make_folder

        make_folder(args.report.parent)
        with replace_file(args.report) as file:
            file.write(encode_json(outcome.value))
    return outcome


def _lint_images(args: argparse.Namespace) -> Outcome:
    from skyport_wf.lint.catalogue import unknown_codes
    from skyport_wf.lint.filtering import FindingFilter
    from skyport_wf.lint.findings import DEFAULT_THRESHOLD, fails
    from skyport_wf.lint.hadolint.run import find_hadolint
    from skyport_wf.lint.images import lint_file, lint_images, look_into_engine

    for code in unknown_codes(args.ignore):
        meant = code.upper() if not unknown_codes([code.upper()]) else ""
        advice = f"Did you mean {meant}?" if meant else "Each finding is shown with its code."
        raise UsageError(f"--ignore: there is no rule {code!r}. {advice}")
    hadolint = find_hadolint()
    if wrong := unknown_codes((*hadolint.settings.ignored, *hadolint.settings.override.codes)):
        _log.warning("%s names rules that there are not: %s", hadolint.settings_file, ", ".join(map(repr, wrong)))
    reported = FindingFilter(hadolint.settings, frozenset(args.ignore))
    if args.dockerfile:
        files = [lint_file(path, hadolint, reported) for path in args.dockerfile]
    elif args.engine:
        files = lint_images(args.images, args.names, hadolint, reported, look=look_into_engine)
    else:
        files = lint_images(args.images, args.names, hadolint, reported)
    level: Threshold = args.level or hadolint.settings.failure_threshold or DEFAULT_THRESHOLD
    failed = any(fails(finding, level) for file in files for finding in file.findings)
    text = "\n".join(_lines(files, level, only_failing=bool(args.quiet)))
    return Outcome(_document(files, level, hadolint), text, EXIT_DIFFERENCE if failed else EXIT_DONE)


def _document(files: Sequence[LintedFile], level: Threshold, hadolint: Hadolint) -> dict[str, object]:
    fields = ("line", "code", "level", "message", "instead", "source")
    return {
        "level": level,
        "hadolint": hadolint.program is not None,
        "files": [{"file": file.file, "images": file.images} for file in files],
        "findings": [
            {"file": file.file, **{field: getattr(finding, field) for field in fields}}
            for file in files
            for finding in file.findings
        ],
    }


def _lines(files: Sequence[LintedFile], level: Threshold, *, only_failing: bool) -> Iterator[str]:
    from skyport_wf.formatting import count, printable
    from skyport_wf.lint.findings import fails

    told = [(file, finding) for file in files for finding in file.findings]
    for file, finding in told:
        if only_failing and not fails(finding, level):
            continue
        where = f"{file.file}:{finding.line}"
        yield printable(f"{where}: {finding.level} {finding.code}: {' '.join(finding.message.split())}")
        if finding.instead:
            yield printable(f"    instead: {finding.instead}")
    if not only_failing:
        failing = sum(fails(finding, level) for _, finding in told)
        at_level = f", {failing} of them at `{level}` or worse" if told and level != "none" else ""
        yield f"{count(len(files), 'file')}: {count(len(told), 'finding')}{at_level}"


def _lint_cwl(args: argparse.Namespace) -> Outcome:
    from skyport_wf.image_list.yaml_document import parse_yaml
    from skyport_wf.lint.cwl import lint_cwl

    found = []
    for path in args.cwl:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read {path}: {error}") from error
        found += [
            {"file": str(path), "line": one.line, "where": one.where, "message": one.message}
            for one in lint_cwl(parse_yaml(text, name=str(path)), packed=args.packed)
        ]
    lines = [f"{one['file']}:{one['line']}: {one['where']}: {one['message']}" for one in found]
    text = "\n".join(lines) or f"{len(args.cwl)} documents: nothing that AWE would reject or lose"
    return Outcome({"findings": found}, text, EXIT_DIFFERENCE if found else EXIT_DONE)
