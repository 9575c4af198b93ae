"""SKY02x: repositories that are cloned or added without saying which commit."""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from urllib.parse import urlsplit

import msgspec

from skyport_wf.image.variables import expand
from skyport_wf.lint.findings import Finding, Rule
from skyport_wf.lint.shell.grammar import Word
from skyport_wf.lint.shell.invocations import Invocation, positional

GIT_UNPINNED = Rule("SKY021", "warning")
GIT_BY_NAME = Rule("SKY022", "info")
RULES = (GIT_UNPINNED, GIT_BY_NAME)

COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
"""A whole one, SHA-1 or SHA-256."""
_ADDED = re.compile(r"(?:git@|git://|ssh://)|(?:https?://[^?#]*\.git/?(?:[?#]|$))", re.IGNORECASE)
"""Addresses that `ADD` takes for a repository's."""
_COMMIT_IN_QUERY = re.compile(rf"[?&](?:checksum|commit)={COMMIT.pattern}(?:&|$)")
_CLONE_WITH_VALUE = frozenset(
    {"-b", "--branch", "-o", "--origin", "--depth", "-c", "--config", "--reference", "-j", "--jobs", "--filter",
     "--template", "--shallow-since", "--shallow-exclude", "--separate-git-dir", "--revision", "-u", "--upload-pack",
     "--reference-if-able", "--server-option", "--bundle-uri", "--ref-format"}
)  # fmt: skip
_TAKES = ("-b", "--branch", "--revision")
_HOW = "`git checkout COMMIT` behind it, with all 40 digits (`git rev-parse HEAD` in a clone tells them)"


class _Clone(msgspec.Struct):
    """A clone, and what is known of where it stands."""

    url: str
    folder: str
    line: int
    at: str = ""
    """The branch, tag or commit that was checked out last."""


def check_clones(calls: Iterable[Invocation], values: Mapping[str, str]) -> Iterator[Finding]:
    """Yield clones that are not pinned to a commit.

    calls: all that one image's making runs, in order: a later `git checkout COMMIT` pins a clone.
    values: what is known of the variables.
    """
    clones: list[_Clone] = []
    latest: dict[str, _Clone] = {}
    folder = ""
    for call in calls:
        if call.program == "cd":
            folder = "".join(call.texts[:1])
        elif call.program == "git" and (clone := _follow(call, latest, folder, values)):
            clones.append(clone)
            # By its folder, and as the last of all: a shell may have gone there in a way that we do not see.
            latest |= {clone.folder: clone, "": clone}
    for clone in clones:
        if not clone.at:
            why = "is cloned without a commit: each build takes what its branch has on that day"
            yield GIT_UNPINNED.at(clone.line, f"`{clone.url}` {why}", _HOW)
        elif not COMMIT.fullmatch(clone.at):
            why = "a branch moves, a tag can be moved"
            if re.fullmatch("[0-9a-f]{7,39}", clone.at):
                why = "another commit may begin the same one day"
            yield GIT_BY_NAME.at(clone.line, f"of `{clone.url}`, `{clone.at}` is taken, no whole commit: {why}", _HOW)


def _follow(call: Invocation, latest: Mapping[str, _Clone], folder: str, values: Mapping[str, str]) -> _Clone | None:
    """Return the clone that a git command makes, or set the one that it works in to what it checks out.

    latest: the last clone of each folder, and of all, by the empty name.
    folder: where the command runs, as far as a `cd` before it tells.
    """
    texts = [expand(text, values, unknown=True) for text in call.texts]
    at = next((index for index, text in enumerate(texts) if text in ("clone", "checkout", "reset", "switch")), None)
    if at is None:
        return None
    action, options, arguments = texts[at], texts[:at], texts[at + 1 :]
    if action == "clone":
        url, into, *_ = [*(word.text for word in positional(map(Word, arguments), _CLONE_WITH_VALUE)), "", ""]
        names = [after for option, after in pairwise(arguments) if option in _TAKES]
        names += [text.partition("=")[2] for text in arguments if text.startswith(tuple(f"{it}=" for it in _TAKES))]
        into = posixpath.basename((into or url.rstrip("/").removesuffix(".git")).rstrip("/"))
        return _Clone(without_secrets(url), into, call.line, names[-1] if names else "") if url else None
    folder = next((after for option, after in pairwise(options) if option == "-C"), folder)
    there = latest.get(posixpath.basename(folder.rstrip("/"))) or latest.get("")
    target = next((text for text in arguments if not text.startswith("-")), "")
    if there and target:
        there.at = target
    return None


def is_added_repository(source: str) -> bool:
    """Tell whether `ADD` takes this address for a git repository."""
    return _ADDED.match(source) is not None


def check_added_repository(line: int, source: str) -> Iterator[Finding]:
    """Yield a finding if an `ADD` of a repository does not pin a commit."""
    address, _, fragment = source.partition("#")
    name = fragment.partition(":")[0]
    if COMMIT.fullmatch(name) or _COMMIT_IN_QUERY.search(address):
        return
    shown = without_secrets(address)
    how = f"`ADD {shown}#COMMIT ...`, with all 40 digits"
    if name:
        yield GIT_BY_NAME.at(line, f"of `{shown}`, `{name}` is taken, no whole commit: names can be moved", how)
    else:
        why = "each build takes what its branch has on that day"
        yield GIT_UNPINNED.at(line, f"`{shown}` is added without a commit: {why}", how)


def without_secrets(url: str) -> str:
    """Return the address without user, password and parameters, to be shown."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the address"
    if not parts.scheme or "@" not in parts.netloc:
        return url.partition("?")[0]
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
