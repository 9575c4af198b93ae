"""`skyport-wf workflow [DOCUMENT]`."""

import argparse

from skyport_wf.cli.outcome import Outcome
from skyport_wf.errors import UsageError

EXAMPLES = (
    "skyport-wf workflow",
    "skyport-wf workflow publish-images.cwl",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "name", metavar="DOCUMENT", nargs="?", help="such as publish-images.cwl; without, all are listed"
    )


def run(args: argparse.Namespace) -> Outcome:
    """Say where the CWL documents and the rules are that the package brings."""
    from skyport_wf.pipelines.shipped import find_workflow, list_workflows

    if args.name is None:
        paths = [str(path) for path in list_workflows()]
        return Outcome({"workflows": paths}, "\n".join(paths))
    try:
        path = str(find_workflow(args.name))
    except ValueError as error:
        raise UsageError(str(error)) from None
    return Outcome({"workflow": path}, path)
