"""Is everything there that publishing needs? Each check stands alone: one that fails hides none of the others."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from skyport_wf.errors import SkyportError
from skyport_wf.image_list.spec import EMBEDDED, ShockSettings
from skyport_wf.publication.attributes import UPLOAD_TYPE
from skyport_wf.publication.connection import open_shock
from skyport_wf.publication.settings import read_token, shock_url, token_source

_LITTLE_SPACE = 2_000_000_000
"""Bytes below which an image of the usual size may not fit."""


class Check(msgspec.Struct, frozen=True):
    """The finding of one check."""

    what: str
    ok: bool
    detail: str
    """The finding in a sentence; if it is not ok, with what to do."""


def examine(settings: ShockSettings, folder: Path) -> Iterator[Check]:
    """Yield what each check finds.

    folder: where results will lie.
    """
    yield _check("engine", _engine)
    yield _check("Shock", lambda: _shock(settings))
    yield _check("token", lambda: _token(settings))
    for what, path in _disks(settings, folder):
        yield _check(what, lambda path=path: _space(path))  # type: ignore[misc]


def _check(what: str, check: Callable[[], str]) -> Check:
    try:
        return Check(what, True, check())
    except SkyportError as error:
        return Check(what, False, str(error))


def _engine() -> str:
    from skyport_wf.engine.capabilities import has_bridge, podman_version, read_version, uses_containerd_store
    from skyport_wf.engine.connection import connect, engine_address
    from skyport_wf.engine.podman import LIMITS

    engine = connect()
    version = read_version(engine)
    where = f"API {version.api_version}, at {engine_address()}"
    if podman_version(engine):
        return f"{version.version}, {where}; {LIMITS}"
    network = "" if has_bridge(engine) else "; it has no bridge network, builds use the host's"
    store = ""
    if uses_containerd_store(engine):
        store = (
            "; with containerd's image store: everything works, images are called by another id there than their "
            "published one, and thin images are fetched whole"
        )
    return f"version {version.version}, {where}{network}{store}"


def _shock(settings: ShockSettings) -> str:
    with open_shock(settings) as shock:
        # As nobody: whether the token is good is another check.
        shock.anybody.read_server()
        if "read" not in shock.anonymous_rights:
            return f"{shock.url} answers; without a token nobody may read there, so only jobs that have one find images"
        return f"{shock.url} answers"


def _token(settings: ShockSettings) -> str:
    if shock_url(settings) == EMBEDDED:
        return "none needed: whoever may write the store's files may publish"
    if read_token(settings) is None:
        with open_shock(settings) as shock:
            takes = "write" in shock.anonymous_rights
        without = (
            "without one, images are nobody's, and readable by everyone at once"
            if takes
            else "without one, this server takes no images"
        )
        raise SkyportError(f"{settings.token_env} is not set. Ask the server's administrator for a token; {without}.")
    with open_shock(settings) as shock:
        shock.user.query({"type": UPLOAD_TYPE}, limit=1)
    return f"the token in {token_source(settings)} is accepted"


def _disks(settings: ShockSettings, folder: Path) -> Iterator[tuple[str, Path]]:
    yield "disk of results", folder
    if shock_url(settings) == EMBEDDED:
        from skyport_wf.store.folder import default_data

        yield "disk of the embedded Shock", default_data()


def _space(path: Path) -> str:
    existing = next(parent for parent in (path.resolve(), *path.resolve().parents) if parent.exists())
    if not os.access(existing, os.W_OK):
        raise SkyportError(f"{existing} cannot be written. Change its mode, or work elsewhere.")
    free = shutil.disk_usage(existing).free
    if free < _LITTLE_SPACE:
        raise SkyportError(f"{free / 1e9:.1f} GB are free at {existing}. Make room: an image may take several GB.")
    return f"{free / 1e9:.1f} GB free at {existing}"
