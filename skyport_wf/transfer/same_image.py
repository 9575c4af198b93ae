"""The same image under another name: its file is copied on the server, and says the name that it was made for.

An AWE worker does not mind: it looks for the image by its id after loading, and gives it the name that the task has
(its engine then knows the archive's name, too). A CWL runner looks for a name, so the receipt tells it the archive's.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.errors import ShockError
from skyport_wf.image.contents import ImageContents, SavedArchive
from skyport_wf.publication.attributes import (
    UPLOAD_EXPIRATION,
    NodeAttributes,
    PublishedFacts,
    describe_upload,
    read_attributes,
)
from skyport_wf.publication.awe_lookup import IMAGE_TYPE
from skyport_wf.publication.awe_problems import file_problem
from skyport_wf.publication.manifest import has_layers_of
from skyport_wf.publication.published import why_not_ours_alone
from skyport_wf.records.records import BuildRecord, UploadRecord
from skyport_wf.transfer.earlier import holds

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock
    from skyport_wf.shock.node import Node

_log = logging.getLogger(__name__)


def copy_same_image(
    shock: Shock, build: BuildRecord, image_id: str, *, manifest: str | msgspec.UnsetType
) -> UploadRecord | None:
    """Return a hidden, expiring node with a file of the image that has another name; None if there is none to copy.

    image_id: the image's config digest.
    manifest: the one by which registries are to have the image, JSON: a file with otherwise compressed layers, which
        belong to another one, will not do then. If it is not there, any file will.
    """
    for node in shock.user.query({"type": IMAGE_TYPE, "id": image_id}):
        attributes = read_attributes(node.attributes)
        if not attributes or attributes.name == build.name:
            continue
        if isinstance(manifest, str) and not has_layers_of(manifest, attributes):
            continue
        try:
            copied = copy_node(shock, build, node, attributes, manifest=manifest)
        except ShockError as error:
            _log.debug("node %s cannot be copied: %s", node.id, error)
            continue
        _log.info("%s has the image as %s (node %s), nothing is sent", shock.name, attributes.name, node.id)
        return copied
    return None


def why_not_copied(shock: Shock, build: BuildRecord, node: Node, attributes: NodeAttributes) -> str:
    """Return in words why the file of a published node cannot be had for the image to be built; empty if it can.

    That is as far as the node tells. One that another user may write to is not copied: what he says of the file may be
    wrong.
    """
    known = attributes.skyport_wf
    if known is None:
        return "another tool published it, and it says too little"
    if not _as_thin(build, known):
        return "other layers are missing in its file"
    return file_problem(node) or why_not_ours_alone(shock, node.id)


def copy_node(
    shock: Shock,
    build: BuildRecord,
    node: Node,
    attributes: NodeAttributes,
    *,
    manifest: str | msgspec.UnsetType = msgspec.UNSET,
) -> UploadRecord:
    """Return a hidden, expiring node with the file of a published one.

    manifest: see `copy_same_image`; the published one's if it is not there.
    Raises ShockError for a reason that `why_not_copied` tells, or if the server refuses, or copies something else.
    """
    known, problem = attributes.skyport_wf, why_not_copied(shock, build, node, attributes)
    if known is None or problem:
        raise ShockError(problem)
    copy = shock.user.create_copy(
        node.id,
        file_name=build.file_name,
        attributes=describe_upload(build),
        expiration=UPLOAD_EXPIRATION,
    )
    if not holds(copy, known.archive):
        shock.user.drop(copy.id)
        raise ShockError(
            f"{shock.name} does not copy it, or its file is not the one that the node tells of. Else pull the image "
            f"(skyport-wf pull {attributes.name}), and publish it as {build.name}."
        )
    return UploadRecord(
        build=build,
        saved=_saved(attributes, known, manifest),
        node=copy.id,
        url=shock.url,
        archive_name=known.archive_name or attributes.name,
    )


def _as_thin(build: BuildRecord, known: PublishedFacts) -> bool:
    """Return whether the file lacks the layers that the archive is to lack, and no others."""
    wanted, there = build.thin_on, known.thin_on
    if wanted is None or there is None:
        return wanted is there
    return (wanted.name, wanted.image_id) == (there.name, there.image_id)


def _saved(attributes: NodeAttributes, known: PublishedFacts, manifest: str | msgspec.UnsetType) -> SavedArchive:
    """Return what saving the image told when the file was made, as far as the node has it."""
    system, _, architecture = known.platform.partition("/")
    contents = ImageContents(
        image_id=attributes.id,
        architecture=architecture,
        os=system,
        created=None,
        repo_tags=(),
        labels=tuple((label.name, label.value) for label in known.labels),
        layers=known.layers,
        config_size=known.config_size,
    )
    # The image's own export under its new name would be other bytes.
    digests = msgspec.structs.replace(known.archive, canonical=False)
    return SavedArchive(contents, digests, attributes.skyport_wf_packages or "", manifest or known.pushed_manifest)
