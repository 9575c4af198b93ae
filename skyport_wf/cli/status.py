"""`skyport-wf status`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from skyport_wf.cli.arguments import add_image_list
from skyport_wf.cli.colours import state
from skyport_wf.cli.outcome import Outcome, short_id, table
from skyport_wf.errors import EXIT_DIFFERENCE, EXIT_DONE, SkyportError
from skyport_wf.formatting import human_size

if TYPE_CHECKING:
    from skyport_wf.image_list.spec import ImageSpec
    from skyport_wf.inspection.status import ImageStatus


EXAMPLES = (
    "skyport-wf status",
    "skyport-wf status 'my-lab/*'",
    "skyport-wf status --json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these images of the list; also with * ? [...]")
    add_image_list(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Say what is published of the list, and what publishing the rest would do."""
    from skyport_wf.engine.connection import one_connection
    from skyport_wf.image_list.images_yaml import read_image_list
    from skyport_wf.inspection.status import read_status, unknown_status
    from skyport_wf.publication.connection import open_shock
    from skyport_wf.publication.published import PublishedNames
    from skyport_wf.sources.resolution import resolve_images
    from skyport_wf.transfer.concurrency import in_order

    images = read_image_list(args.images)
    unknown: dict[str, SkyportError] = {}
    chosen = images.choose(args.names)
    resolved = resolve_images(images, args.images.parent, [one.name for one in chosen], unknown=unknown)
    with open_shock(images.shock) as shock:
        url = shock.url
        names = PublishedNames(shock, list(resolved))
        connect = one_connection()

        def read(image: ImageSpec) -> ImageStatus:
            if image.name in unknown:
                return unknown_status(image, unknown[image.name])
            return read_status(resolved[image.name], images.shock, shock, connect=connect, names=names)

        statuses = in_order(read, chosen, at_once=shock.open_threads())
    rows = [
        (
            status.name,
            state(status.state),
            short_id(status.image_id or "") or "-",
            human_size(status.size) if status.size is not None else "-",
            status.node or "-",
        )
        for status in statuses
    ]
    todo = [f"{status.name}: publishing it would {status.next}" for status in statuses if status.state != "published"]
    code = EXIT_DIFFERENCE if todo else EXIT_DONE
    listed = table(("IMAGE", "STATE", "IMAGE ID", "SIZE", "NODE"), rows)
    text = (f"Shock: {url}", listed, "\n".join(todo), "\n".join(_warnings(statuses)))
    return Outcome({"shock": url, "images": statuses}, text, code)


def _warnings(statuses: Sequence[ImageStatus]) -> Iterator[str]:
    """Yield what has to be known of images: thin ones on one base together, and what other tools left incomplete."""
    from skyport_wf.publication.thin import workers_need

    for status in statuses:
        # What thin ones need is told below.
        if told := status.warning.removeprefix(workers_need(status.name, status.thin_on)).removeprefix(". "):
            yield told
        if status.problems:
            yield f"{status.name}: {'; '.join(status.problems)} (`skyport-wf adopt {status.name}` mends it)"
    for base in sorted({status.thin_on for status in statuses if status.thin_on}):
        thin = [status.name for status in statuses if status.thin_on == base]
        yield f"thin on {base}: {', '.join(thin)}"
        yield f"  AWE workers fetch no base by themselves, each needs it loaded beforehand (skyport-wf pull {base})"
