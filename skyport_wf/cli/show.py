"""`skyport-wf show NAME`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from skyport_wf.cli.arguments import add_image_list, input_file, output_file, shock_if_needed
from skyport_wf.cli.outcome import Outcome, Table, table
from skyport_wf.cli.progress import progress_bar
from skyport_wf.errors import UsageError
from skyport_wf.image_list.place import DEFAULT_LIST

if TYPE_CHECKING:
    from skyport_wf.image.contents import Layer
    from skyport_wf.image.examination.examine import ImageExamination
    from skyport_wf.image.examination.report import ImageReport, LayerReport
    from skyport_wf.publication.connection import Shock

_OTHERS = 10
"""Images that something is shared with."""
_COMMAND = 100
"""Characters of a layer's command."""


EXAMPLES = (
    "skyport-wf show my-lab/tool:1.0 --packages",
    "skyport-wf show --archive image.tar.gz --chart layers.svg",
    "skyport-wf show debian:bookworm --engine",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "name",
        nargs="?",
        metavar="NAME",
        help="REPO[:TAG] of a published image, as an AWE task has it; with --archive, REPO:TAG of an image in it",
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--archive",
        type=input_file,
        metavar="FILE",
        help="look into this archive or OCI layout instead",
    )
    source.add_argument("--engine", action="store_true", help="look into the engine's image NAME instead")
    parser.add_argument("--packages", action="store_true", help="list the packages in it")
    parser.add_argument("--chart", type=output_file, metavar="FILE", help="draw its layers into this SVG file")
    parser.add_argument("--sbom", type=output_file, metavar="FILE", help="write its packages as CycloneDX JSON")
    add_image_list(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Read the image's archive once, and say what is in it."""
    from skyport_wf.image.examination.report import make_report

    _check_files(args)
    with shock_if_needed(args) as shock:
        name, found, notes = _examine(args, shock)
        others, more = _others(args, shock, name)
    report = make_report(name, found, others, notes=(*notes, *more))
    _write_files(args, report, found)
    return Outcome(report, list(_sections(report, packages=args.packages)))


def _examine(args: argparse.Namespace, shock: Callable[[], Shock]) -> tuple[str, ImageExamination, Sequence[str]]:
    """Return the image's name, what was found in it, and what is wrong with where it was found."""
    from skyport_wf.engine.connection import connect
    from skyport_wf.formatting import unicode_text
    from skyport_wf.inspection.show import examine_file, examine_in_engine, examine_published

    if not (args.name or args.archive):
        raise UsageError("name the image to look into, or give --archive FILE")
    with progress_bar(args, f"read {args.name or args.archive}") as progress:
        if args.archive:
            found = examine_file(args.archive, wanted=args.name or "", progress=progress)
            return args.name or next(iter(found.contents.repo_tags), unicode_text(str(args.archive))), found, ()
        if args.engine:
            return args.name, examine_in_engine(connect(), args.name, progress=progress), ()
        with _telling_of_archive(args.name):
            return examine_published(shock(), args.name, progress=progress)


@contextmanager
def _telling_of_archive(name: str) -> Iterator[None]:
    """Say how an archive is looked into where no image has the name, but a file is there."""
    from skyport_wf.inspection.image_source import is_archive
    from skyport_wf.publication.awe_lookup import AweLookupError

    try:
        yield
    except AweLookupError as error:
        if is_archive(name):
            raise AweLookupError(f"{error} To look into the archive of this path, give --archive {name}.") from error
        raise


def _others(
    args: argparse.Namespace, shock: Callable[[], Shock], name: str
) -> tuple[Mapping[str, Sequence[Layer]], Sequence[str]]:
    """Return the layers of the published images to compare with, and why there are none if Shock fails.

    Those of the image list if there is one; for a published image, otherwise, all that its Shock has.
    """
    from skyport_wf.errors import SkyportError
    from skyport_wf.image_list.images_yaml import read_image_list
    from skyport_wf.inspection.show import read_published_layers

    listed = args.images != DEFAULT_LIST or args.images.exists()
    if not listed and (args.archive or args.engine):
        return {}, ()
    names = [image.name for image in read_image_list(args.images).images] if listed else None
    try:
        return read_published_layers(shock().user, but=name, names=names), ()
    except UsageError:
        raise
    except SkyportError as error:
        return {}, (f"bytes shared with other images are not told: {error}",)


def _check_files(args: argparse.Namespace) -> None:
    """Raise what writing these files would raise: to be said before the image is read, which may take long."""
    from skyport_wf.output_file import check_writable, keep_other_file
    from skyport_wf.records.files import check_packages_file

    if args.chart:
        from skyport_wf.image.examination.chart import is_chart

        check_writable(args.chart)
        keep_other_file(args.chart, "chart of layers", is_chart)
    if args.sbom:
        check_packages_file(args.sbom)


def _write_files(args: argparse.Namespace, report: ImageReport, found: ImageExamination) -> None:
    from skyport_wf.records.files import write_document, write_packages

    if args.chart:
        from skyport_wf.image.examination.chart import draw_chart

        write_document(args.chart, draw_chart(report).encode())
    if args.sbom:
        from skyport_wf.image.examination.sbom import make_sbom

        write_packages(args.sbom, make_sbom(report.name, found.listed))


def _sections(report: ImageReport, *, packages: bool) -> Iterator[str | Table]:
    yield "\n".join(_summary(report))
    yield _layer_table(report)
    if report.largest_wasted:
        yield f"Largest wasted files:\n{_wasted_table(report)}"
    if report.shared:
        yield _shared_table(report)
    if packages:
        yield _package_table(report)
    if report.notes:
        yield "\n".join(f"Note: {_printable(note)}." for note in report.notes)


def _shared_table(report: ImageReport) -> str:
    """Return the images with which most is shared: on a Shock, all images of a lab may have the same base."""
    rows = [(_size(other.size), _printable(other.name)) for other in report.shared[:_OTHERS]]
    more = len(report.shared) - len(rows)
    return f"{table(('SHARED', 'WITH'), rows)}" + (f"\n... and {more} more; --json lists all" if more else "")


def _summary(report: ImageReport) -> Iterator[str]:
    from skyport_wf.formatting import summarise_bytes
    from skyport_wf.image.examination.report import count_packages
    from skyport_wf.image.platforms import is_platform
    from skyport_wf.sources.platforms import own_platform

    yield f"{_printable(report.name)}  {report.image_id}"
    yield summarise_bytes(report.size, len(report.layers), report.wasted)
    system = f"{report.operating_system.name}; " if report.operating_system else ""
    yield f"{system}packages: {count_packages(report.packages)}"
    if bases := [_base_layers(name, list(layers)) for name, layers in _by_base(report) if name]:
        yield f"thin: {', '.join(bases)}"
    if not is_platform(report.platform, own_platform()):
        yield f"it is for {_printable(report.platform)}, and this machine is {own_platform()}"
    if not report.has_bash:
        yield "no AWE task can start in it: it has no /bin/bash"


def _by_base(report: ImageReport) -> Iterator[tuple[str, Iterator[LayerReport]]]:
    from itertools import groupby

    return groupby(report.layers, lambda layer: layer.from_base)


def _base_layers(name: str, layers: Sequence[LayerReport]) -> str:
    first, last = layers[0].number, layers[-1].number
    which = f"layer {first} is" if first == last else f"layers {first} to {last} are"
    return f"{which} in {_printable(name)}"


def _layer_table(report: ImageReport) -> Table:
    from skyport_wf.formatting import percentage, short_command

    rows = (
        (
            layer.number,
            _size(layer.size),
            percentage(layer.share),
            _size(layer.wasted),
            len(layer.shared_with) or "-",
            short_command(layer.created_by)[:_COMMAND],
        )
        for layer in report.layers
    )
    return table(("LAYER", "SIZE", "SHARE", "WASTED", "SHARED WITH", "COMMAND"), rows)


def _wasted_table(report: ImageReport) -> Table:
    rows = (
        (_size(file.size), file.layer, f"{file.how} by {file.hidden_by}", _printable(file.path))
        for file in report.largest_wasted
    )
    return table(("SIZE", "LAYER", "", "PATH"), rows)


def _package_table(report: ImageReport) -> Table:
    from skyport_wf.image.examination.report import KINDS

    rows = ((KINDS[found.kind], found.name, found.version, _printable(found.found_in)) for found in report.packages)
    return table(("KIND", "PACKAGE", "VERSION", "FOUND IN"), rows)


def _size(size: int | None) -> str:
    from skyport_wf.formatting import human_size

    return "?" if size is None else human_size(size) if size else "-"


def _printable(words: str) -> str:
    from skyport_wf.formatting import printable

    return printable(words)
