"""Which Shock a publication goes to, and as whom: the settings, the variables that win over them, the token."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.errors import UsageError
from skyport_wf.image_list.spec import EMBEDDED, ShockSettings, check_shock_url

if TYPE_CHECKING:
    from skyport_wf.shock.client import ShockClient

URL_VARIABLE = "SHOCK_URL"
TOKEN_FILE_VARIABLE = "SHOCK_TOKEN_FILE"  # noqa: S105 - the name of a variable
"""Names a file with the token: for workflow engines that write a job's values where others can read them."""
CA_VARIABLE = "REQUESTS_CA_BUNDLE"
"""Names the certificate authorities to trust, as for other programs that use requests."""
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
    public = settings.public if public is None else public
    return msgspec.structs.replace(settings, url=shock_url(settings), public=public)


def token_source(settings: ShockSettings) -> str:
    """Return where the token is read from: the file that SHOCK_TOKEN_FILE names wins over the settings' variable."""
    return os.environ.get(TOKEN_FILE_VARIABLE) or settings.token_env


def read_token(settings: ShockSettings) -> str | None:
    """Return the token, None if neither a file nor the variable gives one.

    Raises UsageError, without showing it, for a token that no HTTP header can carry, or a file that has none.
    """
    path = os.environ.get(TOKEN_FILE_VARIABLE)
    token = _read_token_file(Path(path)) if path else os.environ.get(settings.token_env, "").strip()
    return _usable_token(token, token_source(settings)) if token else None


def read_token_variable(variable: str, auth: str) -> str:
    """Return the token in a variable, whatever SHOCK_TOKEN_FILE says.

    Raises UsageError, without showing it, if there is none, or none that an HTTP header or the scheme can carry.
    """
    token = os.environ.get(variable, "").strip()
    if not token:
        raise UsageError(f"the variable {variable} has no token. Set it.")
    return _fitting_scheme(_usable_token(token, variable), auth, variable)


def _usable_token(token: str, where: str) -> str:
    if not (token.isascii() and token.isprintable()):
        raise UsageError(f"the token in {where} has characters that no token has. Set it again.")
    return token


def _read_token_file(path: Path) -> str:
    try:
        token = path.read_bytes().decode(errors="replace").strip()
    except OSError as error:
        raise UsageError(f"cannot read the token file {path} ({TOKEN_FILE_VARIABLE}): {error.strerror}") from error
    if not token:
        raise UsageError(f"the token file {path} ({TOKEN_FILE_VARIABLE}) is empty")
    return token


def open_shock(settings: ShockSettings, *, anonymous: bool = False) -> ShockClient:
    """Return a client for the Shock that is meant.

    anonymous: without the token even if there is one, as an AWE worker without one asks.
    Raises UsageError for a token or a file of certificate authorities that cannot be used.
    """
    from skyport_wf.shock.client import ShockClient

    url = shock_url(settings)
    if url == EMBEDDED:
        return open_embedded(anonymous=anonymous)
    token = None if anonymous else read_token(settings)
    return ShockClient(
        url,
        token=_fitting_scheme(token, settings.auth, token_source(settings)) if token else None,
        token_from=token_source(settings),
        auth=settings.auth,
        ca_bundle=ca_bundle(settings),
    )


def _fitting_scheme(token: str, auth: str, where: str) -> str:
    """Return the token, if it is one for the scheme. Raises UsageError, without showing it, if it is not."""
    if auth.lower() == "basic" and ":" not in token:
        raise UsageError(f"the token in {where} has no `:`. With `auth: basic`, write USER:PASSWORD.")
    return token


def ca_bundle(settings: ShockSettings) -> str | None:
    """Return the file of certificate authorities. Raises UsageError if there is none where one is named."""
    for where, path in (
        ("shock.ca_bundle of the image list", settings.ca_bundle),
        (f"the variable {CA_VARIABLE}", os.environ.get(CA_VARIABLE)),
    ):
        if path:
            if not Path(path).exists():
                raise UsageError(f"{where} names {path}, which is not there. Name a file of certificates (PEM).")
            return path
    return None


def download_base(settings: ShockSettings) -> str:
    """Return what download links begin with."""
    url = shock_url(settings)
    return (settings.public_url or download_base_of(url)).rstrip("/")


def download_base_of(url: str) -> str:
    """Return what download links of the Shock at `url` begin with, as far as its URL tells."""
    return DEFAULT_PUBLIC_URL if url == EMBEDDED else url


def open_embedded(*, anonymous: bool) -> ShockClient:
    """Return a client that writes straight into the store on this machine, as the system's user.

    Whoever may write the store's files needs no token; it is not sent there either.
    """
    import getpass

    import requests

    from skyport_wf.shock.client import ShockClient
    from skyport_wf.store.opening import open_store
    from skyport_wf.store.wsgi.app import ShockApp
    from skyport_wf.store.wsgi.transport import EMBEDDED_URL, WSGITransport

    session = requests.Session()
    user = None if anonymous else getpass.getuser()
    session.mount(EMBEDDED_URL, WSGITransport(ShockApp(open_store(_embedded_data())), remote_user=user))
    return ShockClient(EMBEDDED_URL, name="the embedded Shock", session=session)


def _embedded_data() -> Path:
    """Return the folder of the embedded Shock's data.

    Raises UsageError for a SKYPORT_DATA that means another folder in each job of a workflow, or none: what is
    published there would go away with the job's own folder.
    """
    from skyport_wf.store.opening import DATA_VARIABLE, default_data

    given = os.environ.get(DATA_VARIABLE)
    if given is not None and not Path(given).is_absolute():
        raise UsageError(
            f"the variable {DATA_VARIABLE} is {given!r}. Give it an absolute path, where the embedded Shock keeps its "
            f"data; or name a served Shock in {URL_VARIABLE}."
        )
    return default_data()
