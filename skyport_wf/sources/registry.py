"""Source `registry`: an image that another registry has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.image_list.registry_address import parse_registry_address
from skyport_wf.image_list.spec import ImageSpec
from skyport_wf.records.source import RegistryOrigin, Source
from skyport_wf.sources.platforms import own_platform
from skyport_wf.sources.remote_files import RemoteFiles
from skyport_wf.sources.source import Bases, Connect, MadeImage, Output, named_error

if TYPE_CHECKING:
    from docker import APIClient


class RegistrySource:
    """An image that is published as a registry has it. No engine is needed."""

    work: ClassVar[str] = ""
    cannot_be_rebuilt: ClassVar[str] = "a registry"
    known_without_engine: ClassVar[bool] = True
    archive: Path | None = None
    dockerfile = b""
    used_images: tuple[str, ...] = ()

    def __init__(self, spec: ImageSpec, folder: Path, remote: RemoteFiles) -> None:
        # Not asked for yet: who only looks at Dockerfiles need not reach the registry.
        self._name = spec.name
        self._address = parse_registry_address(spec.registry or "")
        self._platform = spec.normalized_platform or own_platform()
        self._remote = remote

    def describe(self, needs: Mapping[str, str], connect: Connect) -> Source:
        """Return the image that is at the address now, of several the one for the platform.

        Raises TemporaryError if the registry cannot be reached, SkyportError if it has no such image.
        """
        try:
            found = self._remote.find_image(self._address, self._platform)
        except SkyportError as error:
            raise named_error(self._name, error) from error
        config = found.parsed_config
        origin = RegistryOrigin(
            str(self._address), found.manifest_digest, platform=f"{config.os}/{config.architecture}"
        )
        return Source(kind="registry", digest=found.image_id, registry=origin)

    def check_inputs(self) -> None:
        """Do nothing: it takes neither secrets nor SSH agents."""

    def make(self, engine: APIClient, spec: ImageSpec, bases: Bases, output: Output) -> MadeImage:
        """Raise UsageError: there is nothing to make."""
        raise UsageError(f"image {spec.name} comes from a registry, there is nothing to make")
