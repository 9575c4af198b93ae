"""The Shock that images are registered on: opened once, by whoever publishes and as an AWE worker would ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from skyport_wf.image_list.spec import EMBEDDED, ShockSettings
from skyport_wf.publication.connect import (
    ca_bundle,
    download_base,
    download_base_of,
    open_embedded,
    open_shock,
    read_token_variable,
    shock_url,
)

if TYPE_CHECKING:
    from skyport_wf.shock.client import ShockClient


class Destination(msgspec.Struct, frozen=True):
    """A Shock, and how images are to be on it."""

    shock: ShockClient
    """As the publisher."""
    worker: ShockClient
    """As an AWE worker asks: without a token if everyone may read the image."""
    url: str
    """Or `embedded`."""
    download_base: str
    """What download links begin with."""
    public: bool
    """Whether everyone may read the image."""
    token_from: str
    """Where the publisher's token belongs, for messages."""


class Target(msgspec.Struct, frozen=True):
    """A Shock that the command line names: no variable wins over it."""

    url: str
    """Or `embedded`."""
    token_variable: str | None
    """The variable with the token for it; None to speak to it without one."""
    auth: str
    """The word before the token, or `basic`."""


def open_target(target: Target, *, public: bool) -> Destination:
    """Return the Shock that the command line names.

    public: whether everyone is to read what is copied there.
    Raises UsageError for a token or a file of certificate authorities that cannot be used.
    """
    return Destination(
        shock=_open(target, anonymous=False),
        worker=_open(target, anonymous=public),
        url=target.url,
        download_base=download_base_of(target.url),
        public=public,
        token_from=_token_from(target),
    )


def _open(target: Target, *, anonymous: bool) -> ShockClient:
    from skyport_wf.shock.client import ShockClient

    if target.url == EMBEDDED:
        return open_embedded(anonymous=anonymous)
    variable = None if anonymous else target.token_variable
    return ShockClient(
        target.url,
        token=read_token_variable(variable, target.auth) if variable else None,
        token_from=_token_from(target),
        auth=target.auth,
        # The image list's authorities are those of its own Shock.
        ca_bundle=ca_bundle(ShockSettings()),
    )


def _token_from(target: Target) -> str:
    return target.token_variable or "a variable, and name that with --to-token-env"


def open_destination(settings: ShockSettings) -> Destination:
    """Return the Shock that the settings mean, and the variables that win over them.

    Raises UsageError for a URL, a token or a file of certificate authorities that cannot be used.
    """
    return Destination(
        shock=open_shock(settings),
        worker=open_shock(settings, anonymous=settings.public),
        url=shock_url(settings),
        download_base=download_base(settings),
        public=settings.public,
        token_from=settings.token_env,
    )
