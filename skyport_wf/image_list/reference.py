"""The name of an image: REPO:TAG, as an AWE worker can use it."""

import re
from collections.abc import Iterable
from contextlib import suppress
from fnmatch import fnmatchcase

import msgspec

from skyport_wf.errors import UsageError
from skyport_wf.formatting import shortened
from skyport_wf.image_list.urls import split_url

_REPOSITORY_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_REPOSITORY_PART}(?:/{_REPOSITORY_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_NOT_IN_KEY = re.compile(r"[^A-Za-z0-9.-]")
_LONGEST_REPOSITORY = 255
_GLOB = re.compile(r"[*?\[]")

LATEST = "latest"
"""The tag that AWE takes for "the highest tag there is"; no image can be published under it."""

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?"
_DIGEST = "sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}"
"""Docker's grammar of names takes more, and then refuses it. Source: opencontainers/go-digest, algorithm.go."""
_DOCKER_NAME = re.compile(rf"(?:{_DOMAIN}/)?{_REPOSITORY.pattern}(?::{_TAG.pattern})?(?:@(?:{_DIGEST}))?")
_BEHIND_REPOSITORY = re.compile(r":(?P<tag>[\w.-]*)$")
_LOCAL = "localhost/"
_HUBS = frozenset({"docker.io", "index.docker.io"})


class ImageReference(msgspec.Struct, frozen=True, order=True):
    """An image's name that Docker accepts and an AWE worker can look up."""

    repository: str
    """Such as `skyport/velvet`; no registry with a port, as AWE splits a name at its only colon."""
    tag: str
    """Such as `1.2.10`; never `latest`, which AWE takes for "the highest tag"."""

    def __str__(self) -> str:
        return f"{self.repository}:{self.tag}"

    @property
    def key(self) -> str:
        """The name as a file name: every character outside `A-Za-z0-9.-` made `_`."""
        return _NOT_IN_KEY.sub("_", str(self))


def is_pattern(text: str) -> bool:
    """Tell whether the text stands for all names that fit it: it has `*`, `?` or `[`, which no name has."""
    return pattern_start(text) != text


def pattern_start(pattern: str) -> str:
    """Return what all names that fit the pattern begin with."""
    return _GLOB.split(pattern, maxsplit=1)[0]


def fits(name: str, patterns: Iterable[str]) -> bool:
    """Return whether one of the patterns means the name.

    A pattern is REPO:TAG, REPO for all its tags, or either with `*`, `?` and `[...]`.
    """
    repository = name.partition(":")[0]
    return any(fnmatchcase(name, pattern) or fnmatchcase(repository, pattern) for pattern in patterns)


def parse_reference(text: str) -> ImageReference:
    """Return the reference that `text` spells.

    text: REPO:TAG with exactly one colon.
    Raises UsageError, with the reason, for a name that Docker or AWE cannot use.
    Source: the grammar of Docker's distribution/reference; AWE splits names at `:`.
    """
    repository, colon, tag = text.partition(":")
    if reason := _why_unusable(repository, colon, tag):
        raise UsageError(
            f"image name {shortened(text)!r}: {reason}. Write it as REPO:TAG, such as skyport/velvet:1.2.10."
        )
    return ImageReference(repository, tag)


def _why_unusable(repository: str, colon: str, tag: str) -> str:
    """Return why no AWE worker could use the name, or an empty string."""
    if "@" in repository or "@" in tag:
        return "a digest cannot be used, AWE looks images up by REPO:TAG"
    if not colon:
        return "the tag is missing"
    if ":" in tag:
        return "it has more than one colon, and AWE splits the name at its only one (so no registry port)"
    if tag == LATEST:
        return "the tag `latest` cannot be published, AWE takes it for the highest tag there is"
    if repository != repository.lower():
        return "the repository has upper case letters, which Docker does not allow"
    if not is_repository(repository):
        return (
            f"{shortened(repository)!r} is not a repository name (lower case letters, digits, and . _ - / between them)"
        )
    if not is_tag(tag):
        return f"{shortened(tag)!r} is not a tag (letters, digits, and . _ - after the first character, 128 at most)"
    return ""


def is_repository(text: str) -> bool:
    """Tell whether docker and a registry take the text for the name of a repository."""
    return len(text) <= _LONGEST_REPOSITORY and _REPOSITORY.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    """Tell whether docker and a registry take the text for a tag."""
    return _TAG.fullmatch(text) is not None


def is_docker_name(text: str) -> bool:
    """Tell whether docker takes the text for an image's name, which may have a registry with a port, and a digest."""
    return _DOCKER_NAME.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    """Tell whether docker takes the text for a digest, as behind the `@` of an image's name."""
    return re.fullmatch(_DIGEST, text) is not None


def is_registry(domain: str) -> bool:
    """Return whether docker takes what stands before the first `/` for a registry, and not for a user of Docker Hub."""
    return domain == "localhost" or not set(".:").isdisjoint(domain) or domain != domain.lower()


def check_registry(text: str, *, where: str) -> str:
    """Return the text if docker takes it for a registry.

    where: what the message begins with.
    Raises UsageError otherwise; the message does not show the text, as there may be a password in it.
    """
    with suppress(UsageError):
        # Its port has to be one, too.
        split_url(f"https://{text}", instead="")
        if re.fullmatch(_DOMAIN, text) and is_registry(text):
            return text
    raise UsageError(f"{where}: not a registry. Write HOST or HOST:PORT alone, such as images.example.org.")


def pull_name(registry: str, name: str, digest: str) -> str:
    """Return what clients pull an image by: by the digest of its manifest, if that is known.

    registry: HOST or HOST:PORT.
    name: REPO:TAG.
    """
    repository, _, _ = name.rpartition(":")
    return f"{registry}/{repository}@{digest}" if digest else f"{registry}/{name}"


def split_docker_name(text: str) -> tuple[str, str, str]:
    """Return repository, tag and digest of an image's name as they are written; what it does not say is empty."""
    named, _, digest = text.partition("@")
    # Only behind the last `/`, as the port of a registry looks the same.
    match = _BEHIND_REPOSITORY.search(named, named.rfind("/") + 1)
    return (named[: match.start()], match["tag"], digest) if match else (named, "", digest)


def short_docker_name(text: str) -> str:
    """Return REPO:TAG as docker shows an image that is called `text`, so that all spellings of a name become one.

    Docker Hub and its `library/` are left out, `latest` is added. So is a digest left out: an image that is built here
    has none yet.
    """
    repository, tag, _ = split_docker_name(text)
    domain, slash, rest = repository.partition("/")
    if slash and domain in _HUBS:
        domain, slash, repository = "", "", rest
    # With a registry before it, `library/` is a name like others.
    if not (slash and is_registry(domain)) and repository.count("/") == 1:
        repository = repository.removeprefix("library/")
    return f"{repository}:{tag or LATEST}"


def listed_names(names: Iterable[str]) -> dict[str, str]:
    """Return the names of a list's images by the short names that Dockerfiles and the like may have for them.

    To podman, an image without a registry is `localhost/REPO:TAG`, too, unless the list has another one of that name.
    """
    short = {short_docker_name(name): name for name in names}
    return {_LOCAL + one: name for one, name in short.items() if not _has_registry(name)} | short


def is_local_spelling(spelled: str, name: str) -> bool:
    """Return whether `spelled` means the image called `name` to podman alone.

    To Docker, it is the image that a registry on this machine has under that name.
    """
    return not _has_registry(name) and short_docker_name(spelled) == _LOCAL + short_docker_name(name)


def _has_registry(name: str) -> bool:
    domain, slash, _ = name.partition("/")
    return bool(slash) and is_registry(domain)
