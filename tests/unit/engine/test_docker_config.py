"""A docker config that Docker has a use for stops no engine; another one is told by its file and entry."""

import base64
import json
from pathlib import Path

import pytest

from skyport_wf.engine.connection import connect
from skyport_wf.engine.registry_logins import find_login
from skyport_wf.errors import TemporaryError, UsageError


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    # Nobody listens there. To be told so means that the config was taken.
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    return tmp_path / "config.json"


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"auths": {}},
        {"auths": {"here.org": {}}, "credsStore": "tests"},
        {"auths": {"here.org": {"auth": ""}}, "credsStore": "tests"},
        {"auths": {"here.org": {"auth": None, "email": None}}},
        {"auths": {"here.org": {"auth": "no user", "identitytoken": "t"}}},
        {"auths": {"here.org": {"auth": base64.b64encode(b"user:").decode()}}},
        {"auths": None, "proxies": None, "credHelpers": None, "HttpHeaders": None},
        {"auths": {}, "plugins": {"x": [1]}, "psFormat": "table"},
    ],
    ids=json.dumps,
)
def test_what_docker_has_a_use_for(document: object, config: Path) -> None:
    config.write_text(json.dumps(document))
    with pytest.raises(TemporaryError, match="no Docker engine answers at "):
        connect(attempts=1)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ([], "Expected `object`, got `array`"),
        ({"auths": []}, "got `array` - at `$.auths`"),
        ({"auths": {"here.org": "dXNlcjpwdw=="}}, r"got `str` - at `$.auths[...]`"),
        ({"auths": {"here.org": {"auth": 1}}}, r"got `int` - at `$.auths[...].auth`"),
        ({"auths": {"here.org": {"auth": "cGFzc3dvcmQ="}}}, "the login for 'here.org' is not a user and a password"),
        ({"auths": {"here.org": {"auth": "passwörd"}}}, "the login for 'here.org' is not a user and a password"),
        ({"auths": {"here.org": {"auth": "password"}}}, "the login for 'here.org' is not a user and a password"),
        ({"credsStore": 1}, "`$.credsStore`"),
        ({"credHelpers": {"here.org": 1}}, "`$.credHelpers[...]`"),
        ({"proxies": []}, "`$.proxies`"),
        ({"HttpHeaders": "x"}, "`$.HttpHeaders`"),
    ],
)
def test_what_docker_has_no_use_for(document: object, why: str, config: Path) -> None:
    config.write_text(json.dumps(document))
    with pytest.raises(UsageError) as failure:
        connect(attempts=1)
    message = str(failure.value)
    assert message.startswith(f"docker's config cannot be used: {config}: ")
    assert why in message
    assert "passw" not in message.replace("a password", "")
    assert "cGFzc3" not in message


@pytest.mark.parametrize("asked", ["Quay.io", "QUAY.IO", "quay.io"])
@pytest.mark.parametrize("entry", ["quay.io", "Quay.IO", "https://QUAY.io/v2/"])
def test_a_login_is_that_of_a_host_whatever_its_letters(entry: str, asked: str, config: Path) -> None:
    logins = {entry: base64.b64encode(b"anna:right").decode(), "other.org": base64.b64encode(b"anna:wrong").decode()}
    config.write_text(json.dumps({"auths": {host: {"auth": auth} for host, auth in logins.items()}}))
    login = find_login(asked)
    assert login
    assert login.password == "right"
    assert find_login("quay.io:444") is None


def test_of_two_logins_the_one_that_is_spelled_alike_is_taken(config: Path) -> None:
    auths = {host: {"auth": base64.b64encode(f"anna:{host}".encode()).decode()} for host in ("QUAY.io", "quay.io")}
    config.write_text(json.dumps({"auths": auths}))
    for host in auths:
        login = find_login(host)
        assert login
        assert login.password == host
