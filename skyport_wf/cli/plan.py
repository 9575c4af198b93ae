"""`skyport-wf plan`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING

from skyport_wf.cli.arguments import add_image_list
from skyport_wf.cli.outcome import Outcome, table
from skyport_wf.errors import UsageError
from skyport_wf.output_file import LONGEST_NAME

if TYPE_CHECKING:
    from skyport_wf.records.plan import PlannedImage

LONGEST_SUFFIX = ".packages.cdx.json"
"""What the CWL tools put behind an image's key."""
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
    _check_keys(planned)
    rows = [(image.name, image.source, ", ".join(image.needs) or "-", image.digest[7:19]) for image in planned]
    # The names apart are what a CWL workflow can scatter over.
    value = {"images": planned, "names": [image.name for image in planned]}
    return Outcome(value, table(("IMAGE", "SOURCE", "NEEDS", "DIGEST"), rows))


def _check_keys(images: Iterable[PlannedImage]) -> None:
    """Raise UsageError for an image whose last file could have no name, when the image is published already."""
    for image in images:
        if len(file := image.key + LONGEST_SUFFIX) > LONGEST_NAME:
            raise UsageError(
                f"image {image.name}: workflows list its packages in {file}, and the name of a file has at most "
                f"{LONGEST_NAME} bytes. Give it a shorter one."
            )
