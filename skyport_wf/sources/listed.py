"""An image of a list, in its place."""

import hashlib
from pathlib import Path

import msgspec

from skyport_wf.image_list.spec import ImageList, ImageSpec
from skyport_wf.records.records import BaseImage, Source


class ListedImage(msgspec.Struct, frozen=True):
    """An image with the list that it stands in."""

    spec: ImageSpec
    images: ImageList
    folder: Path
    """What the paths of the list start from."""
    last_copies: bool = False
    """Whether the last copy will do of what an address names that cannot be reached."""

    def listed(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return those of `names` that are images of the list."""
        images = {image.name for image in self.images.images}
        return tuple(name for name in names if name in images)

    def final(self, source: Source) -> Source:
        """Return the source of what is published: flattened or thin, an image is published as another one."""
        if self.spec.flatten:
            return msgspec.structs.replace(source, digest=digest_of(f"flattened {source.digest}".encode()))
        if self.spec.base:
            return msgspec.structs.replace(source, digest=digest_of(f"thin {self.spec.base} {source.digest}".encode()))
        return source


class MadeImage(msgspec.Struct, frozen=True):
    """An image that the engine has now."""

    id: str
    """The engine's id of it."""
    base: BaseImage | None = None


def digest_of(content: bytes) -> str:
    """Return `sha256:` and the SHA-256 of `content`."""
    return "sha256:" + hashlib.sha256(content).hexdigest()
