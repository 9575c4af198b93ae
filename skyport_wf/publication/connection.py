"""The Shock of a command: opened once, asked as the user and as somebody without a token, closed at the end."""

from __future__ import annotations

import errno
import getpass
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.errors import ShockError, SkyportError
from skyport_wf.image_list.spec import EMBEDDED, ShockSettings
from skyport_wf.image_list.urls import one_spelling
from skyport_wf.publication.settings import (
    ca_bundle,
    download_base,
    download_base_of,
    read_token,
    read_token_variable,
    registry_of,
    shock_url,
    token_source,
)
from skyport_wf.shock.node import is_public

if TYPE_CHECKING:
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.store.wsgi.app import ShockApp


_AT_ONCE = 4
"""Questions to a Shock at the same time; it has other users."""


class Target(msgspec.Struct, frozen=True):
    """A Shock that the command line names: no variable wins over it."""

    url: str
    """Or `embedded`."""
    token_variable: str | None
    """The variable with the token for it; None to speak to it without one."""
    auth: str
    """The word before the token, or `basic`."""


class Shock:
    """One Shock, for as long as a command takes."""

    def __init__(
        self,
        url: str,
        *,
        download_base: str,
        read_token: Callable[[], str | None],
        token_from: str,
        auth: str,
        ca_bundle: Callable[[], str | None],
        registry: str = "",
    ) -> None:
        """Speak to the server at `url`, or to the store on this machine if that is `embedded`; nothing is asked yet.

        download_base: what download links begin with.
        read_token: gives the user's token, None if there is none; called when the user is first to be asked for.
        token_from: where messages say that a token belongs.
        auth: the word before the token, or `basic`.
        ca_bundle: gives a file of certificate authorities to trust in the place of the usual ones, or None.
        registry: HOST or HOST:PORT from which its images can be pulled; empty if none is configured.
        """
        self.url = url
        self.registry = registry
        self.download_base = download_base
        self.token_from = token_from
        self._read_token = read_token
        self._auth = auth
        self._ca_bundle = ca_bundle
        self._opened = ExitStack()

    @property
    def name(self) -> str:
        """Its name in messages."""
        return "the embedded Shock" if self.url == EMBEDDED else self.url

    @cached_property
    def token(self) -> str | None:
        """The user's token, None without one. Raises UsageError for one that cannot be used."""
        return None if self.url == EMBEDDED else self._read_token()

    @cached_property
    def user(self) -> ShockClient:
        """The server as the user asks it: with the token if there is one."""
        return self._embedded_as(system_user()) if self.url == EMBEDDED else self._client(self.token)

    @cached_property
    def anybody(self) -> ShockClient:
        """The server as somebody without a token asks it, such as an AWE worker."""
        return self._embedded_as(None) if self.url == EMBEDDED else self._client(None)

    @cached_property
    def anonymous_rights(self) -> frozenset[str]:
        """Rights that the server gives to users without a token, of `read`, `write` and `delete`."""
        from skyport_wf.shock.connection import ShockRefusalError

        try:
            told = self.anybody.read_server().get("anonymous_permissions")
        except ShockRefusalError as error:
            if not error.is_about_rights:
                raise
            # Something in front may let nobody in without a token. It has to let the user in, or it is another trouble.
            self.user.read_server()
            return frozenset()
        if not isinstance(told, dict):
            # Older servers do not tell. They refuse what they refuse.
            return frozenset({"read", "write", "delete"})
        return frozenset(right for right, given in told.items() if given is True)

    def open_threads(self) -> int:
        """Return how many threads are to ask at once where there are many questions.

        Over a network, most time goes by waiting. What all threads would open at the same moment is opened here.
        """
        if self.url == EMBEDDED:
            return 1
        _ = self.user, self.anybody
        return _AT_ONCE

    @property
    def is_known_user(self) -> bool:
        """Whether the server is asked as somebody."""
        return self.url == EMBEDDED or self.token is not None

    def why_not_changed(self) -> SkyportError | None:
        """Return why nobody can change anything there; None if nothing is known against it after what was asked."""
        if self.url != EMBEDDED:
            return self.user.elsewhere
        folder = self._app.store.folder
        return folder.failure(OSError(errno.EROFS, os.strerror(errno.EROFS))) if folder.is_read_only() else None

    def as_worker(self, *, public: bool) -> ShockClient:
        """Return the server as an AWE worker asks it for an image.

        public: whether everyone may read the image. Then a worker needs no token, unless the server answers nobody
            without one.
        """
        everyone = public and (self.url == EMBEDDED or "read" in self.anonymous_rights)
        return self.anybody if everyone else self.user

    def everyone_reads(self, node_id: str) -> bool:
        """Return whether everyone may read a node that the user has found."""
        return is_public(self.user.find_access(node_id))

    def copy_readers(self, node_id: str, to: str) -> None:
        """Let those read the user's own node `to` who are listed as readers of another.

        Raises ShockError if the server does not give them the right.
        """
        access = self.user.find_access(node_id)
        if access is None or not (listed := sorted({*access.read} - {access.owner, "public"})):
            return
        try:
            self.user.add_readers(to, listed)
        except ShockError as error:
            raise ShockError(f"node {to} cannot be read by those whom node {node_id} lists: {error}") from error

    def is_at(self, url: str) -> bool:
        """Return whether a URL is this Shock's; that of an older lock file or receipt may be spelled otherwise."""
        return self.url == one_spelling(url)

    def may_change(self, node_id: str) -> bool:
        """Return whether the user may change a node that he has found: its owner, or an admin."""
        access = self.user.find_access(node_id)
        if access is None:
            return False
        if access.owner == "public":
            return self.is_known_user or "write" in self.anonymous_rights
        listed = {*access.read, *access.write, *access.delete} - {access.owner, "public"}
        # Lists are shown to those who are in one. If nobody else is, this is the owner.
        return self.is_known_user and (not listed or self.user.is_owner(node_id))

    def close(self) -> None:
        """Close all connections, and the store. Safe to call twice."""
        self._opened.close()
        for opened in ("user", "anybody", "_app"):
            self.__dict__.pop(opened, None)

    def _client(self, token: str | None) -> ShockClient:
        from skyport_wf.shock.client import ShockClient

        client = ShockClient(
            self.url, token=token, token_from=self.token_from, auth=self._auth, ca_bundle=self._ca_bundle()
        )
        self._opened.callback(client.close)
        return client

    @cached_property
    def _app(self) -> ShockApp:
        """The store on this machine, opened once for all who ask it."""
        from skyport_wf.store.opening import open_store
        from skyport_wf.store.wsgi.app import ShockApp
        from skyport_wf.user_folders import default_data

        return ShockApp(self._opened.enter_context(open_store(default_data())))

    def _embedded_as(self, name: str | None) -> ShockClient:
        """Return a client that writes straight into the store, as a user of this name, or as nobody.

        Whoever may write the store's files needs no token; it is not sent there either.
        """
        from skyport_wf.shock.client import ShockClient
        from skyport_wf.store.wsgi.transport import EMBEDDED_URL, embedded_session

        session = embedded_session(self._app, remote_user=name)
        client = ShockClient(EMBEDDED_URL, name=self.name, session=session)
        self._opened.callback(client.close)
        return client


