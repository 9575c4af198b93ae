"""The images to build and their order, as workflow engines need to know them: without an engine or a Shock."""

from pathlib import Path

import msgspec

from skyport_wf.image_list.spec import ImageList, SourceKind
from skyport_wf.publication.settings import effective_settings
from skyport_wf.records.encoding import digest_of, encode_json
from skyport_wf.sources.resolution import resolve_images


class PlannedImage(msgspec.Struct, frozen=True):
    """One image of the list, as a workflow engine needs to know it."""

    name: str
    key: str
    """The name as a file name."""
    source: SourceKind
    digest: str
    """Changes with everything that the files and the image list say of it."""
    needs: tuple[str, ...]
    """Names of the images of the list that it is built on."""
    base: str | None
    """The one of them without whose layers it is published, so that it has to be published first."""
    archive: str | None
    """The file that it comes from, if it comes from one."""


def plan_images(images: ImageList, folder: Path) -> list[PlannedImage]:
    """Return what there is to build, each image after those that it is built on.

    Of what an address names that cannot be reached, the last copy will do, so that a dry run works offline.
    folder: what the paths of the image list start from.
    Raises UsageError for a missing Dockerfile, context or script, or a circle.
    """
    planned = []
    for name, image in resolve_images(images, folder, last_copies=True).items():
        spec = image.spec
        settings = effective_settings(images.shock, public=spec.public)
        source_digest = image.facts.digest if image.facts else ""
        planned.append(
            PlannedImage(
                name=name,
                key=spec.reference.key,
                source=spec.source,
                digest=digest_of(encode_json([spec, settings.url, settings.public, source_digest])),
                needs=image.needs,
                base=spec.base if spec.base in image.needs else None,
                archive=spec.archive and str(folder / spec.archive),
            )
        )
    return planned
