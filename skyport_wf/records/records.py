"""What each step leaves for the next one, and the receipt at the end: frozen values with stable JSON."""

from typing import Any, Literal, TypeVar

import msgspec

from skyport_wf.errors import SkyportError
from skyport_wf.image.contents import Layer, SavedArchive
from skyport_wf.image_list.reference import ImageReference, parse_reference
from skyport_wf.image_list.spec import ShockSettings, SourceKind


class EngineVersion(msgspec.Struct, frozen=True, rename="pascal"):
    """What an engine says of itself, in the words of the attribute `docker_version`; empty where unknown."""

    api_version: str = ""
    arch: str = ""
    git_commit: str = ""
    go_version: str = ""
    kernel_version: str = ""
    os: str = ""
    version: str = ""


class ContainerOrigin(msgspec.Struct, frozen=True):
    """What is known of a container that someone prepared by hand."""

    image: str
    """The name of the image that it was made from."""
    command: tuple[str, ...]
    """Entry point and command."""
    changes: tuple[str, ...]
    """`added`, `changed` or `removed` and the path, as `docker diff` has them."""


class GitOrigin(msgspec.Struct, frozen=True):
    """Where in a git repository a build context was."""

    repository: str
    """The URL."""
    ref: str | None
    """Commit, branch or tag, as the image list names it; None for the branch that the repository prefers."""
    commit: str
    """What `ref` meant when the image was made."""
    folder: str
    """Seen from the top of the repository; empty for the top."""


class Source(msgspec.Struct, frozen=True):
    """What an image is made from."""

    kind: SourceKind
    digest: str
    """`sha256:` and a SHA-256 over all that decides what comes out; equal digests mean the same image."""
    dockerfile: str = ""
    """The Dockerfile in base64, empty if there is none."""
    dockerfile_digest: str | None = None
    context_digest: str | None = None
    script: str | None = None
    """Of a snapshot, the script that made it."""
    container: ContainerOrigin | None = None
    """Of an image of a container, what is known of that."""
    dockerfile_url: str | None = None
    """Where the Dockerfile was fetched, if from a web server."""
    git: GitOrigin | None = None
    """Of a build context that is a git repository's."""


class BaseImage(msgspec.Struct, frozen=True):
    """The image that another one was built on."""

    name: str
    image_id: str | None
    """The engine's id of it; None if the engine does not have it under its name."""


class ThinBase(msgspec.Struct, frozen=True):
    """The published image whose layers the archive of another one leaves out."""

    name: str
    """REPO:TAG."""
    image_id: str | None = None
    """Its config digest; in a build record what the engine calls it, None as long as nothing is made."""
    layers: tuple[str, ...] | None = None
    """The diff ids of the layers left out, the lowest first; None if unknown."""


class BuildRecord(msgspec.Struct, frozen=True, tag_field="record", tag="skyport-wf build 1"):
    """An image that is ready to be saved, or that Shock has already."""

    name: str
    source: Source
    shock: ShockSettings
    """Where it goes; `public` is the image's own wish if it has one."""
    replace: bool = False
    description: str = ""
    engine: EngineVersion = EngineVersion()
    image: str | None = None
    """The engine's id of the image; None if it comes from an archive or is published already."""
    base: BaseImage | None = None
    thin_on: ThinBase | None = None
    """The published image whose layers are left out; None for a whole archive."""
    archive: str | None = None
    """The path of the archive that it comes from."""
    published: str | None = None
    """The node that holds this very image already; then nothing is saved or sent."""

    @property
    def reference(self) -> ImageReference:
        """The parsed name."""
        return parse_reference(self.name)

    @property
    def thin_on_name(self) -> str:
        """The name of the image whose layers are left out, empty for a whole archive."""
        return self.thin_on.name if self.thin_on else ""


class SaveRecord(msgspec.Struct, frozen=True, tag_field="record", tag="skyport-wf save 1"):
    """An image in a file."""

    build: BuildRecord
    archive: str
    """The file's path, seen from the record's folder; empty bytes if the image is published already."""
    saved: SavedArchive | None
    """What the file holds; None if the image is published already."""


