"""The records that each step leaves for the next one: frozen values."""

import msgspec

from skyport_wf.errors import SkyportError
from skyport_wf.image.contents import SavedArchive
from skyport_wf.image_list.reference import ImageReference, parse_reference
from skyport_wf.image_list.spec import ShockSettings
from skyport_wf.records.source import BaseImage, EngineVersion, Source, ThinBase


class BuildRecord(msgspec.Struct, frozen=True, tag_field="record", tag="skyport-wf build 2"):
    """An image that is ready to be saved, or that Shock has already."""

    name: str
    source: Source
    shock: ShockSettings
    """Where it goes; `public` is the image's own wish if it has one."""
    replace: bool = False
    description: str = ""
    dockerfile: str = ""
    """The Dockerfile in base64, empty if there is none."""
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
    def archived_image(self) -> str:
        """The id of the image in the archive that it comes from, empty if it comes from elsewhere."""
        return self.source.digest if self.archive else ""

    @property
    def thin_on_name(self) -> str:
        """The name of the image whose layers are left out, empty for a whole archive."""
        return self.thin_on.name if self.thin_on else ""

    @property
    def left_out(self) -> tuple[str, ...]:
        """The diff ids of the layers that the archive leaves out, the lowest first; none of a whole archive.

        Raises SkyportError if the record does not tell, which a build of a thin image does.
        """
        if self.thin_on is None:
            return ()
        if self.thin_on.layers is None:
            raise SkyportError(
                f"{self.name}: the build record lacks the layers of its base. Run `skyport-wf build` again."
            )
        return self.thin_on.layers

    @property
    def file_name(self) -> str:
        """The name that a download of the archive has."""
        return f"{self.reference.key}.tar.gz"


class SaveRecord(msgspec.Struct, frozen=True, tag_field="record", tag="skyport-wf save 2"):
    """An image in a file."""

    build: BuildRecord
    archive: str
    """The file's path, seen from the record's folder; empty bytes if the image is published already."""
    saved: SavedArchive | None
    """Contents of the file; None if the image is published already."""


class UploadRecord(msgspec.Struct, frozen=True, tag_field="record", tag="skyport-wf upload 2"):
    """An image on a Shock node that nobody finds by its name yet."""

    build: BuildRecord
    saved: SavedArchive | None
    node: str
    """The node's id."""
    url: str
    """The Shock that has the node."""
    archive_name: str = ""
    """The name that the archive itself gives the image, where that is another one; see `PublishedFacts`."""
