"""`skyport-wf report FOLDER... --output FILE`."""

import argparse

from skyport_wf.cli.arguments import any_path, output_file
from skyport_wf.cli.outcome import Outcome
from skyport_wf.formatting import count

EXAMPLES = ("skyport-wf report results/skyport/*/ --output images.html",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "folders", nargs="+", type=any_path, metavar="FOLDER",
        help="where the rules `show` have written receipt.json, show.json and findings.json of an image",
    )  # fmt: skip
    parser.add_argument("--output", type=output_file, required=True, metavar="FILE", help="where to write the table")


def run(args: argparse.Namespace) -> Outcome:
    """Write a table of the images."""
    from skyport_wf.inspection.image_table import draw_table, read_row
    from skyport_wf.output_file import keep_other_file
    from skyport_wf.records.files import write_document

    rows = [read_row(folder) for folder in args.folders]
    keep_other_file(args.output, "table of images", lambda there: b'class="skyport-images"' in there)
    write_document(args.output, draw_table(rows).encode())
    names = [row.receipt.name for row in rows]
    return Outcome({"images": names, "table": str(args.output)}, f"{args.output} has {count(len(rows), 'image')}")
