"""The images to build and their order, as workflow engines need to know them: without an engine or a Shock."""

from pathlib import Path

from skyport_wf.digests import digest_of
from skyport_wf.image_list.spec import ImageList, ImageSpec
from skyport_wf.publication.settings import effective_settings
from skyport_wf.records.encoding import encode_json
from skyport_wf.records.plan import PlannedImage
from skyport_wf.sources.resolution import resolve_images

_DECIDE = ("image", "container", "archive", "commit", "platform", "flatten", "base")
"""The fields that tell images apart whose source only an engine or an archive tells."""


def plan_images(images: ImageList, folder: Path) -> list[PlannedImage]:
    """Return what there is to build, each image after those that it is built on.

    Of what an address names that cannot be reached, the last copy will do, so that a dry run works offline.
    folder: what the paths of the image list start from.
    Raises UsageError for a missing Dockerfile, context or script, or a circle.
    """
    planned = []
    for name, image in resolve_images(images, folder, last_copies=True, archives=False).items():
        spec = image.spec
        settings = effective_settings(images.shock, public=spec.public)
        addresses = (settings.public_url, *([settings.registry] if settings.registry else ()))
        # Nothing else is in it: workflow engines run again what follows the steps, and an analysis can take days.
        decides = [name, image.facts.digest if image.facts else _told_by(spec), settings.url, settings.public]
        planned.append(
            PlannedImage(
                name=name,
                key=spec.reference.key,
                source=spec.source,
                digest=digest_of(encode_json(decides)),
                notes=digest_of(encode_json([spec.description, *addresses])),
                needs=image.needs,
                base=spec.base if spec.base in image.needs else None,
                archive=spec.archive and str(folder / spec.archive),
            )
        )
    return planned


def _told_by(spec: ImageSpec) -> dict[str, object]:
    one_spelling = {"platform": spec.normalized_platform, "archive": spec.archive and str(Path(spec.archive))}
    return {field: getattr(spec, field) for field in _DECIDE} | one_spelling
