"""Images to publish, their sources, and the Shock: the values that `images.yaml` spells."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Annotated, Literal, get_args

import msgspec

from skyport_wf.errors import UsageError
from skyport_wf.image_list.mistakes import WrittenText
from skyport_wf.image_list.platforms import normalize_platform
from skyport_wf.image_list.reference import ImageReference, fits, is_pattern, parse_reference
from skyport_wf.image_list.urls import one_spelling, split_url
from skyport_wf.near_words import near_words

EMBEDDED = "embedded"
"""The `shock.url` that means the store on this machine's own disk."""
DEFAULT_TOKEN_VARIABLE = "KB_AUTH_TOKEN"  # noqa: S105 - the name of a variable
SourceKind = Literal["dockerfile", "snapshot", "container", "image", "archive", "registry"]
Builder = Literal["auto", "classic", "buildkit"]
SOURCES: tuple[SourceKind, ...] = get_args(SourceKind)

NAMED_VALUES = ("build_args", "labels")
"""The fields of an image whose values have names that builders are given."""
NAME_OF_A_VALUE = r"^[^\s=\x00-\x1f\x7f]+$"

_Text = Annotated[str, msgspec.Meta(min_length=1)]


class ShockSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The Shock to publish to, and how."""

    url: _Text = EMBEDDED
    """`embedded`, or where a Shock server answers."""
    token_env: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$(?!\n)")] = DEFAULT_TOKEN_VARIABLE
    """The name of the variable that holds the token; never the token."""
    public: bool = True
    """Readable by everyone once registered."""
    public_url: _Text | None = None
    """Where others reach this Shock, if not at `url`: what download links begin with."""
    registry: _Text | None = None
    """HOST or HOST:PORT where its images can be pulled as from any registry: what `skyport-wf serve` answers at."""
    auth: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,39}$(?!\n)")] = "OAuth"
    """The word before the token: `OAuth`, `Bearer` or another that the server wants; `basic` for USER:PASSWORD."""
    ca_bundle: _Text | None = None
    """File (PEM) of the certificate authorities to trust instead of the usual ones; seen from the image list."""
    parts_above: Annotated[int, msgspec.Meta(ge=0)] = 64
    """MiB above which an archive goes up in parts, of which an interruption loses only those under way."""
    part_size: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 4
    """MiB of a part; parts of very large archives are larger, so that there are at most a thousand."""
    connections: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4
    """How many parts are sent at once."""


class Snapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A container of `base` after `script` ran in it."""

    base: _Text
    script: _Text


class CommitSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The config of an image that is committed from a container."""

    author: str = ""
    message: str = ""
    entrypoint: tuple[str, ...] | None = None
    """The container's own, or of a snapshot the base image's, if None."""
    cmd: tuple[str, ...] | None = None
    env: dict[str, str] = {}
    workdir: _Text | None = None


class BuildSecret(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a secret is that a build may see, and no record or image may."""

    env: _Text | None = None
    """The variable that holds it."""
    file: _Text | None = None
    """The file that holds it; `~` is the home folder."""


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
    registry: _Text | None = None
    """HOST/REPO:TAG or HOST/REPO@DIGEST of an image in a registry; no engine is needed."""
    context: _Text | None = None
    """The folder that the build may copy from."""
    build_args: dict[str, str] = {}
    target: _Text | None = None
    """The stage of the Dockerfile to stop at."""
    platform: Annotated[str, msgspec.Meta(pattern=r"^(linux|[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+){1,2})$(?!\n)")] | None = (
        None
    )
    """Such as `linux/amd64`: what a Dockerfile is built for, and what another source has to be for; this machine's if
    unset. As written; `normalized_platform` is what it means."""
    network: _Text | None = None
    """The network that RUN instructions see; the engine's default if unset."""
    builder: Builder = "auto"
    """BuildKit where it works, unless one of the two is asked for."""
    secrets: dict[str, BuildSecret] = {}
    """Build secrets by the id that `RUN --mount=type=secret` has; needs BuildKit."""
    ssh: tuple[_Text, ...] = ()
    """SSH agents or keys for `RUN --mount=type=ssh`, such as `default`; needs BuildKit."""
    pull: bool = False
    """Ask the registry for a newer base image."""
    no_cache: bool = False
    labels: dict[str, str] = {}
    commit: CommitSettings = CommitSettings()
    """Of a `snapshot` or `container`: author, message and config of the image."""
    flatten: bool = False
    """Make one layer of it, as if its files had been put into an empty image; its config stays."""
    base: _Text | None = None
    """REPO:TAG of a published image that it is built on, and whose layers its archive leaves out."""
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
    def normalized_platform(self) -> str | None:
        """`platform` as images say theirs: `linux/x86_64` is `linux/amd64`."""
        return normalize_platform(self.platform) if self.platform else None

    @property
    def source(self) -> SourceKind:
        """The source that is set."""
        return self.sources[0]

    @property
    def sources(self) -> tuple[SourceKind, ...]:
        """The sources that are set: one, in a list that was checked."""
        return tuple(source for source in SOURCES if getattr(self, source) is not None)


