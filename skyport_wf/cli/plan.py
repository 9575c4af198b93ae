"""`skyport-wf plan`."""

import argparse

from skyport_wf.cli.arguments import add_image_list
from skyport_wf.cli.outcome import Outcome, table

EXAMPLES = (
    "skyport-wf plan",
    "skyport-wf plan --json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    add_image_list(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Say what there is to build, from the files alone: neither the engine nor Shock is asked."""
    from skyport_wf.image_list.images_yaml import read_image_list
    from skyport_wf.inspection.plan import plan_images

    planned = plan_images(read_image_list(args.images), args.images.parent)
    rows = [(image.name, image.source, ", ".join(image.needs) or "-", image.digest[7:19]) for image in planned]
    # The names apart are what a CWL workflow can scatter over.
    value = {"images": planned, "names": [image.name for image in planned]}
    return Outcome(value, table(("IMAGE", "SOURCE", "NEEDS", "DIGEST"), rows))
