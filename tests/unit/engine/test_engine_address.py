"""Addresses that lead to no engine: mistakes of the user's, servers that answer and are none, connections that fail."""

import errno
import json
import os

import pytest

from skyport_wf.engine.capabilities import has_bridge, uses_containerd_store
from skyport_wf.engine.connection import connect
from skyport_wf.engine.images import export_image, find_image
from skyport_wf.errors import EngineError, SkyportError, UsageError
from tests.support.failing_server import Answer


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("npipe:////./pipe/docker_engine", "'npipe:////./pipe/docker_engine': an engine is reached by unix://"),
        ("fd://", "'fd://': an engine is reached by unix://, http+unix://, tcp://, http://, https://"),
        ("ftp://user:secret@host", "'ftp://host': an engine is reached by unix://"),
        ("tcp://[::1", "is not an engine's address"),
        ("localhost:port", "DOCKER_HOST='tcp://localhost:port' is not an engine's address"),
        (
            "/var/run/docker.sock",
            "'/var/run/docker.sock' is not an engine's address. Write 'unix:///var/run/docker.sock'",
        ),
        (
            "unix:/run/docker.sock",
            "'unix:/run/docker.sock' is not an engine's address. Write 'unix:///run/docker.sock'",
        ),
        ("tcp//host:1", "DOCKER_HOST='tcp//host:1' is not an engine's address. Write 'tcp://host:1'"),
        ("unix:/user:secret@host", "is not an engine's address"),
        ("user:secret@host", "DOCKER_HOST='tcp://host' is not an engine's address: it has a user or password"),
        ("tcp://user:secret@host:1", "it has a user or password. Use TLS certificates, or a socket that ssh forwards"),
    ],
)
def test_an_address_that_is_none(address, said, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", address)
    with pytest.raises(UsageError) as caught:
        connect()
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


def test_ssh_takes_a_package_that_is_not_installed(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "ssh://user@host")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="Install paramiko beside this program, or use a socket that ssh forwards"):
        connect()


def test_an_engine_tells_its_version_in_one_header_or_else_when_asked_for_it(failing_server, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{failing_server.port}")
    failing_server.answers = [Answer(200, b"OK", {"Api-Version": "1.41"})]
    assert connect().api_version == "1.41"
    assert [request.path for request in failing_server.seen] == ["/_ping"]
    failing_server.answers = [Answer(200, b"OK"), Answer(200, b'{"ApiVersion": "1.40"}')]
    assert connect().api_version == "1.40"


def test_an_image_is_asked_for_as_it_is(failing_server, monkeypatch):
    """A proxy in front of an engine may compress what it sends to those who accept that."""
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{failing_server.port}")
    failing_server.answers = [Answer(200, b"OK", {"Api-Version": "1.41"}), Answer(200, b"archive")]
    with export_image(connect(), "lab/x:1") as stream:
        assert stream.read(100) == b"archive"
    assert failing_server.seen[-1].headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("said", [None, [1], 5, "x", {"Id": None}, {"DriverStatus": 7, "RootFS": None}])
def test_a_server_that_answers_nonsense_is_no_bug(said, failing_server, monkeypatch):
    version = Answer(200, b"OK", {"Api-Version": "1.41"})
    failing_server.answers = [version, Answer(200, json.dumps(said).encode())]
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{failing_server.port}")
    engine = connect()
    failing_server.answers = failing_server.answers[-1:]
    for ask in (
        lambda: find_image(engine, "lab/x:1"),
        lambda: has_bridge(engine),
        lambda: uses_containerd_store(engine),
    ):
        try:
            ask()
        except EngineError as error:
            assert "with something that no engine says" in str(error)
    with pytest.raises(EngineError, match=f"the engine at tcp://127.0.0.1:{failing_server.port} answers looking for"):
        find_image(engine, "lab/x:1")


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_a_limit_of_this_process_is_no_engine_that_went_away(number, failing_server, monkeypatch):
    def create_connection(*_, **__):
        raise OSError(number, os.strerror(number))

    failing_server.answers = [Answer(200, b"OK", {"Api-Version": "1.41"})]
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{failing_server.port}")
    engine = connect()
    engine.close()
    monkeypatch.setattr("urllib3.util.connection.create_connection", create_connection)
    for ask in (lambda: find_image(engine, "lab/x:1"), connect):
        with pytest.raises(SkyportError, match="may open no more files and connections, as it needs for") as caught:
            ask()
        assert type(caught.value) is SkyportError, "to run it again is no help"
