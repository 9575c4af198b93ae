"""`skyport-wf doctor`."""

import argparse

from skyport_wf.cli.arguments import DEFAULT_RESULTS, add_image_list
from skyport_wf.cli.colours import state
from skyport_wf.cli.outcome import Outcome, Table, table
from skyport_wf.errors import EXIT_FAILED
from skyport_wf.image_list.place import DEFAULT_LIST

EXAMPLES = (
    "skyport-wf doctor",
    "SHOCK_URL=https://shock.example.org skyport-wf doctor --json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    add_image_list(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Check everything that publishing needs, and say what to do about what is wrong."""
    from skyport_wf.image_list.images_yaml import read_image_list
    from skyport_wf.inspection.doctor import examine

    none = args.images == DEFAULT_LIST and not args.images.exists()
    findings = examine(lambda: None if none else read_image_list(args.images), DEFAULT_RESULTS)
    rows = [
        (state("ok" if finding.ok else "WRONG"), f"{finding.what}: {finding.detail.splitlines()[0]}")
        for finding in findings
    ]
    # Mistakes of a list have several lines.
    whole = [finding.detail for finding in findings if "\n" in finding.detail]
    text: list[str | Table] = [table((), rows), *whole]
    if not (wrong := [finding.what for finding in findings if not finding.ok]):
        return Outcome({"findings": findings}, text)
    value = {"findings": findings, "error": f"wrong: {', '.join(wrong)}", "exit_code": EXIT_FAILED}
    return Outcome(value, text, EXIT_FAILED)
