"""Which Shock a publication goes to, and as whom: the settings, the variables that win over them, the token."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from skyport_wf.errors import UsageError
from skyport_wf.spec import EMBEDDED, ShockSettings, check_shock_url

if TYPE_CHECKING:
    from skyport_wf.shock.client import ShockClient

URL_VARIABLE = "SHOCK_URL"
DEFAULT_PUBLIC_URL = "http://127.0.0.1:7445"
"""Where `skyport-wf serve` answers unless told otherwise; Shock's own port."""


def shock_url(settings: ShockSettings) -> str:
    """Return the Shock that is meant: the variable SHOCK_URL wins over the settings.

    Raises UsageError if either is not a Shock server's URL.
    """
    if given := os.environ.get(URL_VARIABLE):
        return check_shock_url(given, where=f"the variable {URL_VARIABLE}")
    return check_shock_url(settings.url, where="shock.url of the image list")


def settle(settings: ShockSettings, *, public: bool | None = None) -> ShockSettings:
    """Return the settings with what wins over them put in.

    public: an image's own wish; None if it has none.
    """
    return ShockSettings(
        url=shock_url(settings),
        token_env=settings.token_env,
        public=settings.public if public is None else public,
        public_url=settings.public_url,
    )


def read_token(settings: ShockSettings) -> str | None:
    """Return the token, None if its variable is not set.

    Raises UsageError, without showing it, for a token that no HTTP header can carry.
    """
    token = os.environ.get(settings.token_env, "").strip()
    if token and not (token.isascii() and token.isprintable()):
        raise UsageError(f"the token in {settings.token_env} has characters that no token has. Set it again.")
    return token or None


def open_shock(settings: ShockSettings, *, anonymous: bool = False) -> ShockClient:
    """Return a client for the Shock that is meant.

    anonymous: without the token even if there is one, as an AWE worker without one asks.
    """
    from skyport_wf.shock.client import ShockClient

    url = shock_url(settings)
    if url == EMBEDDED:
        return _open_embedded(anonymous=anonymous)
    return ShockClient(url, token=None if anonymous else read_token(settings))


def download_base(settings: ShockSettings) -> str:
    """Return what download links begin with."""
    url = shock_url(settings)
    base = settings.public_url or (DEFAULT_PUBLIC_URL if url == EMBEDDED else url)
    return base.rstrip("/")


def _open_embedded(*, anonymous: bool) -> ShockClient:
    """Return a client that writes straight into the store on this machine, as the system's user.

    Whoever may write the store's files needs no token; it is not sent there either.
    """
    import getpass

    import requests

    from skyport_wf.shock.client import ShockClient
    from skyport_wf.store.app import ShockApp
    from skyport_wf.store.opening import default_data, open_store
    from skyport_wf.store.transport import EMBEDDED_URL, WSGITransport

    session = requests.Session()
    user = None if anonymous else getpass.getuser()
    session.mount(EMBEDDED_URL, WSGITransport(ShockApp(open_store(default_data())), remote_user=user))
    return ShockClient(EMBEDDED_URL, name="the embedded Shock", session=session)
