"""`skyport-wf save build.json`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from skyport_wf.cli.arguments import KEY_HELP, add_record, fill_key, image_list, input_file, output_file
from skyport_wf.cli.outcome import Outcome
from skyport_wf.formatting import human_size

if TYPE_CHECKING:
    from skyport_wf.records.records import BuildRecord


EXAMPLES = ("skyport-wf save build.json --archive image.tar.gz --record save.json",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("build", type=input_file, metavar="BUILD", help="the build record")
    parser.add_argument(
        "--archive", type=output_file, required=True, metavar="FILE", help=f"where to write the archive; {KEY_HELP}"
    )
    add_record(parser, "the save record")
    parser.add_argument(
        "--images", type=image_list, metavar="FILE",
        help="the image list to look in for the archive that an image comes from (default: where `build` found it)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> Outcome:
    """Write the archive and the save record."""
    from skyport_wf.records.files import check_record_file, read_record, write_record
    from skyport_wf.records.records import BuildRecord
    from skyport_wf.steps.save import save

    build = _find_archive(read_record(args.build, BuildRecord), args)
    archive, path = (fill_key(path, build.reference) for path in (args.archive, args.record))
    check_record_file(path, "skyport-wf save")
    record = save(build, archive, record_folder=path.parent)
    write_record(path, record)
    if record.saved is None:
        return Outcome(record, f"{build.name} is published already, nothing to save")
    digests = record.saved.digests
    sizes = f"{human_size(digests.size)}, {human_size(digests.archive_size)} uncompressed"
    return Outcome(record, f"{build.name} is in {archive} ({sizes})")


def _find_archive(build: BuildRecord, args: argparse.Namespace) -> BuildRecord:
    """Return the build record with the archive that the image list of this step names, if it names one.

    A workflow engine may give each step a copy of the project, and take the copy of the build step away.
    """
    if not (build.archive and args.images):
        return build
    import msgspec

    from skyport_wf.image_list.images_yaml import read_image_list

    listed = read_image_list(args.images).find(build.name)
    if not listed.archive:
        return build
    return msgspec.structs.replace(build, archive=str((args.images.parent / listed.archive).resolve()))