@contextmanager
def open_shock(settings: ShockSettings, *, with_token: bool = True) -> Iterator[Shock]:
    """Open the Shock that the settings mean, and the variables that win over them.

    with_token: False if the token that there is belongs to another Shock; this one is asked without any then.
    Raises UsageError for a URL that is none. A token or a file of certificate authorities that cannot be used is told
    when it is first needed.
    """
    shock = Shock(
        shock_url(settings),
        download_base=download_base(settings),
        read_token=lambda: read_token(settings) if with_token else None,
        token_from=f"{token_source(settings)}{'' if with_token else ', and the URL of that Shock into SHOCK_URL'}",
        auth=settings.auth,
        ca_bundle=lambda: ca_bundle(settings),
        registry=registry_of(settings),
    )
    with closing(shock):
        yield shock


@contextmanager
def open_target(target: Target) -> Iterator[Shock]:
    """Open the Shock that the command line names."""
    variable = target.token_variable
    shock = Shock(
        target.url,
        download_base=download_base_of(target.url),
        read_token=lambda: read_token_variable(variable, target.auth) if variable else None,
        token_from=variable or "a variable, and name that with --to-token-env",
        auth=target.auth,
        # The image list's authorities are those of its own Shock.
        ca_bundle=lambda: ca_bundle(ShockSettings()),
    )
    with closing(shock):
        yield shock


def system_user() -> str:
    """Return the name of the system's user as the store knows it: a number where that takes no such name.

    In containers no file may have a name for the user; those of Windows domains may have spaces.
    """
    from skyport_wf.store.users import is_user_name

    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = ""
    return name if is_user_name(name) else f"uid{os.getuid()}"
