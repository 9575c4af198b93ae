"""Repositories that are cloned, and whether it is said which commit."""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from urllib.parse import urlsplit

import msgspec

from skyport_wf.image.dockerfile import expand
from skyport_wf.lint.findings import Finding
from skyport_wf.lint.invocations import Invocation, positional
from skyport_wf.lint.rules import GIT_BY_NAME, GIT_UNPINNED
from skyport_wf.lint.shell import Word

COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
"""A whole one, SHA-1 or SHA-256."""
_CLONE_WITH_VALUE = frozenset(
    {"-b", "--branch", "-o", "--origin", "--depth", "-c", "--config", "--reference", "-j", "--jobs", "--filter",
     "--template", "--shallow-since", "--shallow-exclude", "--separate-git-dir", "--revision", "-u"}
)  # fmt: skip
_TAKES = ("-b", "--branch", "--revision")
_HOW = "`git checkout COMMIT` behind it, with all 40 digits (`git rev-parse HEAD` in a clone tells them)"


class _Clone(msgspec.Struct):
    """A clone, and what is known of where it stands."""

    url: str
    folder: str
    line: int
    at: str = ""
    """The branch, tag or commit that it was told to take."""


def check_clones(calls: Iterable[Invocation], values: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the clones of repositories of which a build takes what stands there on that day.

    calls: all that one image's making runs, in order: a later `git checkout COMMIT` pins a clone.
    values: what is known of the variables.
    """
    clones: list[_Clone] = []
    latest: dict[str, _Clone] = {}
    folder = ""
    for call in calls:
        if call.program == "cd":
            folder = "".join(call.texts[:1])
        elif call.program == "git":
            clones += _note(call, latest, folder, values)
    for clone in clones:
        yield from _judge(clone)


def _note(call: Invocation, latest: dict[str, _Clone], folder: str, values: Mapping[str, str]) -> Iterator[_Clone]:
    """Yield a clone, or take note of what a clone is set to.

    latest: the last clone of each folder, and of all, by the empty name.
    folder: where the command runs, as far as a `cd` before it tells.
    """
    texts = [expand(text, values, unknown=True) for text in call.texts]
    at = next((index for index, text in enumerate(texts) if text in ("clone", "checkout", "reset", "switch")), None)
    if at is None:
        return
    action, options, arguments = texts[at], texts[:at], texts[at + 1 :]
    if action == "clone":
        for clone in _clone(arguments, call.line):
            latest |= {clone.folder: clone, "": clone}
            yield clone
        return
    folder = next((after for option, after in pairwise(options) if option == "-C"), folder)
    there = latest.get(posixpath.basename(folder.rstrip("/"))) or latest.get("")
    target = next((text for text in arguments if not text.startswith("-")), "")
    if there and target:
        there.at = target


def _clone(arguments: list[str], line: int) -> Iterator[_Clone]:
    url, folder, *_ = [*(word.text for word in positional(map(Word, arguments), _CLONE_WITH_VALUE)), "", ""]
    names = [after for option, after in pairwise(arguments) if option in _TAKES]
    names += [text.partition("=")[2] for text in arguments if text.startswith(tuple(f"{it}=" for it in _TAKES))]
    folder = folder or url.rstrip("/").removesuffix(".git")
    if url:
        yield _Clone(without_secrets(url), posixpath.basename(folder.rstrip("/")), line, names[-1] if names else "")


def _judge(clone: _Clone) -> Iterator[Finding]:
    if not clone.at:
        why = "is cloned without a commit: each build takes what its branch has on that day"
        yield GIT_UNPINNED.at(clone.line, f"`{clone.url}` {why}", _HOW)
    elif not COMMIT.fullmatch(clone.at):
        why = "a branch moves, a tag can be moved"
        if re.fullmatch("[0-9a-f]{7,39}", clone.at):
            why = "another commit may begin the same one day"
        yield GIT_BY_NAME.at(clone.line, f"of `{clone.url}`, `{clone.at}` is taken, no whole commit: {why}", _HOW)


def without_secrets(url: str) -> str:
    """Return the address without user, password and parameters, to be shown."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the address"
    if not parts.scheme or "@" not in parts.netloc:
        return url.partition("?")[0]
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
