"""A store with people who publish, and the registry over it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skyport_wf.registry.app import RegistryApp, ShockWithRegistry
from skyport_wf.registry.backend import EmbeddedBackend
from skyport_wf.store.opening import open_store
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.docker_archives import Image, layer_tar
from tests.support.registry import Puller, Pusher
from tests.support.store_people import Person, fast_folder

BASE = layer_tar({"bin/bash": b"bash", "etc/os": b"debian"})
TOOL = layer_tar({"usr/bin/tool": bytes(70_000)})
NAME = "my-lab/tool"
IMAGE = Image((BASE, TOOL))


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

    def nodes(self, query: str = "type=dockerimage") -> list[Any]:
        return self.alice.find(f"query&{query}")

    def leftovers(self) -> list[Path]:
        """Return what waits to be published."""
        return [path for path in (self.folder / "cache/registry/pushed").glob("*/*") if path.is_file()]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with fast_folder() as folder, open_store(folder / "data") as store:
        monkeypatch.setenv("SKYPORT_CACHE", str(folder / "cache"))
        yield World(folder, ShockApp(store))
