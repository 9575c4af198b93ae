"""What tests of several kinds need: signals that arrive, an engine that answers, names that nobody else uses."""

import gc
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from skyport_wf.engine.connection import connect
from skyport_wf.errors import SkyportError
from tests.support.engine import own_namespace, shared_layers
from tests.support.engines import MAIN, EngineUnderTest, engine_names

MEMORY = Path("/dev/shm")
NEEDED = 6 * 10**9
"""Bytes, with much to spare: the files of all tests took 1.2 GB at most."""
SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)


def pytest_configure() -> None:
    """See that what the tests start can be interrupted, and that no clock decides what Hypothesis finds.

    A process inherits which signals are ignored, and a script's background jobs, `nohup` and some runners of
    continuous integration have SIGINT or SIGHUP ignored.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    # On a busy machine anything may take long.
    settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("busy")
    if _has_room_in_memory():
        # What is tested waits for its files to be on the disk, thousands of times.
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def _has_room_in_memory() -> bool:
    """Return whether this machine has a file system in memory for the tests, which run programs there, too."""
    try:
        status = os.statvfs(MEMORY)
    except OSError:
        return False
    return status.f_bavail * status.f_frsize > NEEDED and not status.f_flag & os.ST_NOEXEC


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name bytes by their number: gzipped, they have the time of day in them, and all processes need the same names."""
    return f"{len(val)} bytes" if isinstance(val, bytes) and len(val) > 10 else None


@pytest.fixture(autouse=True)
def logging_is_not_set_up() -> None:
    """Begin as a process does: a command line that ran in this one, also in a fixture of others, has set up logging."""
    log = logging.getLogger("skyport_wf")
    log.handlers, log.propagate = [], True
    log.setLevel(logging.NOTSET)


def pytest_collection_finish() -> None:
    """Let the collector of garbage pass over all that pytest and the libraries hold.

    It would go through that again and again, which took an eighth of the time of the tests.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return DOCKER_HOST of an engine that answers."""
    try:
        connect().close()
    except SkyportError as error:
        pytest.fail(f"{error} `make test` starts one.") if "CI" in os.environ else pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("programs")
    lock = tmp_path_factory.getbasetemp().with_name("programs.lock")
    with own_namespace() as name, shared_layers(folder, f"{name}/programs:1", lock):
        yield os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes `each_engine` on each of them."""
    if "each_engine" in metafunc.fixturenames:
        names = engine_names()
        if metafunc.definition.get_closest_marker("docker_only"):
            names = [name for name in names if not name.startswith("podman")]
        if metafunc.definition.get_closest_marker("containerd_only"):
            names = [name for name in names if name.endswith("-containerd")]
        # An engine beside the usual one has containerd's store, or is podman: there, images that one test removes
        # hinder what another one lists or pushes.
        others = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in names if name != MAIN]
        metafunc.parametrize("each_engine", [MAIN, *others] if MAIN in names else others, indirect=True)


@pytest.fixture
def each_engine(request: pytest.FixtureRequest, engine: str) -> Iterator[EngineUnderTest]:
    """Return an engine, with names of images that no other test uses; these images are removed afterwards."""
    with EngineUnderTest(request.param, engine) as found:
        yield found


@pytest.fixture
def namespace(engine: str) -> Iterator[str]:
    """Return the first part of image names that no other test uses; its images are removed afterwards."""
    with own_namespace() as name:
        yield name
