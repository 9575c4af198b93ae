"""The servers that the contract is held against."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import requests

from skyport_wf.store.opening import Store, open_store
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from skyport_wf.store.wsgi.transport import EMBEDDED_URL, WSGITransport
from tests.support.own_server import running_server

OTHER_SERVER = "SKYPORT_TEST_SHOCK_URL"
"""Names a server that knows token-user1, token-user2 and token-admin, and lets anonymous users do everything."""


class Shock(NamedTuple):
    """A server, and how to speak to it."""

    session: requests.Session
    url: str
    files: Iterable[Path]
    """What is on the server's disk, if we can see it."""


@pytest.fixture(scope="module")
def open_to_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShockApp]:
    """A store in which anonymous users may do everything, as the recorded server let them."""
    with open_store(tmp_path_factory.mktemp("shock")) as store:
        add_recorded_users(store)
        yield ShockApp(store, anonymous=frozenset({"read", "write", "delete"}))


@pytest.fixture(
    scope="module", params=["in process", "over HTTP", *(["another server"] if OTHER_SERVER in os.environ else [])]
)
def shock(request: pytest.FixtureRequest) -> Iterator[Shock]:
    """Each server in turn."""
    with requests.Session() as session:
        if request.param == "another server":
            yield Shock(session, os.environ[OTHER_SERVER].rstrip("/"), ())
            return
        app = request.getfixturevalue("open_to_all")
        session.mount(EMBEDDED_URL, WSGITransport(app))
        if request.param == "in process":
            yield Shock(session, EMBEDDED_URL, app.store.files)
            return
        with running_server(app) as server:
            yield Shock(session, server.url, app.store.files)


def add_recorded_users(store: Store) -> None:
    """Add the users of the recorded calls."""
    for name in ("user1", "user2", "admin"):
        add_user(store.database, name, admin=name == "admin", token=f"token-{name}")
