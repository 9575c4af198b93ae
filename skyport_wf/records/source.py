"""The sources of images and the programs that made them: facts that records, nodes and receipts carry."""

import msgspec

from skyport_wf.image_list.spec import SourceKind


class EngineVersion(msgspec.Struct, frozen=True, rename="pascal"):
    """An engine's description of itself, in the words of the attribute `docker_version`; empty where unknown."""

    api_version: str = ""
    arch: str = ""
    git_commit: str = ""
    go_version: str = ""
    kernel_version: str = ""
    os: str = ""
    version: str = ""


class ContainerOrigin(msgspec.Struct, frozen=True):
    """The facts known of a container that someone prepared by hand."""

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
    """The commit that `ref` meant when the image was made."""
    folder: str
    """Seen from the top of the repository; empty for the top."""


class RegistryOrigin(msgspec.Struct, frozen=True):
    """Where in a registry an image was."""

    name: str
    """HOST/REPO:TAG, or with a digest."""
    manifest_digest: str
    """Of the manifest that the name led to, for the platform."""
    platform: str
    """The platform that the image says it is for, such as `linux/amd64`."""


class Source(msgspec.Struct, frozen=True):
    """The source of an image."""

    kind: SourceKind
    digest: str
    """`sha256:` and a SHA-256 over all that decides what comes out; equal digests mean the same image."""
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
    registry: RegistryOrigin | msgspec.UnsetType = msgspec.UNSET
    """Of an image that another registry has."""


class BaseImage(msgspec.Struct, frozen=True):
    """The image that another one was built on."""

    name: str
    image_id: str | None
    """Its config digest; None if the engine does not have it under its name. Before version 2 of the records, the
    engine's id of it, which is another one on containerd's image store."""


class ThinBase(msgspec.Struct, frozen=True):
    """The published image whose layers the archive of another one leaves out."""

    name: str
    """REPO:TAG."""
    image_id: str | None = None
    """Its config digest; None as long as nothing is made."""
    layers: tuple[str, ...] | None = None
    """The diff ids of the layers left out, the lowest first; None if unknown."""
