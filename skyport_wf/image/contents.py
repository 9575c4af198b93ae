"""Values that describe an image and its archive: layers, configuration, sizes and digests."""

import msgspec


class Layer(msgspec.Struct, frozen=True):
    """One layer of an image."""

    diff_id: str
    """`sha256:` and the SHA-256 of the uncompressed layer tar."""
    size: int
    """Bytes of the uncompressed layer tar."""
    created_by: str
    """The command that made it, as the image's history has it; empty if the history does not say."""


class ImageContents(msgspec.Struct, frozen=True):
    """The contents of an image, read from an archive of it."""

    image_id: str
    """`sha256:` and the SHA-256 of the config JSON: the same on every engine (OCI image-spec, "ImageID")."""
    architecture: str
    """As Go names it, such as `amd64`; empty if the config does not say."""
    os: str
    """As Go names it, such as `linux`; empty if the config does not say."""
    created: str | None
    """When the image was made, RFC 3339 as the config has it."""
    repo_tags: tuple[str, ...]
    """The names that the archive gives the image; empty if it was saved by its id."""
    labels: tuple[tuple[str, str], ...]
    """Name and value of each label, by name."""
    layers: tuple[Layer, ...]
    """Bottom first; a layer that the image uses twice is there twice."""
    config_size: int | msgspec.UnsetType = msgspec.UNSET
    """Bytes of the config JSON; not there in records of before it was recorded."""

    @property
    def platform(self) -> str:
        """The platform that it is for, such as `linux/amd64`; `/` where the config says nothing."""
        return f"{self.os}/{self.architecture}"


class StoredLayer(msgspec.Struct, frozen=True):
    """A layer in a gzipped archive: a range of the file is one gzip member, and that is the layer alone."""

    diff_id: str
    offset: int
    """Where the member begins in the file."""
    size: int
    """Bytes of the member."""
    digest: str
    """`sha256:` and the SHA-256 of the member."""


class ArchiveDigests(msgspec.Struct, frozen=True):
    """The sizes and digests of a gzipped archive."""

    size: int
    """Bytes of the gzip file."""
    md5: str
    """MD5 of the gzip file, 32 hex digits, as Shock reports it."""
    sha256: str
    """`sha256:` and the SHA-256 of the gzip file."""
    archive_size: int
    """Bytes of the uncompressed archive."""
    archive_sha256: str
    """`sha256:` and the SHA-256 of the uncompressed archive: the digest to compare, as compressors differ."""
    canonical: bool
    """Whether any engine's export of this image under this name becomes this very archive, uncompressed."""
    layers: tuple[StoredLayer, ...] = ()
    """Each layer that the file has, once, in its order; empty for a file that was not written with such members."""


class SavedArchive(msgspec.Struct, frozen=True):
    """An archive that was written or streamed, and the image in it."""

    contents: ImageContents
    """The image."""
    digests: ArchiveDigests
    """The archive."""
    packages: str = ""
    """The packages in the image, packed (`examination.package_list`); empty if they are not known."""
    manifest: str | msgspec.UnsetType = msgspec.UNSET
    """The manifest, JSON, by which a registry has the image, if the archive was made of its layers."""
