"""Engines that are reached by TLS, with certificates of their own authority."""

import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from skyport_wf.engine.connection import connect
from skyport_wf.errors import TemporaryError, UsageError
from tests.support.failing_server import FailingServer
from tests.support.http_server import Authority, http_server, make_authority

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def engine(environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
    """Answer as an engine does that is asked what it is."""
    start_response("200 OK", [("Api-Version", "1.41")])
    return [b"OK"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return folders with the certificates that docker asks for: of the engine's authority, and of another one."""
    made = tmp_path_factory.mktemp("certificates")
    for name in ("own", "other"):
        authority = make_authority(made / name)
        for there, asked_for in zip(authority, ("ca.pem", "cert.pem", "key.pem"), strict=True):
            shutil.copy(there, made / name / asked_for)
    return made / "own", made / "other"


@pytest.fixture(autouse=True)
def address(folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve an engine; yield its address."""
    for name in ("DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    own = folders[0]
    with http_server(engine, Authority(own / "ca.pem", own / "cert.pem", own / "key.pem")) as port:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
        yield f"127.0.0.1:{port}"


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NOTHING"])
@pytest.mark.parametrize("where", ["DOCKER_CERT_PATH", "DOCKER_CONFIG"])
def test_an_engine_s_own_authority_wins_over_that_of_other_servers(
    variable: str, where: str, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    own, other = folders
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv(where, str(own))
    monkeypatch.setenv(variable, str(other / "ca.pem"))
    assert connect(attempts=1).api_version == "1.41"


def test_an_engine_of_another_authority_is_not_trusted(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    own, other = folders
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(other))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(own / "ca.pem"))
    with pytest.raises(UsageError, match=rf"cannot be reached by TLS: .*certificate.* In {other} are to be ca\.pem"):
        connect(attempts=1)


@pytest.mark.parametrize("trusted", [True, False])
def test_an_engine_that_asks_for_no_certificate_needs_none(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    shutil.copy(folders[not trusted] / "ca.pem", tmp_path)
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    if trusted:
        assert connect(attempts=1).api_version == "1.41"
        # Half of a pair is a mistake.
        (tmp_path / "key.pem").touch()
        with pytest.raises(UsageError, match="a file lacks"):
            connect(attempts=1)
    else:
        with pytest.raises(UsageError, match="cannot be reached by TLS"):
            connect(attempts=1)


def test_certificates_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    with pytest.raises(UsageError, match=rf"cannot be reached by TLS: a file lacks\. In {tmp_path} are to be ca\.pem"):
        connect(attempts=1)


def test_who_asks_for_tls_alone_gets_it_from_any_engine(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setenv("DOCKER_TLS", "1")
    monkeypatch.setenv("DOCKER_CONFIG", str(folders[1]))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(folders[1] / "ca.pem"))
    assert connect(attempts=1).api_version == "1.41"
    assert not recwarn.list


def test_without_certificates_of_its_own_an_engine_is_trusted_as_other_servers_are(
    address: str, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"https://{address}")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(folders[0] / "ca.pem"))
    assert connect(attempts=1).api_version == "1.41"


def test_an_engine_that_speaks_no_tls(
    failing_server: FailingServer, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{failing_server.port}")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(folders[0]))
    with pytest.raises(UsageError, match=r"does not speak TLS there\. Unset DOCKER_TLS"):
        connect(attempts=1)


def test_an_engine_that_hangs_up_is_no_mistake_in_its_address(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang_up() -> None:
        peer, _ = server.accept()
        peer.recv(1 << 14)
        peer.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(folders[0]))
        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(TemporaryError, match="no Docker engine answers at"):
            connect(attempts=1)
        thread.join()
