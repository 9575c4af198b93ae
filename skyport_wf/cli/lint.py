"""`skyport-wf lint --cwl FILE...`."""

import argparse
from pathlib import Path

from skyport_wf.cli.outcome import Outcome
from skyport_wf.errors import EXIT_DIFFERENCE, EXIT_DONE, UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "--cwl", type=Path, nargs="+", required=True, metavar="FILE", help="CWL documents that AWE is to run"
    )
    parser.add_argument(
        "--packed", action="store_true", help="they are what will be submitted: each has to have a $graph"
    )


def run(args: argparse.Namespace) -> Outcome:
    """Say what AWE would reject, lose or misread in the documents."""
    from skyport_wf.cwl_lint import lint_cwl
    from skyport_wf.yaml_document import parse_yaml

    found = [
        {"file": str(path), "line": finding.line, "where": finding.where, "message": finding.message}
        for path in args.cwl
        for finding in lint_cwl(parse_yaml(_read(path), name=str(path)), packed=args.packed)
    ]
    lines = [f"{one['file']}:{one['line']}: {one['where']}: {one['message']}" for one in found]
    text = "\n".join(lines) or f"{len(args.cwl)} documents: nothing that AWE would reject or lose"
    return Outcome({"findings": found}, text, EXIT_DIFFERENCE if found else EXIT_DONE)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
