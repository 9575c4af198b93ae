"""A store of its own for each test, and people who use it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from skyport_wf.store.opening import Store, open_store
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.store_people import Person, fast_folder


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In place of pytest's own, which is on a disk."""
    with fast_folder() as folder:
        yield folder


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "data") as store:
        yield store


@pytest.fixture
def app(store: Store) -> ShockApp:
    """What `serve` serves unless told otherwise: anonymous reading only."""
    return ShockApp(store)


@pytest.fixture
def alice(app: ShockApp) -> Person:
    return Person(app, add_user(app.store.database, "alice"))


@pytest.fixture
def bob(app: ShockApp) -> Person:
    return Person(app, add_user(app.store.database, "bob"))


@pytest.fixture
def admin(app: ShockApp) -> Person:
    return Person(app, add_user(app.store.database, "admin", admin=True))


@pytest.fixture
def nobody(app: ShockApp) -> Person:
    """Someone without a token."""
    return Person(app, None)
