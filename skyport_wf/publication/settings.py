"""The Shock that is meant, and as whom it is asked: the list's settings, variables that win over them, the token."""

import os
from pathlib import Path

import msgspec

from skyport_wf.child_environment import hide_from_children
from skyport_wf.errors import UsageError
from skyport_wf.image_list.reference import check_registry
from skyport_wf.image_list.spec import EMBEDDED, ShockSettings, check_shock_url
from skyport_wf.input_file import exists, read_bounded

URL_VARIABLE = "SHOCK_URL"
REGISTRY_VARIABLE = "SKYPORT_REGISTRY"
"""Names the registry that has the images, as HOST or HOST:PORT."""
TOKEN_FILE_VARIABLE = "SHOCK_TOKEN_FILE"  # noqa: S105 - the name of a variable
"""Names a file with the token: for workflow engines that write a job's values where others can read them."""
CA_VARIABLE = "REQUESTS_CA_BUNDLE"
"""Names the certificate authorities to trust, as for other programs that use requests."""
DEFAULT_PUBLIC_URL = "http://127.0.0.1:7445"
"""Where `skyport-wf serve` answers unless told otherwise; Shock's own port."""
_LONGEST_TOKEN = 1 << 16


def shock_url(settings: ShockSettings) -> str:
    """Return the Shock that is meant: the variable SHOCK_URL wins over the settings.

    Raises UsageError if either is not a Shock server's URL.
    """
    if given := os.environ.get(URL_VARIABLE):
        return check_shock_url(given, where=f"the variable {URL_VARIABLE}")
    return check_shock_url(settings.url, where="shock.url of the image list")


def registry_of(settings: ShockSettings | None = None) -> str:
    """Return the registry that has the images, empty if none is named: the variable wins over the settings.

    Raises UsageError if it is none.
    """
    if given := os.environ.get(REGISTRY_VARIABLE):
        return check_registry(given, where=f"the variable {REGISTRY_VARIABLE}")
    named = settings.registry if settings else None
    return check_registry(named, where="shock.registry of the image list") if named else ""


def effective_settings(settings: ShockSettings, *, public: bool | None = None) -> ShockSettings:
    """Return the settings with what wins over them put in.

    public: an image's own wish; None if it has none.
    """
    public = settings.public if public is None else public
    registry = registry_of(settings) or None
    return msgspec.structs.replace(settings, url=shock_url(settings), public=public, registry=registry)


def token_source(settings: ShockSettings) -> str:
    """Return where the token is read from: the file that SHOCK_TOKEN_FILE names wins over the settings' variable."""
    return _token_file() or settings.token_env


def read_token(settings: ShockSettings) -> str | None:
    """Return the token, None if neither a file nor the variable gives one.

    Raises UsageError, without showing it, for a token that no HTTP header can carry, or a file that has none.
    """
    path = _token_file()
    if path is None:
        token = os.environ.get(settings.token_env, "").strip()
        return _usable(token, settings.auth, settings.token_env) if token else None
    try:
        token = read_bounded(Path(path), _LONGEST_TOKEN, may_be_pipe=True).decode(errors="replace").strip()
    except OSError as error:
        raise UsageError(f"cannot read the token file {path} ({TOKEN_FILE_VARIABLE}): {error.strerror}") from error
    if not token:
        raise UsageError(f"the token file {path} ({TOKEN_FILE_VARIABLE}) is empty")
    return _usable(token, settings.auth, path)


def _token_file() -> str | None:
    """Return the file that has the token, None if none is named."""
    path = os.environ.get(TOKEN_FILE_VARIABLE, "")
    return path if path.strip() else None


def read_token_variable(variable: str, auth: str) -> str:
    """Return the token in a variable, whatever SHOCK_TOKEN_FILE says.

    Raises UsageError, without showing it, if there is none, or none that an HTTP header or the scheme can carry.
    """
    hide_from_children(variable)
    token = os.environ.get(variable, "").strip()
    if not token:
        raise UsageError(f"the variable {variable} has no token. Set it.")
    return _usable(token, auth, variable)


def _usable(token: str, auth: str, where: str) -> str:
    """Return the token if an HTTP header and the scheme can carry it; raise UsageError, without showing it, if not."""
    if not (token.isascii() and token.isprintable()):
        raise UsageError(f"the token in {where} has characters that no token has. Set it again.")
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
            if not exists(Path(path)):
                raise UsageError(f"{where} names {path}, which is not there. Name a file of certificates (PEM).")
            return path
    return None


def download_base(settings: ShockSettings) -> str:
    """Return what download links begin with."""
    return (settings.public_url or download_base_of(shock_url(settings))).rstrip("/")


def download_base_of(url: str) -> str:
    """Return what download links of the Shock at `url` begin with, as far as its URL tells."""
    return DEFAULT_PUBLIC_URL if url == EMBEDDED else url
