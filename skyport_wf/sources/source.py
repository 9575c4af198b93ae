"""The protocol of sources: an image is made from a Dockerfile, a script, a container, an image or an archive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

import msgspec

from skyport_wf.errors import SkyportError, TemporaryError, UsageError
from skyport_wf.image_list.reference import short_docker_name
from skyport_wf.image_list.spec import ImageSpec
from skyport_wf.records.source import BaseImage, Source

if TYPE_CHECKING:
    from docker import APIClient

Connect = Callable[[], "APIClient"]
"""Connects to the engine; called only by sources that cannot tell without it."""
Output = Callable[[str], None]
"""Called with each piece of text that a build prints."""


class HeldBase(msgspec.Struct, frozen=True):
    """An image of the list that another one is built on, in the engine."""

    reference: str
    """The name that the engine has it under: its own, unless it is published and that is another image's there."""
    image_id: str | None = None
    """Its config digest; None if it is not published: then it is the image that the engine calls so."""


Bases = Mapping[str, HeldBase]
"""The images of the list that an image is built on, by the names that the list or the image's source has for them."""


class MadeImage(msgspec.Struct, frozen=True):
    """An image that the engine has now."""

    id: str
    """The engine's id of it."""
    base: BaseImage | None = None


class ImageSource(Protocol):
    """The inputs of one image of the list. Opened once: its files have been found and read."""

    work: ClassVar[str]
    """The first thing that publishing does, such as `build`; empty if there is nothing to make."""
    cannot_be_rebuilt: ClassVar[str]
    """A name for the source, if it says what an image is but not how to make it; otherwise empty."""
    known_without_engine: ClassVar[bool]
    """Whether `describe` needs no engine and reads no archive."""
    archive: Path | None
    """The file that the image comes from as it is; None if it is made."""
    dockerfile: bytes
    """The Dockerfile; empty if there is none."""
    used_images: tuple[str, ...]
    """The images that this one is made from, as its source names them, of this list or not."""

    def describe(self, needs: Mapping[str, str], connect: Connect) -> Source:
        """Return what the image is made from.

        needs: the source digests of the images of the list that it is made from, by name.
        """
        ...

    def check_inputs(self) -> None:
        """Raise UsageError if what making the image takes beside files is not here. No engine is asked."""
        ...

    def make(self, engine: APIClient, spec: ImageSpec, bases: Bases, output: Output) -> MadeImage:
        """Make the image under the name that `spec` has.

        bases: those that it is built on, by the names that its source has for them.
        Raises BuildError or EngineError if it cannot be made.
        """
        ...


def named_error(name: str, error: SkyportError | OSError) -> SkyportError:
    """Return an error that names the image: what is wrong with an address says nothing of the image that has it."""
    whose = f"image {name}: "
    message = whose + str(error).removeprefix(whose)
    return type(error)(message) if isinstance(error, UsageError | TemporaryError) else SkyportError(message)


def held_base(name: str, bases: Bases) -> HeldBase | None:
    """Return the image of the list that a source calls `name`, by whichever of docker's spellings."""
    found = (held for listed, held in bases.items() if short_docker_name(listed) == short_docker_name(name))
    return next(found, None)


def find_base(engine: APIClient, name: str, bases: Bases) -> BaseImage:
    """Return the base image called `name`: the published one, or else as the engine has it."""
    from skyport_wf.engine.config_digests import config_digest
    from skyport_wf.engine.images import find_image

    held = held_base(name, bases)
    if held and held.image_id:
        return BaseImage(name, held.image_id)
    found = find_image(engine, held.reference if held else name)
    return BaseImage(name, config_digest(engine, found) if found else None)
