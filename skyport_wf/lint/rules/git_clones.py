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
_ACTIONS = frozenset({"clone", "init", "fetch", "checkout", "reset", "switch"})
_GIT_WITH_VALUE = frozenset({"-C", "-c", "--git-dir", "--work-tree", "--namespace", "--config-env"})
_INIT_WITH_VALUE = frozenset(
    {"-b", "--initial-branch", "--template", "--separate-git-dir", "--object-format", "--ref-format"}
)
_FETCH_WITH_VALUE = frozenset(
    {"--depth", "--deepen", "--shallow-since", "--shallow-exclude", "-j", "--jobs", "-o", "--server-option", "--filter",
     "--upload-pack", "--refmap", "--negotiation-tip"}
)  # fmt: skip
_MOVE_WITH_VALUE = frozenset(
    {"-b", "-B", "-c", "-C", "--create", "--force-create", "--orphan", "--conflict", "--pathspec-from-file"}
)
"""Of checkout, switch and reset."""
_CLONE_WITH_VALUE = frozenset(
    {"-b", "--branch", "-o", "--origin", "--depth", "-c", "--config", "--reference", "-j", "--jobs", "--filter",
     "--template", "--shallow-since", "--shallow-exclude", "--separate-git-dir", "--revision", "-u", "--upload-pack",
     "--reference-if-able", "--server-option", "--bundle-uri", "--ref-format"}
)  # fmt: skip
_LOCAL = re.compile(r"file:.*|[./~].*|[^:$]*", re.IGNORECASE)
"""What is cloned from the image's own files: it changes only if they do."""
_STAYS = re.compile(r"(?:HEAD|@)(?:[~^@].*)?|-|[./].*")
"""What leaves a clone at what it has, or at what that leads to: another name for it, or a path."""
_TAKES = ("-b", "--branch", "--revision")
_HOW = "`git checkout COMMIT` behind it, with all 40 digits (`git rev-parse HEAD` in a clone tells them)"


class _Clone(msgspec.Struct):
    """A clone, and what is known of where it stands; or a repository that is made empty."""

    url: str
    """Empty if it is no clone."""
    folder: str
    line: int
    at: str = ""
    """The branch, tag or commit that was checked out last."""
    fetched: str = ""
    """The one that was fetched last."""


def check_clones(runs: Iterable[tuple[str, Iterable[Invocation]]], values: Mapping[str, str]) -> Iterator[Finding]:
    """Yield clones that are not pinned to a commit.

    runs: all that one image's making runs, in order, each with the folder in which it begins, empty if that is not
        known: a later `git checkout COMMIT` pins a clone.
    values: what is known of the variables.
    """
    clones: list[_Clone] = []
    latest: dict[str, _Clone] = {}
    for begins_in, calls in runs:
        folder = begins_in
        for call in calls:
            if call.program == "cd":
                folder = _gone_to(folder, call, values)
            elif call.program == "git" and (made := _follow(call, latest, folder, values)):
                clones.append(made)
                # By its folder, and as the last of all: a shell may have gone there in a way that we do not see.
                latest |= {made.folder: made, "": made}
    for clone in clones:
        if not clone.url:
            continue
        if not clone.at:
            why = "is cloned without a commit: each build takes what its branch has on that day"
            yield GIT_UNPINNED.at(clone.line, f"`{clone.url}` {why}", _HOW)
        elif not COMMIT.fullmatch(clone.at):
            why = "a branch moves, a tag can be moved"
            if re.fullmatch("[0-9a-f]{7,39}", clone.at):
                why = "another commit may begin the same one day"
            yield GIT_BY_NAME.at(clone.line, f"of `{clone.url}`, `{clone.at}` is taken, no whole commit: {why}", _HOW)


def _gone_to(folder: str, call: Invocation, values: Mapping[str, str]) -> str:
    """Return the folder that a `cd` leads to, empty if it is not known."""
    target = expand("".join(call.texts[:1]), values, unknown=True)
    return "" if target in ("", "-") else posixpath.join(folder, target)


def _follow(call: Invocation, latest: Mapping[str, _Clone], folder: str, values: Mapping[str, str]) -> _Clone | None:
    """Return the repository that a git command makes, or note of the one that it works in what it takes.

    latest: the last repository of each folder, and of all, by the empty name.
    folder: where the command runs, as far as it is known.
    """
    texts = [expand(text, values, unknown=True) for text in call.texts]
    at = next((index for index, text in enumerate(texts) if text in _ACTIONS), None)
    # `git submodule init` is another thing.
    if at is None or not all(text.startswith("$") for text in _positional(texts[:at], _GIT_WITH_VALUE)):
        return None
    action, options, arguments = texts[at], texts[:at], texts[at + 1 :]
    folder = posixpath.join(folder, next((after for option, after in pairwise(options) if option == "-C"), ""))
    if action == "clone":
        url, into, *_ = [*_positional(arguments, _CLONE_WITH_VALUE), "", ""]
        names = [after for option, after in pairwise(arguments) if option in _TAKES]
        names += [text.partition("=")[2] for text in arguments if text.startswith(tuple(f"{it}=" for it in _TAKES))]
        into = into or posixpath.basename(url.rstrip("/").removesuffix(".git"))
        name = _name_of(posixpath.join(folder, into))
        shown = "" if _LOCAL.fullmatch(url) else without_secrets(url)
        return _Clone(shown, name, call.line, names[-1] if names else "") if url else None
    if action == "init":
        return _Clone("", _name_of(posixpath.join(folder, *_positional(arguments, _INIT_WITH_VALUE))), call.line)
    if there := latest.get(_name_of(folder)) or latest.get(""):
        if action == "fetch":
            refspec, *_ = [*_positional(arguments, _FETCH_WITH_VALUE)[1:], ""]
            there.fetched = refspec.removeprefix("+").partition(":")[0]
        elif target := _target(arguments):
            there.at = there.fetched or target if target == "FETCH_HEAD" else target
    return None


def _target(arguments: list[str]) -> str:
    """Return where a checkout, a switch or a reset goes; empty if it stays, as one of some files does."""
    before = arguments[: arguments.index("--")] if "--" in arguments else arguments
    target, *paths = [*_positional(before, _MOVE_WITH_VALUE), ""]
    paths = [path for path in (*paths, *arguments[len(before) + 1 :]) if path]
    # All files of a commit are as good as the commit.
    return "" if _STAYS.fullmatch(target) or paths not in ([], ["."]) else target


def _positional(arguments: list[str], with_value: frozenset[str]) -> list[str]:
    return [word.text for word in positional(map(Word, arguments), with_value)]


def _name_of(folder: str) -> str:
    return posixpath.basename(posixpath.normpath(folder or "/"))


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
