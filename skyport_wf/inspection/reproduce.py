"""Building a published image again, to see whether the same comes out. What is published is left alone."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.engine.connection import one_connection
from skyport_wf.errors import UsageError
from skyport_wf.image.comparison.comparison import ComparedImage, ImageComparison, compare_images
from skyport_wf.image.layers.file_index import FileIndex
from skyport_wf.inspection.changed_inputs import changed_inputs
from skyport_wf.inspection.rebuild import rebuilt_image
from skyport_wf.inspection.show import examine_in_engine, examine_node
from skyport_wf.progress import UNSEEN, Progress
from skyport_wf.publication.attributes import read_attributes
from skyport_wf.publication.resolve import find_for_worker
from skyport_wf.sources.resolution import ResolvedImage
from skyport_wf.sources.source import Output
from skyport_wf.steps.bases import hold_bases

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock


class Reproduction(ImageComparison, frozen=True, kw_only=True):
    """A published image beside the one that was built again."""

    name: str
    node: str
    """The node of the published one."""
    changed_inputs: tuple[str, ...]
    """Other inputs than at its publication: phrases such as `another Dockerfile`."""
    kept_as: str | None
    """The name under which the engine keeps the image that was built again; None if it was removed."""


class Leniency(msgspec.Struct, frozen=True):
    """Differences in files that are no reason to call an image drifted."""

    patterns: tuple[str, ...] = ()
    """Paths, as `fnmatch` matches them; they begin with `/`, and `*` matches `/`, too."""
    traces: bool = False
    """Logs, caches and times."""

    def ignores(self, path: str) -> bool:
        """Return whether what is at the path does not count."""
        return any(fnmatchcase(path, pattern) for pattern in self.patterns)


def reproduce(
    image: ResolvedImage,
    shock: Shock,
    *,
    output: Output,
    progress: Progress = UNSEEN,
    pull: bool = False,
    keep: bool = False,
    leniency: Leniency = Leniency(),  # noqa: B008 - a frozen value
) -> Reproduction:
    """Build the image again without cache, and return in what it differs from the published one.

    output: called with each piece of text that the build prints.
    progress: called with the bytes of each piece of an archive that is read.
    pull: ask the registry for a newer base image.
    keep: leave the image that is built in the engine, under a name of its own.
    Raises UsageError if the image's source cannot be built again; AweLookupError if it is not published; BuildError.
    """
    from skyport_wf.engine.capabilities import read_version

    _check(image, pull=pull)
    name = image.spec.name
    node = find_for_worker(shock, name)
    with FileIndex(with_contents=True) as before, FileIndex(with_contents=True) as after:
        published = ComparedImage(examine_node(shock.user, node, name, progress, index=before), before)
        progress.rest()
        connect = one_connection()
        engine = connect()
        bases = hold_bases(engine, shock, image)
        with rebuilt_image(engine, image, bases, output, pull=pull, keep=keep) as rebuilt:
            inputs = (
                *changed_inputs(
                    read_attributes(node.attributes),
                    image.describe(connect),
                    base=rebuilt.made.base,
                    engine=read_version(engine),
                ),
                *(
                    f"{need} is not published, the engine's own was taken"
                    for need in image.needs
                    if bases[need].image_id is None
                ),
            )
            again = ComparedImage(examine_in_engine(engine, rebuilt.made.id, progress=progress, index=after), after)
        found = compare_images(published, again, ignored=leniency.ignores, ignore_traces=leniency.traces)
    return Reproduction(
        **msgspec.structs.asdict(found),
        name=name,
        node=node.id,
        changed_inputs=inputs,
        kept_as=rebuilt.name if keep else None,
    )


def _check(image: ResolvedImage, *, pull: bool) -> None:
    spec = image.spec
    if what := image.source.cannot_be_rebuilt:
        raise UsageError(
            f"image {spec.name} comes from {what}, which cannot be made again: only a `dockerfile` and a `snapshot` "
            "say how. `skyport-wf verify` checks that the published image is still the same."
        )
    if pull and spec.source != "dockerfile":
        raise UsageError(f"image {spec.name} comes from a {spec.source}: --pull is for images that have a Dockerfile")
    if pull and image.used and not image.used_others:
        names = ", ".join(dict.fromkeys(image.used.values()))
        raise UsageError(
            f"image {spec.name} is built on {names} of the image list alone, which no registry has: leave out --pull"
        )