class ImageList(msgspec.Struct, frozen=True, omit_defaults=True):
    """A whole `images.yaml`."""

    images: Annotated[tuple[ImageSpec, ...], msgspec.Meta(min_length=1)]
    shock: ShockSettings = ShockSettings()
    written: WrittenText | None = None
    """The file's text, where the list comes from one, so that messages can show where something stands."""

    def find(self, name: str) -> ImageSpec:
        """Return the image called `name`; UsageError, with the nearest names, if there is none."""
        for image in self.images:
            if image.name == name:
                return image
        names = [image.name for image in self.images]
        near = near_words(name, names, most=3) or names[:10]
        more = f", and {len(names) - len(near)} more" if len(near) < len(names) else ""
        raise UsageError(f"image {name!r} is not in the image list. It has: {', '.join(near)}{more}.")

    def choose(self, words: Iterable[str]) -> list[ImageSpec]:
        """Return the images that are meant, in the list's order: by their names, or by patterns; all without a word.

        words: REPO:TAG, or with `*`, `?` or `[...]`.
        Raises UsageError for a word that means none.
        """
        patterns = list(words)
        for word in patterns:
            if not is_pattern(word):
                self.find(word)
            elif not any(fits(image.name, [word]) for image in self.images):
                raise UsageError(f"no image of the image list fits {word!r}.")
        return [image for image in self.images if not patterns or fits(image.name, patterns)]


def make_private(images: ImageList) -> ImageList:
    """Return the image list with every image readable by its owner alone."""
    closed = tuple(msgspec.structs.replace(image, public=False) for image in images.images)
    return msgspec.structs.replace(images, images=closed)


def check_public_url(url: str, *, where: str) -> str:
    """Return the one spelling of `url`, if others can reach a server at it.

    where: what the message begins with.
    Raises UsageError otherwise, also for `embedded`, which is no place; the message does not show the URL.
    """
    if "@" in url:
        raise UsageError(f"{where}: everyone would see the user or password in the URL. Leave it out.")
    with suppress(UsageError):
        if url != EMBEDDED:
            return check_shock_url(url, where=where)
    raise UsageError(f"{where}: not a URL. Write http:// or https:// and a host, without parameters.")


def check_shock_url(url: str, *, where: str) -> str:
    """Return the one spelling of `url`, if Shock can be asked at it.

    where: what the message begins with.
    Raises UsageError otherwise; the message does not show the URL, as there may be a secret in it.
    """
    if url == EMBEDDED:
        return url
    if "@" in url:
        raise UsageError(
            f"{where}: a user or password in the URL would end up in records. Put the token in a variable."
        )
    instead = "Write `embedded`, or http:// or https:// and a host, without parameters."
    try:
        split_url(url, instead=instead)
    except UsageError as error:
        raise UsageError(f"{where}: not the URL of a Shock server. {instead}") from error
    if "?" in url or "#" in url:
        raise UsageError(f"{where}: not the URL of a Shock server. {instead}")
    return one_spelling(url)
