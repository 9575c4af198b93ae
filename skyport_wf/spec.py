"""What to publish, from what, to which Shock: the values that `images.yaml` spells."""

import difflib
import re
from typing import Annotated, Literal, get_args

import msgspec

from skyport_wf.errors import UsageError
from skyport_wf.reference import ImageReference, parse_reference

EMBEDDED = "embedded"
"""The `shock.url` that means the store on this machine's own disk."""
DEFAULT_TOKEN_VARIABLE = "KB_AUTH_TOKEN"  # noqa: S105 - the name of a variable
SourceKind = Literal["dockerfile", "snapshot", "container", "image", "archive"]
SOURCES: tuple[SourceKind, ...] = get_args(SourceKind)

_Text = Annotated[str, msgspec.Meta(min_length=1)]


class ShockSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which Shock to publish to, and how."""

    url: _Text = EMBEDDED
    """`embedded`, or where a Shock server answers."""
    token_env: Annotated[str, msgspec.Meta(pattern="^[A-Za-z_][A-Za-z0-9_]*$")] = DEFAULT_TOKEN_VARIABLE
    """The name of the variable that holds the token; never the token."""
    public: bool = True
    """Readable by everyone once registered."""
    public_url: _Text | None = None
    """Where others reach this Shock, if not at `url`: what download links begin with."""


class Snapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A container of `base` after `script` ran in it."""

    base: _Text
    script: _Text


class ImageSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One image of the list, as the user wrote it. Exactly one of the sources is set."""

    name: _Text
    """REPO:TAG."""
    dockerfile: _Text | None = None
    """Path of a Dockerfile; its folder is the build context unless `context` says otherwise."""
    snapshot: Snapshot | None = None
    container: _Text | None = None
    """A container that someone prepared."""
    image: _Text | None = None
    """An image that the engine already has."""
    archive: _Text | None = None
    """A file that `docker save` wrote, gzipped or not."""
    context: _Text | None = None
    """The folder that the build may copy from."""
    build_args: dict[str, str] = {}
    target: _Text | None = None
    """The stage of the Dockerfile to stop at."""
    platform: _Text | None = None
    """Such as `linux/amd64`."""
    network: _Text | None = None
    """The network that RUN instructions see; the engine's default if unset."""
    pull: bool = False
    """Ask the registry for a newer base image."""
    no_cache: bool = False
    labels: dict[str, str] = {}
    flatten: bool = False
    base: _Text | None = None
    public: bool | None = None
    """Wins over `shock.public`."""
    replace: bool = False
    """Whether another image that is published under this name may be replaced."""
    description: str = ""

    @property
    def reference(self) -> ImageReference:
        """The parsed name."""
        return parse_reference(self.name)

    @property
    def source(self) -> SourceKind:
        """Which of the sources is set."""
        return self.sources[0]

    @property
    def sources(self) -> tuple[SourceKind, ...]:
        """The sources that are set: one, in a list that was checked."""
        return tuple(source for source in SOURCES if getattr(self, source) is not None)


class ImageList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole `images.yaml`."""

    images: Annotated[tuple[ImageSpec, ...], msgspec.Meta(min_length=1)]
    shock: ShockSettings = ShockSettings()

    def find(self, name: str) -> ImageSpec:
        """Return the image called `name`; UsageError, with the nearest names, if there is none."""
        for image in self.images:
            if image.name == name:
                return image
        names = [image.name for image in self.images]
        near = difflib.get_close_matches(name, names, n=3) or names[:10]
        raise UsageError(f"image {name!r} is not in the image list. It has: {', '.join(near)}.")


def check_shock_url(url: str, *, where: str) -> str:
    """Return `url` without a trailing slash, if Shock can be asked at it.

    where: what the message begins with.
    Raises UsageError otherwise; the message never shows a password in the URL.
    """
    if url == EMBEDDED:
        return url
    scheme, separator, rest = url.partition("://")
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in host:
        raise UsageError(
            f"{where}: a user or password in the URL would end up in records. Put the token in a variable."
        )
    if not separator or scheme.lower() not in ("http", "https") or not host or "?" in rest or "#" in rest:
        raise UsageError(f"{where}: {url!r} is not the URL of a Shock server. Write `embedded`, http://… or https://…")
    return url.rstrip("/")
