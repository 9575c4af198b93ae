"""Addresses of engines that nothing can be sent to are mistakes of the user's, not an engine that is down."""

import pytest

from skyport_wf.engine.connection import connect
from skyport_wf.errors import UsageError


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("npipe:////./pipe/docker_engine", "'npipe:////./pipe/docker_engine': an engine is reached by unix://"),
        ("fd://", "'fd://': an engine is reached by unix://, http+unix://, tcp://, http://, https://"),
        ("ftp://user:secret@host", "'ftp://host': an engine is reached by unix://"),
        ("tcp://[::1", "is not an engine's address"),
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
