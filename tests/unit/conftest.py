"""What every unit test may rely on: no setting of the user's reaches it, and no engine."""

import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from skyport_wf.image_list.spec import ShockSettings
from skyport_wf.publication.connection import Shock, open_shock
from skyport_wf.shock.client import ShockClient
from tests.support.failing_server import FailingServer

NOBODY = 65534
_COUNTER = itertools.count()


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in (
        "SHOCK_URL",
        "SHOCK_TOKEN_FILE",
        "KB_AUTH_TOKEN",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    # Not by `mktemp`: that looks through all folders that there are, and each test would pay for those before it.
    folder = tmp_path_factory.getbasetemp() / f"settings-{next(_COUNTER)}"
    monkeypatch.setenv("SKYPORT_DATA", str(folder / "shock"))
    monkeypatch.setenv("SKYPORT_RETRY_SECONDS", "0")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{folder}/no-engine.sock")


@pytest.fixture
def opened() -> Iterator[Shock]:
    """The embedded Shock, as a command has it."""
    with open_shock(ShockSettings()) as shock:
        yield shock


@pytest.fixture
def shock(opened: Shock) -> ShockClient:
    """The embedded Shock, as the system's user."""
    return opened.user


@pytest.fixture
def failing_server() -> Iterator[FailingServer]:
    with FailingServer() as server:
        yield server


@pytest.fixture
def folder_of_nobody() -> Iterator[Path]:
    """A folder of an ordinary user, and the test running as that user: permissions do not count for root."""
    # What is imported late may lie where an ordinary user cannot read.
    import docker.utils.build  # noqa: F401

    if os.geteuid() != 0:
        with tempfile.TemporaryDirectory() as name:
            yield Path(name)
        return
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # a TMPDIR of root's own would be closed to others
        os.chown(name, NOBODY, NOBODY)
        os.seteuid(NOBODY)
        try:
            yield Path(name)
        finally:
            os.seteuid(0)
