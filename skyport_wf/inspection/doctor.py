"""Is everything there that publishing needs? Each check stands alone: one that fails hides none of the others."""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import msgspec

from skyport_wf.engine.connection import engine_place
from skyport_wf.errors import SkyportError
from skyport_wf.formatting import count
from skyport_wf.image_list.spec import EMBEDDED, ImageList, ShockSettings
from skyport_wf.publication.attributes import UPLOAD_TYPE
from skyport_wf.publication.connection import open_shock
from skyport_wf.publication.settings import URL_VARIABLE, shock_url, token_source
from skyport_wf.retries import asking_once, retry_seconds
from skyport_wf.user_folders import default_data

_LITTLE_SPACE = 2_000_000_000
"""Bytes below which an image of the usual size may not fit."""
_SECONDS = 3.5
"""How long all checks may take together: with the start of the command, the answer is there in less than five."""
_IN_TIME = f"within {_SECONDS:g} s"


class Check(msgspec.Struct, frozen=True):
    """The finding of one check."""

    what: str
    ok: bool
    detail: str
    """The finding in a sentence; if it is not ok, with what to do."""


def examine(read_list: Callable[[], ImageList | None], folder: Path) -> list[Check]:
    """Return what each check finds, within a few seconds whatever does not answer.

    read_list: returns the image list, None if there is none.
    folder: where results will lie.
    """
    said, settings = _find_settings(read_list)
    slow = f"nothing came from {engine_place()} {_IN_TIME}. Restart it, or set DOCKER_HOST."
    checks = [_Waiting("engine", _engine, slow)]
    if settings:
        url = shock_url(settings)
        checks += [
            _Waiting("Shock", partial(_shock, settings), f"{url} has not answered {_IN_TIME}. Ask its administrator."),
            _Waiting("token", partial(_token, settings), f"not checked, as {url} has not answered {_IN_TIME}."),
        ]
    for what, path in _disks(settings, folder):
        checks.append(_Waiting(what, partial(_space, path), f"{path} has not answered {_IN_TIME}. Is its server down?"))
    with asking_once():
        end = time.monotonic() + _SECONDS
        for check in checks:
            check.begin()
        return [*(check.result(end) for check in checks), *said]


def _find_settings(read_list: Callable[[], ImageList | None]) -> tuple[list[Check], ShockSettings | None]:
    """Return what is to be said of the image list and variables, and which Shock they mean; None if nobody can tell."""
    said, settings = list[Check](), ShockSettings()
    try:
        if images := read_list():
            said, settings = [Check("image list", True, count(len(images.images), "image"))], images.shock
    except SkyportError as error:
        said = [Check("image list", False, str(error))]
        if not os.environ.get(URL_VARIABLE):
            return [*said, Check("Shock", False, "not checked, as the image list says which one is meant")], None
    try:
        retry_seconds()
        if shock_url(settings) == EMBEDDED:
            default_data()
    except SkyportError as error:
        return [*said, Check("Shock", False, str(error))], None
    return said, settings


class _Waiting:
    """A check in a thread that nobody has to wait for: what does not answer cannot be interrupted."""

    def __init__(self, what: str, check: Callable[[], str], slow: str) -> None:
        """Make a check of something.

        slow: what is said if it takes too long.
        """
        self._what = what
        self._check = check
        self._slow = slow
        self._found: Future[Check] = Future()

    def begin(self) -> None:
        """Start it."""
        threading.Thread(target=self._work, daemon=True).start()

    def result(self, end: float) -> Check:
        """Return what it has found when the clock says `end`."""
        try:
            return self._found.result(max(0, end - time.monotonic()))
        except TimeoutError:
            return Check(self._what, False, self._slow)

    def _work(self) -> None:
        try:
            self._found.set_result(Check(self._what, True, self._check()))
        except SkyportError as error:
            # Whoever reads this need not be sent here.
            text = re.sub(r"(;|\.) `skyport-wf doctor` checks (it|the engine)\.", ".", str(error))
            self._found.set_result(Check(self._what, False, text))
        except BaseException as error:  # raised again in the thread that waits
            self._found.set_exception(error)


def _engine() -> str:
    from skyport_wf.engine.capabilities import has_bridge, podman_version, read_version, uses_containerd_store
    from skyport_wf.engine.connection import connect
    from skyport_wf.engine.podman import LIMITS

    engine = connect(attempts=1)
    version = read_version(engine)
    where = f"API {version.api_version}, at {engine_place()}"
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
        # Asked as nobody: whether the token is good is another check.
        rights = shock.anonymous_rights
        if shock.anybody.elsewhere:
            raise shock.anybody.elsewhere
        if "read" not in rights:
            return f"{shock.url} answers; without a token nobody may read there, so only jobs that have one find images"
        return f"{shock.url} answers"


def _token(settings: ShockSettings) -> str:
    if shock_url(settings) == EMBEDDED:
        return "none needed: whoever may write the store's files may publish"
    with open_shock(settings) as shock:
        # The one that is then asked with: what comes through a pipe can be read once only.
        if shock.token is None:
            without = (
                "without one, images are nobody's, and readable by everyone at once"
                if "write" in shock.anonymous_rights
                else "without one, this server takes no images"
            )
            raise SkyportError(
                f"{settings.token_env} is not set. Ask the server's administrator for a token; {without}."
            )
        shock.user.query({"type": UPLOAD_TYPE}, limit=1)
    return f"the token in {token_source(settings)} is accepted"


def _disks(settings: ShockSettings | None, folder: Path) -> Iterator[tuple[str, Path]]:
    yield "disk of results", folder
    if settings and shock_url(settings) == EMBEDDED:
        yield "disk of the embedded Shock", default_data()


def _space(path: Path) -> str:
    real = Path(os.path.realpath(path))
    # Of a name that is too long, `Path.exists` does not say no, but fails.
    existing = next(parent for parent in (real, *real.parents) if os.path.exists(parent))  # noqa: PTH110
    if not os.access(existing, os.W_OK):
        raise SkyportError(f"{existing} cannot be written. Change its mode, or work elsewhere.")
    free = shutil.disk_usage(existing).free
    if free < _LITTLE_SPACE:
        raise SkyportError(f"{free / 1e9:.1f} GB are free at {existing}. Make room: an image may take several GB.")
    return f"{free / 1e9:.1f} GB free at {existing}"
