"""Docker's config.json as the package `docker` can use it: that trusts the file, and takes less than Docker does."""

from __future__ import annotations

from typing import Any

import msgspec

from skyport_wf.decoding import convert
from skyport_wf.errors import UsageError


class _Login(msgspec.Struct):
    """What `docker login` keeps for a registry."""

    auth: str | None = None
    """User and password; the package reads it where there is no token."""
    identitytoken: str | None = None


class _Config(msgspec.Struct, rename="camel"):
    """The parts that the package reads."""

    auths: dict[str, _Login] | None = None
    creds_store: str | None = None
    cred_helpers: dict[str, str] | None = None
    http_headers: dict[str, str] | None = msgspec.field(name="HttpHeaders", default=None)
    proxies: dict[str, dict[str, str]] | None = None
    detach_keys: str | None = None


def usable_config(document: Any) -> dict[str, Any]:
    """Return the document of docker's config.json without what Docker passes over and the package fails at.

    document: as the package has read it.
    Raises UsageError if Docker has no use for it either.
    """
    from docker.auth import decode_auth
    from docker.utils.config import find_config_file

    file = str(find_config_file())
    try:
        config = convert(document, _Config)
    except msgspec.ValidationError as error:
        # These words name fields and types, and quote no password.
        raise UsageError(f"docker's config cannot be used: {file}: {error}. Mend it.") from error
    logins = {}
    for registry, login in (config.auths or {}).items():
        values = dict(document["auths"][registry])
        # Some tools write an empty one where a program keeps the password.
        if not login.auth:
            values.pop("auth", None)
        elif not login.identitytoken:
            try:
                decode_auth(login.auth)
            except ValueError as error:
                raise UsageError(
                    f"docker's config cannot be used: {file}: the login for {registry!r} is not a user and a password. "
                    "Mend it with `docker login`."
                ) from error
        logins[registry] = values
    filled = {name: value for name, value in document.items() if value is not None}
    return filled | ({"auths": logins} if config.auths is not None else {})