class UploadRecord(msgspec.Struct, frozen=True, tag_field="record", tag="skyport-wf upload 1"):
    """An image on a Shock node that nobody finds by its name yet."""

    build: BuildRecord
    saved: SavedArchive | None
    node: str
    """The node's id."""
    url: str
    """The Shock that has the node."""


class DockerRequirement(msgspec.Struct, frozen=True):
    """What a CWL tool needs to run in the image."""

    docker_image_id: str = msgspec.field(name="dockerImageId")
    docker_load: str | msgspec.UnsetType = msgspec.field(name="dockerLoad", default=msgspec.UNSET)
    """Where the archive is; not there for a thin one, which a runner could load only after its base."""


class ReceiptUse(msgspec.Struct, frozen=True):
    """How an analysis names the image, ready to paste."""

    cwl: dict[Literal["DockerRequirement"], DockerRequirement]
    awe: dict[Literal["Dockerimage"], str]


class Receipt(msgspec.Struct, frozen=True, kw_only=True, tag_field="record", tag="skyport-wf receipt 1"):
    """What was published where. What can be None is unknown of an image that another tool published."""

    name: str
    image_id: str
    """The config digest."""
    shock: str
    """The Shock's URL, or `embedded`."""
    node: str
    download_url: str
    size: int
    """Bytes of the node's file."""
    md5: str
    """Of the node's file."""
    archive_sha256: str | None = None
    """Of the uncompressed archive."""
    canonical: bool | None = None
    base: BaseImage | None = None
    layers: tuple[Layer, ...] | None = None
    """The lowest first."""
    thin_on: ThinBase | None = None
    """The image whose layers the archive lacks; None if it lacks none."""
    source: SourceKind | None = None
    source_digest: str | None = None
    dockerfile_digest: str | None = None
    context_digest: str | None = None
    script: str | None = None
    """Of a snapshot, the script that made it."""
    container: ContainerOrigin | None = None
    dockerfile_url: str | None = None
    """Where the Dockerfile was fetched, if from a web server."""
    git: GitOrigin | None = None
    """Of a build context that is a git repository's."""
    engine: EngineVersion
    engine_image_id: str | None = None
    """The engine's own id of the image, where it is not the config digest."""
    registered: str | None = None
    """When, in UTC."""
    readable_by: Literal["everyone", "listed users"]
    use: ReceiptUse


class LockedImage(msgspec.Struct, frozen=True):
    """One image's entry of `images.lock.json`."""

    image_id: str
    shock: str
    node: str
    size: int
    md5: str
    archive_sha256: str | None
    source_digest: str | None


class LockFile(msgspec.Struct, frozen=True, tag_field="record", tag="skyport-wf lock 1"):
    """Which image each name of an image list stands for; made to be committed."""

    images: dict[str, LockedImage]


RecordT = TypeVar("RecordT", BuildRecord, SaveRecord, UploadRecord, Receipt, LockFile)


class _AnyRecord(msgspec.Struct):
    record: str


def encode_json(value: Any) -> bytes:
    """Return `value` as JSON to read and compare: keys in order, two spaces, a line's end at the end."""
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2) + b"\n"


def decode_record(content: bytes, kind: type[RecordT], *, name: str) -> RecordT:
    """Return the record in `content`.

    name: what messages call it, usually the file's name.
    Raises SkyportError if it is another record, or none.
    """
    wanted = kind.__struct_config__.tag
    try:
        # msgspec takes a document that does not say what it is, and may name another field of a wrong one.
        found = msgspec.json.decode(content, type=_AnyRecord).record
        if found != wanted:
            raise msgspec.ValidationError(f"it is a `{found}` record")
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SkyportError(
            f"{name} is not a `{wanted}` record: {error}. Give the file that the step before this one wrote."
        ) from error
