"""The engine is looked for where the docker command looks for it."""

import hashlib
from pathlib import Path

import pytest

from skyport_wf.engine.connection import command_variables, connect, engine_address, engine_place, without_password
from skyport_wf.engine.endpoint import find_endpoint
from skyport_wf.errors import TemporaryError, UsageError
from tests.support.docker_contexts import write_context
from tests.support.failing_server import Answer, FailingServer

DEFAULT = "unix:///var/run/docker.sock"


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path


def test_without_any_word_it_is_at_the_default_socket() -> None:
    assert engine_place() == engine_address() == DEFAULT


@pytest.mark.parametrize("content", ["", "{", "[]", '{"currentContext": 1}', '{"currentContext": "default"}'])
def test_a_config_that_names_no_context(content: str, config: Path) -> None:
    (config / "config.json").write_text(content)
    assert engine_place() == DEFAULT


def test_the_current_context_is_taken(config: Path) -> None:
    write_context(config, "rootless", "unix:///run/user/7/docker.sock", current=True)
    assert engine_place() == "unix:///run/user/7/docker.sock (docker context rootless)"
    assert find_endpoint().variables == {"DOCKER_HOST": "unix:///run/user/7/docker.sock"}


def test_variables_win_over_the_current_context(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_context(config, "rootless", "unix:///run/user/7/docker.sock", current=True)
    write_context(config, "other", "tcp://other:2376", certificates=True)
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CONTEXT", "other")
    other = find_endpoint()
    folder = config / "contexts/tls" / hashlib.sha256(b"other").hexdigest() / "docker"
    assert other.variables == {
        "DOCKER_HOST": "tcp://other:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(folder)
    }  # fmt: skip
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    assert engine_place() == "tcp://localhost:2376"
    monkeypatch.setenv("DOCKER_HOST", "tcp://named:1")
    monkeypatch.setenv("DOCKER_CONTEXT", "other")
    assert engine_place() == "tcp://named:1"
    assert find_endpoint().variables == {
        "DOCKER_HOST": "tcp://named:1", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(config)
    }  # fmt: skip


@pytest.mark.parametrize("variable", ["DOCKER_TLS", "DOCKER_TLS_VERIFY"])
def test_certificates_are_looked_for_in_the_folder_of_docker_s_config(
    variable: str, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "1")
    assert find_endpoint().variables == {
        "DOCKER_HOST": "tcp://localhost:2376", variable: "1", "DOCKER_CERT_PATH": str(config)
    }  # fmt: skip
    monkeypatch.setenv("DOCKER_CERT_PATH", "/keys")
    assert find_endpoint().variables["DOCKER_CERT_PATH"] == "/keys"
    monkeypatch.setenv("DOCKER_HOST", DEFAULT)
    assert find_endpoint().variables == {"DOCKER_HOST": DEFAULT}
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setenv(variable, "")
    assert engine_place() == DEFAULT


def test_a_context_without_a_host_means_the_default_socket(config: Path) -> None:
    write_context(config, "plain", "", current=True)
    assert engine_address() == DEFAULT


@pytest.mark.parametrize("content", [None, "{", "{}", '{"Endpoints": {"kubernetes": {}}}', "x" * (1 << 21)])
def test_a_context_that_cannot_be_used_is_no_reason_to_take_another_engine(content: str | None, config: Path) -> None:
    write_context(config, "lost", "unix:///x.sock", current=True)
    (meta,) = (config / "contexts/meta").glob("*/meta.json")
    meta.unlink() if content is None else meta.write_text(content)
    with pytest.raises(UsageError, match=r"the docker context 'lost' cannot be used: .*docker context ls"):
        connect()


def test_messages_name_the_context(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_context(config, "rootless", f"unix://{config}/none.sock", current=True)
    with pytest.raises(TemporaryError, match=r"answers at unix:\S+/none\.sock \(docker context rootless\): No such"):
        connect(attempts=1)
    write_context(config, "far", "ssh://ann@host")
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="the host of the docker context 'far'='ssh://host': an engine is reached by"):
        connect()
    assert without_password("dial ssh://ann@host: no") == "dial ssh://host: no"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("unix:///run/x.sock", "unix:///run/x.sock"),
        ("http+unix:///run/x.sock", "unix:///run/x.sock"),
        ("unix://run/x.sock", "unix:///home/ann/run/x.sock"),
        ("unix://", DEFAULT),
        ("http://127.0.0.1:2375", "tcp://127.0.0.1:2375"),
        ("https://host:2376", "tcp://host:2376"),
        ("127.0.0.1:2377", "tcp://127.0.0.1:2377"),
        ("tcp://:2377", "tcp://localhost:2377"),
        ("tcp://", "tcp://localhost:2375"),
        ("tcp://host", "tcp://host:2375"),
        ("tcp://host:/above", "tcp://host:2375/above"),
        ("localhost", "tcp://localhost:2375"),
        (" localhost:2377 ", "tcp://localhost:2377"),
        ("::1", "tcp://[::1]:2375"),
        ("tcp://[::1]", "tcp://[::1]:2375"),
        ("tcp://[::1]:2377/above", "tcp://[::1]:2377/above"),
        ("ssh://ann@host", "ssh://ann@host"),
    ],
)
def test_the_docker_command_is_told_of_the_same_address_in_its_own_words(
    written: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "cwd", lambda: Path("/home/ann"))
    monkeypatch.setenv("DOCKER_HOST", written)
    assert command_variables() == {"DOCKER_HOST": told}


def test_an_address_as_docker_takes_it_leads_to_the_engine(
    failing_server: FailingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_server.answers = [Answer(200, b"OK", {"Api-Version": "1.41"})]
    monkeypatch.setenv("DOCKER_HOST", f"localhost:{failing_server.port}")
    assert connect(attempts=1).api_version == "1.41"


def test_certificates_are_for_the_network_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/x.sock")
    assert command_variables() == {"DOCKER_HOST": "unix:///run/x.sock"}
    monkeypatch.setenv("DOCKER_HOST", "https://host:2376")
    assert command_variables() == find_endpoint().variables | {"DOCKER_HOST": "tcp://host:2376", "DOCKER_TLS": "1"}
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "")
    monkeypatch.setenv("DOCKER_CERT_PATH", "/keys")
    assert command_variables()["DOCKER_TLS"] == "1"
