"""The last step: the upload becomes the image of its name."""

from __future__ import annotations

from skyport_wf.errors import SkyportError
from skyport_wf.publication.attributes import describe_image, describe_upload, to_json_values
from skyport_wf.publication.connect import shock_url
from skyport_wf.publication.destination import open_destination
from skyport_wf.publication.name_state import OTHERWISE
from skyport_wf.publication.take_name import Candidate, give_name
from skyport_wf.records.records import Receipt, UploadRecord

_ANEW = "Run `skyport-wf upload` again (with Snakemake: remove its upload.json)."


def register(record: UploadRecord) -> Receipt:
    """Publish the uploaded image and return its receipt, read off the node.

    Raises AlreadyPublishedError if another image or another user has the name, ShockError if an AWE
    worker would not get the image.
    """
    _check_same_shock(record)
    return give_name(_candidate(record), open_destination(record.build.shock))


def _check_same_shock(record: UploadRecord) -> None:
    url = shock_url(record.build.shock)
    if url != record.url:
        raise SkyportError(
            f"{record.build.name} was uploaded to {record.url}, but SHOCK_URL or the image list now says {url}. "
            "Upload it there first."
        )


def _candidate(record: UploadRecord) -> Candidate:
    build, saved = record.build, record.saved
    return Candidate(
        name=build.name,
        node=record.node,
        image_id=saved.contents.image_id if saved else None,
        source_digest=build.source.digest,
        thin_on=build.thin_on_name,
        attributes=to_json_values(describe_image(build, saved, registered="")) if saved else None,
        hidden=describe_upload(build),
        source=build.source,
        description=build.description,
        replace=build.replace,
        otherwise=OTHERWISE,
        anew=_ANEW,
    )
