"""Files that an image list names by address, as files of this machine.

Each address is asked once: an image is built from the very bytes that its digest was made of.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from skyport_wf.errors import SkyportError, TemporaryError
from skyport_wf.image_list.addresses import FileAddress, GitAddress
from skyport_wf.image_list.registry_address import RegistryAddress
from skyport_wf.records.source import GitOrigin

if TYPE_CHECKING:
    from skyport_wf.sources.remote.registry_images import RegistryImage

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")

_PATIENCE = 10.0
"""Seconds for a question to which the last answer is at hand."""


class FetchedFolder(msgspec.Struct, frozen=True):
    """A folder of a git repository, on this machine."""

    path: Path
    origin: GitOrigin
    submodules: tuple[str, ...]
    """Paths below the folder that are empty, since they belong to other repositories."""


class RemoteFiles:
    """Gets what the addresses of one image list name; made once for a command, so that no address is asked twice."""

    def __init__(self, *, last_copies: bool = False) -> None:
        """Ask the servers.

        last_copies: whether the copy of an earlier time will do where a server cannot be reached.
        """
        self._last_copies = last_copies
        self._answers: dict[str, Any] = {}
        self._silent: dict[str, TemporaryError] = {}
        """Servers that failed after all retries: there is no sense in waiting for them again."""

    def fetch_file(self, address: FileAddress) -> Path:
        """Return a file with the Dockerfile that is at the address now.

        Raises TemporaryError if it cannot be had, SkyportError if it is not there or no Dockerfile.
        """
        from skyport_wf.cache import read_note, store_content, write_note
        from skyport_wf.sources.remote.http_dockerfile import MOST_SECONDS, RemoteDockerfile, fetch_dockerfile

        known = read_note("files", address.url, RemoteDockerfile)

        def ask(*, hurry: bool) -> RemoteDockerfile:
            found = fetch_dockerfile(address.url, known=known, seconds=_PATIENCE if hurry else MOST_SECONDS)
            write_note("files", address.url, found)
            return found

        found = self._ask_once(address.url, ask, known)
        return store_content(found.content, "Dockerfile")

    def fetch_folder(self, address: GitAddress) -> FetchedFolder:
        """Return the folder as it is at the address now; a commit that is in the cache is not asked for.

        Raises TemporaryError if it cannot be had, SkyportError if there is no such repository, commit, name or folder.
        """
        from skyport_wf.cache import read_note, write_note
        from skyport_wf.sources.remote.checkouts import Checkout, check_out, find_checkout, find_inside
        from skyport_wf.sources.remote.git_refs import MOST_SECONDS, resolve_ref

        named = f"{address.repository}#{address.ref}" if address.ref else address.repository

        def ask(*, hurry: bool) -> tuple[str, Checkout]:
            commit = resolve_ref(address, seconds=_PATIENCE if hurry else MOST_SECONDS)
            checkout = check_out(address, commit)
            write_note("refs", named, commit)
            return commit, checkout

        known = address.commit or read_note("refs", named, str)
        there = find_checkout(address.repository, known) if known else None
        last = (known, there) if known and there else None
        commit, checkout = last if address.commit and last else self._ask_once(named, ask, last)
        path = find_inside(checkout, address.folder)
        if path is None:
            raise SkyportError(
                f"{address.repository} has no folder {address.folder} in commit {commit}. Mend the address."
            )
        below = f"{address.folder}/" if address.folder else ""
        inside = tuple(name.removeprefix(below) for name in checkout.submodules if name.startswith(below))
        return FetchedFolder(path, GitOrigin(address.repository, address.ref, commit, address.folder), inside)

    def find_image(self, address: RegistryAddress, platform: str) -> RegistryImage:
        """Return the image that is at the address now; one that a digest names is not asked for again.

        platform: what is chosen of several.
        Raises TemporaryError if the registry cannot be reached, SkyportError if it has no such image.
        """
        from skyport_wf.cache import read_note, write_note
        from skyport_wf.sources.remote.registry_images import RegistryImage, find_image
        from skyport_wf.sources.remote.registry_session import MOST_SECONDS, RegistrySession

        named = f"{address} for {platform}"
        known = read_note("registry-images", named, RegistryImage)
        if known and address.digest == known.named:
            return known

        def ask(*, hurry: bool) -> RegistryImage:
            with RegistrySession(address, seconds=_PATIENCE if hurry else MOST_SECONDS) as session:
                found = find_image(session, address, platform=platform, known=known)
            write_note("registry-images", named, found)
            return found

        return self._ask_once(f"https://{named}", ask, known)

    def _ask_once(self, address: str, ask: Callable[..., _Answer], last: _Answer | None) -> _Answer:
        """Return the answer that was given already, is given now, or was given at an earlier time.

        ask: called with `hurry`, whether to give up soon.
        last: the answer of an earlier time, if it is known.
        """
        from skyport_wf.retries import retrying

        if address in self._answers:
            return self._answers[address]  # type: ignore[no-any-return]
        server = urlsplit(address).netloc
        last = last if self._last_copies else None
        try:
            if failure := self._silent.get(server):
                raise TemporaryError(f"{address} was not asked for, as its server failed just now.") from failure
            answer = ask(hurry=True) if last is not None else retrying(lambda: ask(hurry=False))
        except TemporaryError as error:
            self._silent.setdefault(server, error)
            if last is None:
                raise
            _log.warning("%s The copy of an earlier time is used.", error)
            answer = last
        self._answers[address] = answer
        return answer
