"""The address of an image in a registry, as `docker pull` takes it. Reading it asks nobody."""

from typing import Final

import msgspec

from skyport_wf.digests import is_sha256
from skyport_wf.errors import UsageError
from skyport_wf.image_list.reference import LATEST, is_docker_name, is_registry, split_docker_name
from skyport_wf.image_list.urls import split_url

DOCKER_HUB: Final = "docker.io"
_HUB_NAMES: Final = frozenset({DOCKER_HUB, "index.docker.io", "registry-1.docker.io"})
_INSTEAD = "Write HOST/REPO:TAG or HOST/REPO@sha256:..., such as quay.io/biocontainers/velvet:1.2.10--h7132678_5"


class RegistryAddress(msgspec.Struct, frozen=True):
    """An image in a registry."""

    host: str
    """HOST or HOST:PORT; `docker.io` for Docker Hub."""
    repository: str
    tag: str
    """`latest` if neither a tag nor a digest was written."""
    digest: str = ""
    """Of the manifest, or of an index; empty if a tag names the image."""

    def __str__(self) -> str:
        return f"{self.host}/{self.repository}" + (f"@{self.digest}" if self.digest else f":{self.tag}")

    @property
    def reference(self) -> str:
        """Digest or tag, as a registry is asked for it."""
        return self.digest or self.tag


def parse_registry_address(text: str) -> RegistryAddress:
    """Return the address that `text` spells.

    Raises UsageError if no registry can be asked for it; the message does not show it, as there may be a password in
    it.
    """
    if "://" in text:
        raise UsageError(f"an image in a registry is named without `://`. {_INSTEAD}")
    named, tag, digest = split_docker_name(text)
    # Behind the `@` of `USER:PASSWORD@HOST/REPO:TAG` stands no digest.
    if digest.startswith("sha") and not is_sha256(digest):
        raise UsageError(f"the digest is no SHA-256. {_INSTEAD}")
    if not is_docker_name(text):
        raise UsageError(f"not an image in a registry. {_INSTEAD}")
    host, slash, repository = named.partition("/")
    if not slash or not is_registry(host):
        host, repository = DOCKER_HUB, named
    split_url(f"https://{host}", instead=_INSTEAD)
    if host in _HUB_NAMES:
        host = DOCKER_HUB
        repository = repository if "/" in repository else f"library/{repository}"
    return RegistryAddress(host, repository, tag or LATEST, digest)
