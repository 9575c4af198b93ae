"""Addresses in an image list: of a Dockerfile, or of a folder in a git repository. Reading them asks nobody."""

import re
from pathlib import PurePosixPath
from urllib.parse import parse_qsl

import msgspec

from skyport_wf.errors import UsageError
from skyport_wf.image_list.urls import split_url

_COMMIT = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")
_NO_REF = re.compile(r"^[-/]|[\x00-\x20\x7f~^:?*\[\\]|\.\.|//|/\.|^\.|@\{|\.lock(/|$)|[/.]$|^@$")
"""Signs that git allows in no name, and a `-` at the beginning, with which it would be taken for an option."""
_SECRET_PARAMETER = re.compile(
    r"token|secret|passw|signature|credential|auth|jwt|(^|[-_])(sig|key|apikey)$", re.IGNORECASE
)
_SSH = re.compile(r"git@[^/]+:|(git\+)?ssh://", re.IGNORECASE)
_INSTEAD = "Write http:// or https://"


class FileAddress(msgspec.Struct, frozen=True):
    """A file on a web server."""

    url: str


class GitAddress(msgspec.Struct, frozen=True):
    """A folder of a git repository, spelled REPOSITORY#REF:FOLDER, as `docker build` takes it."""

    repository: str
    """The URL without what follows `#`."""
    ref: str | None = None
    """Commit, branch or tag, as it was written; the branch that the repository itself prefers if None."""
    folder: str = ""
    """Seen from the top of the repository, with `/`; empty for the top."""

    @property
    def commit(self) -> str | None:
        """The commit, if the address names one in full; None for what can move."""
        return self.ref.lower() if self.ref and _COMMIT.fullmatch(self.ref) else None


def parse_address(text: str) -> FileAddress | GitAddress | None:
    """Return the address that `text` spells, None if it is the path of a file or folder.

    Raises UsageError for an address that cannot be used; the message does not show it, as there may be a secret in it.
    """
    if _SSH.match(text):
        raise UsageError(f"git over ssh is not supported. {_INSTEAD}; git's credential helper has the password")
    if "://" not in text:
        return None
    url, _, fragment = text.partition("#")
    parts = split_url(url, instead=f"{_INSTEAD}, a host and a path; or the path of a file")
    if not parts.path.strip("/"):
        raise UsageError(f"not an address. {_INSTEAD}, a host and a path; or the path of a file")
    if parts.path.endswith(".git"):
        if parts.query:
            raise UsageError("parameters in the address of a git repository are not supported. Write URL#REF:FOLDER")
        ref, _, folder = fragment.partition(":")
        if _NO_REF.search(ref) or not ref.isprintable():
            raise UsageError(f"{ref!r} cannot be the name of a commit, branch or tag")
        return GitAddress(url, ref or None, parse_inner_path(folder))
    if "#" in text:
        raise UsageError("a `#` belongs behind the address of a git repository, which ends in .git")
    if any(_SECRET_PARAMETER.search(name) for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
        raise UsageError("a token in the address would end up in records. Give an address that needs none")
    return FileAddress(url)


def find_wrong_address(dockerfile: str | None, context: str | None) -> tuple[str, str] | None:
    """Return which of an image's fields `dockerfile` and `context` is wrong, and why; None if they are right."""
    addresses: list[FileAddress | GitAddress | None] = []
    for field, text in {"dockerfile": dockerfile, "context": context}.items():
        try:
            addresses.append(parse_address(text or ""))
        except UsageError as error:
            return field, f"{error}."
    if isinstance(addresses[1], FileAddress):
        return "context", "a context is a folder, or a git repository, whose address ends in .git."
    if isinstance(addresses[0], GitAddress) and context:
        return "context", "the repository is the context already. Write its address here, and a path as `dockerfile`."
    if addresses[1] and dockerfile and not addresses[0]:
        try:
            parse_inner_path(dockerfile)
        except UsageError as error:
            return "dockerfile", f"{error}."
    return None


def parse_inner_path(text: str) -> str:
    """Return a path inside a repository, tidied: without `.` and doubled `/`, empty for the top.

    Raises UsageError if it leads out of it.
    """
    path = PurePosixPath(text.strip("/"))
    if ".." in path.parts or not text.isprintable():
        raise UsageError(f"{text!r} is no path inside the repository")
    return "" if path == PurePosixPath() else path.as_posix()
