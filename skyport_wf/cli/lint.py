"""`skyport-wf lint [NAME...]`, `--dockerfile FILE...`, `--cwl FILE...`."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from skyport_wf.cli.arguments import add_image_list, any_path, output_file
from skyport_wf.cli.outcome import Outcome
from skyport_wf.errors import EXIT_DIFFERENCE, EXIT_DONE, UsageError

if TYPE_CHECKING:
    from skyport_wf.lint.cwl.findings import CwlThreshold
    from skyport_wf.lint.findings import Threshold
    from skyport_wf.lint.hadolint.run import Hadolint
    from skyport_wf.lint.images import LintedFile

_log = logging.getLogger(__name__)
_OF_DOCKERFILES = ("error", "warning", "info", "style", "none")
_OF_CWL = ("failure", "loss", "note", "none")
"""The levels of lint.findings and lint.cwl.findings, which are imported too late for --help."""


EXAMPLES = (
    "skyport-wf lint",
    "skyport-wf lint --dockerfile Dockerfile --level error",
    "skyport-wf lint --fix --dry-run",
    "skyport-wf lint --format sarif >lint.sarif",
    "skyport-wf lint --cwl workflow.cwl",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these images of the list; also with * ? [...]")
    add_image_list(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--dockerfile", type=any_path, nargs="+", metavar="FILE", help="Dockerfiles, without an image list"
    )
    what.add_argument("--cwl", type=any_path, nargs="+", metavar="FILE", help="CWL documents that AWE is to run")
    parser.add_argument(
        "--level", choices=dict.fromkeys((*_OF_DOCKERFILES, *_OF_CWL)), metavar="LEVEL",
        help="end with exit code 3 for findings from this level on: error, warning, info or style (default: what "
        "hadolint's settings have as failure-threshold, or else warning); with --cwl failure, loss (the default) or "
        "note; none for never",
    )  # fmt: skip
    parser.add_argument(
        "--ignore", action="append", default=[], metavar="CODE", help="do not apply this rule, such as SKY002"
    )
    parser.add_argument(
        "--engine", action="store_true", help="look also whether the engine's images of these names have /bin/bash"
    )
    parser.add_argument(
        "--fix", action="store_true",
        help="mend Dockerfiles: --no-install-recommends, lists of apt removed, and the versions that the published "
        "image has",
    )  # fmt: skip
    parser.add_argument("--dry-run", "-n", action="store_true", help="with --fix: show the changes, and make none")
    parser.add_argument(
        "--format", choices=("text", "sarif", "github"), default="text",
        help="lines for people, SARIF for code scanning, or what GitHub shows in pull requests (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--report", type=output_file, metavar="FILE", help="write what --json prints into FILE, too")
    parser.add_argument(
        "--packed", action="store_true", help="the CWL documents are what will be submitted: each has to have a $graph"
    )


def run(args: argparse.Namespace) -> Outcome:
    """Report mistakes in Dockerfiles, scripts or CWL documents, by line."""
    if args.names and (args.cwl or args.dockerfile):
        raise UsageError("name either images of the list, or files with --dockerfile or --cwl")
    if args.engine and (args.cwl or args.dockerfile):
        raise UsageError("--engine looks into images: name images of the list")
    if args.cwl and args.ignore:
        raise UsageError("--ignore is for the rules of Dockerfiles: those of CWL documents have no codes")
    if args.level and args.level not in (levels := _OF_CWL if args.cwl else _OF_DOCKERFILES):
        raise UsageError(f"--level {args.level} is not for these files: give one of {', '.join(levels)}")
    if args.fix and args.cwl:
        raise UsageError("--fix is for Dockerfiles")
    if args.dry_run and not args.fix:
        raise UsageError("--dry-run is for --fix: without that, lint changes nothing")
    if args.packed and not args.cwl:
        raise UsageError("--packed is for CWL documents: name them with --cwl")
    outcome = _lint_cwl(args) if args.cwl else _lint_images(args)
    if args.report:
        from skyport_wf.output_file import keep_other_file
        from skyport_wf.records.encoding import encode_outcome
        from skyport_wf.records.files import write_document

        keep_other_file(args.report, "report of lint", lambda there: b'"findings"' in there)
        write_document(args.report, encode_outcome(outcome.value))
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

    def lint() -> Sequence[LintedFile]:
        if args.dockerfile:
            return [lint_file(path, hadolint, reported) for path in args.dockerfile]
        if args.engine:
            from skyport_wf.engine.connection import one_connection

            connect = one_connection()
            return lint_images(
                args.images, args.names, hadolint, reported, look=lambda name: look_into_engine(connect(), name)
            )
        return lint_images(args.images, args.names, hadolint, reported)

    files, changed = lint(), {}
    if args.fix:
        from skyport_wf.cli.lint_fix import fix_files

        diffs = fix_files(files, args)
        changed = {"diffs": diffs}
        if args.dry_run:
            return Outcome(changed, "\n".join(diffs), EXIT_DIFFERENCE if diffs else EXIT_DONE)
        files = lint() if diffs else files
    level: Threshold = args.level or hadolint.settings.failure_threshold or DEFAULT_THRESHOLD
    failed = any(fails(finding, level) for file in files for finding in file.findings)
    text = "\n".join(_lines(files, level, only_failing=bool(args.quiet)))
    if args.format != "text":
        text = _formatted(
            args.format,
            (
                (file.file, one.line, one.code, one.level, " ".join(one.message.split()), one.instead)
                for file in files
                for one in file.findings
                if fails(one, level) or not args.quiet
            ),
        )
    return Outcome(_document(files, level, hadolint) | changed, text, EXIT_DIFFERENCE if failed else EXIT_DONE)


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


def _formatted(kind: str, told: Iterable[tuple[str, int, str, str, str, str | None]]) -> str:
    """Return findings in the form that other programs read."""
    from skyport_wf.lint.report_formats import Reported, as_github, as_sarif

    return (as_sarif if kind == "sarif" else as_github)(Reported(*one) for one in told)


def _lint_cwl(args: argparse.Namespace) -> Outcome:
    from skyport_wf.formatting import count, printable
    from skyport_wf.lint.cwl.document import lint_cwl_file
    from skyport_wf.lint.cwl.findings import CWL_LEVELS, DEFAULT_CWL_THRESHOLD, cwl_fails

    level = args.level or DEFAULT_CWL_THRESHOLD
    found = [(str(path), one) for path in args.cwl for one in lint_cwl_file(path, packed=args.packed)]
    failing = sum(cwl_fails(one, level) for _, one in found)
    # Notes are many, and harm nobody: they are shown to those who ask for them.
    least: CwlThreshold = level if args.quiet or level == "note" else "loss"
    lines = [
        printable(f"{file}:{one.line}: {one.level}: {one.where}: {one.message}")
        for file, one in found
        if cwl_fails(one, least)
    ]
    if not args.quiet:
        number = {one: sum(each.level == one for _, each in found) for one in CWL_LEVELS}
        told = "nothing that AWE would reject or lose"
        if number["failure"] or number["loss"]:
            losses = f"{number['loss']} loss{'' if number['loss'] == 1 else 'es'}"
            told = f"{count(number['failure'], 'failure')}, {losses}"
        notes = f", {count(number['note'], 'note')}" if level == "note" else ""
        lines.append(f"{count(len(args.cwl), 'document')}: {told}{notes}")
    text = "\n".join(lines)
    if args.format != "text":
        reported = (
            (file, one.line, f"CWL-{one.level}", one.level, f"{one.where}: {one.message}", None)
            for file, one in found
            if cwl_fails(one, least)
        )
        text = _formatted(args.format, reported)
    findings = [
        {"file": file, "line": one.line, "level": one.level, "where": one.where, "message": one.message}
        for file, one in found
    ]
    return Outcome({"level": level, "findings": findings}, text, EXIT_DIFFERENCE if failing else EXIT_DONE)
