"""Logins for registries, as `docker login` has left them in docker's config or with a program that keeps passwords."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import msgspec

from skyport_wf.child_environment import hidden_variables
from skyport_wf.engine.docker_config import usable_config
from skyport_wf.errors import SkyportError

if TYPE_CHECKING:
    from docker.auth import AuthConfig


class RegistryLogin(msgspec.Struct, frozen=True):
    """A login for one registry."""

    user: str
    password: str
    identity_token: str
    """The token that some registries give in the place of a password; empty if there is none."""

    def __repr__(self) -> str:
        return "RegistryLogin(...)"


def find_login(registry: str) -> RegistryLogin | None:
    """Return the login for a registry, None if there is none.

    registry: HOST or HOST:PORT; `docker.io` for Docker Hub.
    Raises SkyportError if docker's config, or the program that keeps the password, cannot be read.
    """
    import docker.auth
    from docker.errors import DockerException
    from docker.utils.config import load_general_config

    try:
        # A program that is not installed is told by the error; the warning would name a line of the library.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            document = usable_config(load_general_config())
            config = docker.auth.AuthConfig.load_config(None, document, dict.fromkeys(hidden_variables(), ""))
            found: dict[str, Any] = config.resolve_authconfig(_as_spelled(registry, config)) or {}
    except (DockerException, ValueError, OSError, TypeError, AttributeError, KeyError) as error:
        # The words of the library may quote what a file of passwords has.
        raise SkyportError(
            f"the login for {registry} cannot be read from docker's config ({type(error).__name__}). "
            f"Mend it with `docker login {registry}`."
        ) from error
    values = {key.lower(): value for key, value in found.items() if isinstance(value, str)}
    login = RegistryLogin(values.get("username", ""), values.get("password", ""), values.get("identitytoken", ""))
    return login if login.password or login.identity_token else None


def _as_spelled(registry: str, config: AuthConfig) -> str:
    """Return the registry as docker's config spells it, which keeps capitals that mean nothing in a host's name."""
    import docker.auth

    hosts = [docker.auth.resolve_index_name(entry) for entry in (*config.auths, *config.cred_helpers)]
    if registry in hosts:
        return registry
    return next((host for host in hosts if host.lower() == registry.lower()), registry)
