"""`skyport-wf build NAME`."""

import argparse

from skyport_wf.cli.arguments import add_image_list, add_record, fill_key, whole_number
from skyport_wf.cli.messages import build_output
from skyport_wf.cli.outcome import Outcome, short_id

EXAMPLES = ("skyport-wf build my-lab/tool:1.0 --record build.json",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("name", metavar="NAME", help="REPO:TAG of an image of the list")
    add_image_list(parser)
    add_record(parser, "the build record")
    seconds = whole_number("a whole number of seconds, below a million", most=999_999)
    parser.add_argument(
        "--wait", type=seconds, default=0, metavar="SECONDS",
        help="wait so long until the images of the list that it is built on are published",
    )  # fmt: skip


def run(args: argparse.Namespace) -> Outcome:
    """Build the image, or find that it is published, and write the build record."""
    from skyport_wf.engine.connection import one_connection
    from skyport_wf.image_list.images_yaml import read_image_list
    from skyport_wf.publication.connection import open_shock
    from skyport_wf.records.encoding import check_unicode
    from skyport_wf.records.files import check_record_file, write_record
    from skyport_wf.sources.resolution import resolve_images
    from skyport_wf.steps.bases import wait_for_bases
    from skyport_wf.steps.build import build, check_builds

    images = read_image_list(args.images)
    image = resolve_images(images, args.images.parent, [args.name])[args.name]
    if image.source.archive:
        check_unicode(str(image.source.archive))
    target = fill_key(args.record, image.spec.reference)
    check_record_file(target, "skyport-wf build")
    with open_shock(images.shock) as shock:
        connect = one_connection()
        check_builds([image], images.shock, shock, connect)
        if args.wait:
            wait_for_bases(image, shock, seconds=args.wait)
        record = build(image, images.shock, shock, connect=connect, output=build_output(args))
    write_record(target, record)
    if record.published:
        return Outcome(record, f"{record.name} is published already, on node {record.published}")
    registry = record.source.registry
    made = f"image {short_id(record.image)}" if record.image else f"in {registry.name if registry else record.archive}"
    return Outcome(record, f"{record.name} is {made}")
