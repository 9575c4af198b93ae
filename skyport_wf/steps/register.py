"""The last step: the upload becomes the image of its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyport_wf.errors import SkyportError
from skyport_wf.publication.attributes import describe_image, describe_upload, to_json_values
from skyport_wf.publication.name_state import wanted_image
from skyport_wf.publication.take_name import Candidate, take_name
from skyport_wf.records.receipt import Receipt
from skyport_wf.records.records import UploadRecord

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock

_ANEW = "Run `skyport-wf upload` again (with Snakemake: remove its upload.json)."


def register(record: UploadRecord, shock: Shock) -> Receipt:
    """Publish the uploaded image and return its receipt, read off the node.

    Raises AlreadyPublishedError if another image or another user has the name, ShockError if an AWE
    worker would not get the image.
    """
    build, saved = record.build, record.saved
    if shock.url != record.url:
        raise SkyportError(
            f"{build.name} was uploaded to {record.url}, but SHOCK_URL or the image list now says {shock.url}. "
            "Upload it there first."
        )
    candidate = Candidate(
        wanted=wanted_image(build, image_id=saved.contents.image_id if saved else None),
        node=record.node,
        attributes=to_json_values(describe_image(build, saved, registered="", archive_name=record.archive_name))
        if saved
        else None,
        hidden=describe_upload(build),
        source=build.source,
        dockerfile=build.dockerfile,
        description=build.description,
        anew=_ANEW,
        digests=saved.digests if saved else None,
    )
    return take_name(candidate, shock)
