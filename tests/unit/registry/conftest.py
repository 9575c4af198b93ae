"""A store with people who publish, and the registry over it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from skyport_wf.registry.app import RegistryApp, ShockWithRegistry
from skyport_wf.registry.backend import EmbeddedBackend
from skyport_wf.store.opening import open_store
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.registry import Puller, Pusher
from tests.support.store_people import Person, fast_folder


class World:
    """The store, its users, and the registry over it."""

    def __init__(self, folder: Path, shock: ShockApp) -> None:
        self.folder = folder
        self.shock = shock
        self.app = ShockWithRegistry(shock, RegistryApp(EmbeddedBackend(shock)))
        self.tokens = {
            name: add_user(shock.store.database, name, admin=name == "admin") for name in ("alice", "bob", "admin")
        }
        self.alice = Person(shock, self.tokens["alice"])
        self.nobody = Puller(self.app)

    def puller(self, name: str) -> Puller:
        return Puller(self.app, self.tokens[name])

    def pusher(self, name: str) -> Pusher:
        return Pusher(self.app, self.tokens[name])

    def restarted(self, name: str | None = None) -> Puller:
        """Someone who asks a registry that remembers nothing."""
        app = ShockWithRegistry(self.shock, RegistryApp(EmbeddedBackend(self.shock)))
        return Puller(app, self.tokens[name] if name else None)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with fast_folder() as folder, open_store(folder / "data") as store:
        monkeypatch.setenv("SKYPORT_CACHE", str(folder / "cache"))
        yield World(folder, ShockApp(store))
