"""The attributes of a Shock node: those that AWE workers read, and beside them what a receipt is made from.

Keys have no `.` and do not start with `$`, which MongoDB behind Shock would not take; so labels, whose
names are free, are a list.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from skyport_wf.decoding import convert
from skyport_wf.image.contents import ArchiveDigests, Layer, SavedArchive
from skyport_wf.publication.awe_lookup import IMAGE_TYPE
from skyport_wf.records.records import BuildRecord
from skyport_wf.records.source import BaseImage, EngineVersion, Source, ThinBase
from skyport_wf.records.version_1 import nest_source

UPLOAD_TYPE = "dockerimage-upload"
"""The attribute `type` of a node that holds an image but is not registered: no AWE query finds it."""
UPLOAD_EXPIRATION = "2D"
"""How long an upload waits to be registered before the server deletes it: days, to live through a weekend's crash."""
RETIRED_TYPE = "dockerimage-retired"
"""The attribute `type` of a node whose name another node has taken over."""
CLAIM_TYPE = "dockerimage-claim"
"""The attribute `type` of a node that says who is registering a name at this moment; it has no file."""
OWN_KEY = "skyport_wf"
"""The attribute that holds what AWE does not ask for."""
REPLACED_BY_KEY = "skyport_wf_replaced_by"
"""The attribute with the id of the node to which this one is about to give up its name, as its owner wishes."""
PACKAGES_KEY = "skyport_wf_packages"
"""The attribute with the packed list of packages: on its own, as nodes of other tools may get one, too."""


class Label(msgspec.Struct, frozen=True):
    """A label of an image."""

    name: str
    value: str


class PublishedFacts(msgspec.Struct, frozen=True):
    """Facts about a published image beyond those that AWE reads: with them the node alone makes a receipt."""

    source: Source
    base: BaseImage | None
    archive: ArchiveDigests
    layers: tuple[Layer, ...]
    platform: str
    """Such as `linux/amd64`."""
    labels: tuple[Label, ...]
    engine_image_id: str | None
    """The engine's own id of the image, where it is not the config digest."""
    description: str
    registered: str
    """When, in UTC."""
    thin_on: ThinBase | None = None
    """The image whose layers the archive lacks; None if it lacks none."""
    archive_name: str = ""
    """The name that the archive itself gives the image, where that is not the published one: the file was copied on the
    server from a node of that name. Empty if it is the published one."""
    pushed_manifest: str | msgspec.UnsetType = msgspec.UNSET
    """The manifest, JSON, with which the image was pushed to the registry, or by which another registry has it; not
    there if it was published otherwise."""
    config_size: int | msgspec.UnsetType = msgspec.UNSET
    """Bytes of the config JSON; not there on a node of before it was recorded."""
    replaces: tuple[str, ...] = ()
    """Ids of the nodes that have to give up the name to this one; a publisher who was interrupted may not have made
    them do so."""


class NodeAttributes(msgspec.Struct, frozen=True):
    """The attributes of a node that holds an image."""

    type: str
    name: str
    """REPO:TAG."""
    repository: str
    tag: str
    id: str
    """The config digest: what an AWE worker's engine calls the image, byte for byte."""
    base_image_id: str = ""
    """Of a thin archive, the image whose layers it lacks."""
    base_image_tag: str = ""
    """Its name, REPO:TAG."""
    dockerfile: str = ""
    """In base64."""
    docker_version: EngineVersion = EngineVersion()
    skyport_wf: PublishedFacts | None = None
    """None on a node that another tool made."""
    skyport_wf_packages: str | msgspec.UnsetType = msgspec.UNSET
    """The packages in the image, packed; see `read_packages`."""

    @property
    def thin_on(self) -> ThinBase | None:
        """The image whose layers the archive lacks, as far as the node tells; None if it lacks none."""
        if self.skyport_wf and self.skyport_wf.thin_on:
            return self.skyport_wf.thin_on
        thin = self.base_image_tag or self.base_image_id
        return ThinBase(self.base_image_tag, self.base_image_id or None) if thin else None


def describe_upload(build: BuildRecord) -> dict[str, str]:
    """Return the attributes of a node that will hold the image: enough to know it by, and no AWE query finds it."""
    return {"type": UPLOAD_TYPE, "name": build.name, "source_digest": build.source.digest}


def describe_image(
    build: BuildRecord, saved: SavedArchive, *, registered: str, archive_name: str = ""
) -> NodeAttributes:
    """Return the attributes that publish the image on the node that holds `saved`.

    registered: when, in UTC.
    archive_name: the name that the archive gives the image, if that is another one.
    """
    contents = saved.contents
    facts = PublishedFacts(
        source=build.source,
        base=build.base,
        archive=saved.digests,
        layers=contents.layers,
        platform=contents.platform,
        labels=tuple(Label(name, value) for name, value in contents.labels),
        engine_image_id=None if build.image == contents.image_id else build.image,
        description=build.description,
        registered=registered,
        thin_on=build.thin_on,
        archive_name="" if archive_name == build.name else archive_name,
        config_size=contents.config_size,
        pushed_manifest=saved.manifest,
    )
    return NodeAttributes(
        type=IMAGE_TYPE,
        name=build.name,
        repository=build.reference.repository,
        tag=build.reference.tag,
        id=contents.image_id,
        base_image_id=(build.thin_on and build.thin_on.image_id) or "",
        base_image_tag=build.thin_on_name,
        dockerfile=build.dockerfile,
        docker_version=build.engine,
        skyport_wf=facts,
        skyport_wf_packages=saved.packages or msgspec.UNSET,
    )


def read_attributes(attributes: Mapping[str, Any] | None) -> NodeAttributes | None:
    """Return a node's attributes, None if they are not those of an image.

    A node that another tool made may lack all but `type`, `name` and `id`.
    """
    known = {key: value for key, value in (attributes or {}).items() if value is not None}
    if isinstance(own := known.get(OWN_KEY), Mapping):
        known[OWN_KEY] = nest_source(own)
    if not isinstance(known.get(PACKAGES_KEY, ""), str):
        del known[PACKAGES_KEY]
    for lenient in (known, {**known, "docker_version": {}, OWN_KEY: None}):
        try:
            return convert({"repository": "", "tag": "", "id": "", **lenient}, NodeAttributes)
        except (msgspec.ValidationError, UnicodeEncodeError):
            # The other is for halves of characters, which JSON can have and UTF-8 cannot.
            continue
    return None


def to_json_values(attributes: NodeAttributes) -> dict[str, Any]:
    """Return the attributes as plain values, to send."""
    values: dict[str, Any] = msgspec.to_builtins(attributes)
    return values
