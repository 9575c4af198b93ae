"""Stores for tests, and people who use them: by requests, without a server."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from skyport_wf.store.wsgi.app import ShockApp
from skyport_wf.store.wsgi.transport import EMBEDDED_URL, WSGITransport

_MEMORY = Path("/dev/shm")


@contextmanager
def fast_folder() -> Iterator[Path]:
    """Give an empty folder, in memory where the machine has that: a store waits for the disk at every write."""
    memory = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory, prefix="skyport-test-", ignore_cleanup_errors=True) as name:
        yield Path(name)


class Person:
    """Someone who sends requests to the store in this process."""

    def __init__(self, app: ShockApp, token: str | None) -> None:
        self.session = requests.Session()
        self.session.mount(EMBEDDED_URL, WSGITransport(app))
        self.session.trust_env = False
        if token:
            self.session.headers["Authorization"] = f"OAuth {token}"

    def call(self, method: str, path: str, **arguments: Any) -> requests.Response:
        return self.session.request(method, EMBEDDED_URL + path, **arguments)

    def get(self, path: str, **arguments: Any) -> requests.Response:
        return self.call("GET", path, **arguments)

    def put(self, path: str, **arguments: Any) -> requests.Response:
        return self.call("PUT", path, **arguments)

    def delete(self, path: str, **arguments: Any) -> requests.Response:
        return self.call("DELETE", path, **arguments)

    def upload(self, content: bytes | None = None, attributes: Any = None, **fields: str) -> dict[str, Any]:
        """Make a node and return its document."""
        files: dict[str, Any] = {name: (None, value) for name, value in fields.items()}
        if attributes is not None:
            files["attributes"] = ("attributes.json", json.dumps(attributes))
        if content is not None:
            files["upload"] = ("file.bin", content)
        response = self.call("POST", "/node", files=files or None)
        assert response.status_code == 200, response.text
        return response.json()["data"]

    def find(self, query: str) -> list[dict[str, Any]]:
        """Return the nodes of the first page that the query finds."""
        response = self.get(f"/node?{query}")
        assert response.status_code == 200, response.text
        return response.json()["data"]
