"""Branches and tags, resolved to commits by asking the repository's server."""

from __future__ import annotations

import re

from skyport_wf.errors import SkyportError
from skyport_wf.image_list.addresses import GitAddress
from skyport_wf.sources.remote.git_command import GitError, ask_server

MOST_SECONDS = 30.0
_HEX = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_NO_PASSWORD = re.compile(r"authentication failed|could not read (username|password)|error: 40[13]", re.IGNORECASE)
_NO_REPOSITORY = re.compile(r"not found", re.IGNORECASE)


def resolve_ref(address: GitAddress, *, seconds: float = MOST_SECONDS) -> str:
    """Return the commit that the address means now: of a tag before a branch of the same name, as git does.

    seconds: how long the server may take.
    Raises TemporaryError for what asking again may mend, SkyportError if there is no such name or repository.
    """
    if address.commit:
        return address.commit
    ref = address.ref or "HEAD"
    # A short name may stand for each of these, in git's order.
    names = ("HEAD",) if ref == "HEAD" else (ref, f"refs/{ref}", f"refs/tags/{ref}", f"refs/heads/{ref}")
    # Of an annotated tag, the line with ^{} has the commit.
    wanted = [spelling for name in names for spelling in (f"{name}^{{}}", name)]
    try:
        answer = ask_server(address.repository, ["ls-remote", "--", address.repository, *wanted], seconds=seconds)
    except GitError as error:
        raise explain(address, error) from error
    found = {name: commit for commit, _, name in (line.partition("\t") for line in answer.splitlines())}
    commit = next((found[name] for name in wanted if name in found), "")
    if not _HEX.fullmatch(commit):
        raise SkyportError(
            f"{address.repository} has no branch or tag {ref!r}. `git ls-remote {address.repository}` lists what "
            "there is; a commit needs all its digits."
        )
    return commit


def explain(address: GitAddress, error: GitError) -> SkyportError:
    """Return what git says of the repository, in words that say what to do."""
    said = str(error)
    if _NO_PASSWORD.search(said):
        return SkyportError(
            f"{address.repository} is not for everyone to read ({said}). If it is private, set up git's credential "
            "helper; perhaps it does not exist."
        )
    if _NO_REPOSITORY.search(said):
        return SkyportError(f"there is no git repository {address.repository} ({said}). Mend the image list.")
    return SkyportError(f"git cannot fetch {address.repository}: {said}")
