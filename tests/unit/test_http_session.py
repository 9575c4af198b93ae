"""Passwords and proxies: requests go where they are meant to, with what they were given."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from skyport_wf.engine.connection import connect
from skyport_wf.errors import ShockError, SkyportError
from skyport_wf.http_session import PlainSession, is_loopback, origin_of, read_answer, read_retry_after
from skyport_wf.shock.client import ShockClient
from skyport_wf.shock.connection import ShockRefusalError
from skyport_wf.sources.remote.http_dockerfile import fetch_dockerfile
from tests.support.failing_server import Answer, FailingServer, envelope

TOKEN = "the-token-of-alice"


@pytest.fixture
def other() -> Iterator[FailingServer]:
    with FailingServer() as server:
        yield server


@pytest.fixture(params=["machine 127.0.0.1", "machine localhost", "default"])
def netrc(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text(f"{request.param} login anna password s3cr3t\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def passwords(server: FailingServer) -> list[str | None]:
    return [request.headers.get("Authorization") for request in server.seen]


@pytest.mark.usefixtures("netrc")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("token", [TOKEN, None])
def test_after_a_redirect_nobody_gets_a_password(failing_server, other, host, token):
    failing_server.answers = [Answer(302, b"", {"Location": f"http://{host}:{other.port}/node/n"})]
    with pytest.raises(ShockError, match="elsewhere") if token else nullcontext():
        ShockClient(failing_server.url, token=token).find("n")
    assert passwords(failing_server) == [f"OAuth {token}" if token else None]
    assert passwords(other) == [None]


def test_after_a_redirect_to_itself_the_server_gets_the_token_again(failing_server):
    failing_server.answers = [Answer(302, b"", {"Location": "/elsewhere"}), *failing_server.answers]
    ShockClient(failing_server.url, token=TOKEN).find("n")
    assert passwords(failing_server) == [f"OAuth {TOKEN}"] * 2


@pytest.mark.parametrize(
    ("server", "target", "again"),
    [
        ("http://shock.test", "http://shock.test:80/x", True),
        ("http://shock.test:80", "http://SHOCK.test/x", True),
        ("http://shock.test", "http://shock.test:443/x", False),
        ("http://shock.test:8080", "http://shock.test/x", False),
    ],
)
def test_after_a_redirect_a_port_that_is_the_usual_one_makes_no_other_server(
    monkeypatch, failing_server, server, target, again
):
    # A proxy plays all servers.
    monkeypatch.setenv("HTTP_PROXY", failing_server.url)
    failing_server.answers = [Answer(302, b"", {"Location": target}), *failing_server.answers]
    with nullcontext() if again else pytest.raises(ShockError, match="elsewhere"):
        ShockClient(server, token=TOKEN).find("n")
    assert passwords(failing_server) == [f"OAuth {TOKEN}", f"OAuth {TOKEN}" if again else None]


@pytest.mark.parametrize(
    ("one", "another", "same"),
    [
        ("https://x.test", "https://x.test:443/a?b", True),
        ("https://x.test", "https://X.TEST/", True),
        ("https://x.test", "https://x.test:80", False),
        ("https://x.test", "http://x.test:443", False),
        ("https://x.test", "https://y.test", False),
    ],
)
def test_what_makes_another_server(one, another, same):
    assert (origin_of(one) == origin_of(another)) == same


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_this_machine_is_asked_past_proxies(monkeypatch, failing_server, other, variable):
    monkeypatch.setenv(variable, other.url)
    ShockClient(failing_server.url).find("n")
    ShockClient(f"http://localhost:{failing_server.port}").find("n")
    assert not other.seen
    ShockClient("http://shock.test").find("n")
    assert [request.path for request in other.seen] == ["http://shock.test/node/n"]


@pytest.mark.parametrize("written", ["localhost:{}", "//localhost:{}", "user:s3cret@localhost:{}"])
def test_a_proxy_may_be_written_without_a_scheme(monkeypatch, other, written):
    """As curl takes it. Of a name with a port, requests took the name for a scheme."""
    monkeypatch.setenv("http_proxy", written.format(other.port))
    ShockClient("http://shock.test").find("n")
    assert [request.path for request in other.seen] == ["http://shock.test/node/n"]


def test_a_redirect_to_this_machine_passes_proxies(monkeypatch, failing_server, other):
    monkeypatch.setenv("HTTP_PROXY", other.url)
    other.answers = [Answer(302, b"", {"Location": f"{failing_server.url}/node/n"})]
    ShockClient("http://shock.test").find("n")
    assert len(other.seen) == len(failing_server.seen) == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "proxy",
    [
        "http://user:s3cret@127.0.0.1:99999", "http://user:s3cret", "http://user:s3cret@", "user:s3cret@h..test:1",
        "http://user:s3cret@.test:1", f"http://user:s3cret@{'a' * 70}.test:1", "http://user:s3cret\u4e2d@127.0.0.1:1",
        "http://user:s3cret%E4%B8%AD@127.0.0.1:1", "http://s3cret@[::1", "foo://user:s3cret@127.0.0.1:1",
    ],
)  # fmt: skip
def test_a_proxy_that_is_none_is_said_without_its_password(monkeypatch, scheme, proxy):
    monkeypatch.setenv(f"{scheme}_proxy", proxy)
    with pytest.raises(ShockError, match=rf"^Shock at {scheme}://shock\.test cannot be asked: ") as caught:
        ShockClient(f"{scheme}://shock.test").find("n")
    assert "s3cret" not in str(caught.value)
    with pytest.raises(SkyportError, match="/Dockerfile cannot be asked for: ") as caught:
        fetch_dockerfile(f"{scheme}://shock.test/Dockerfile")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "target",
    ["http://a..b/", f"http://{'a' * 70}.test/", "http://[::1/", "http://x:99999/", "http://1.1:x/", "/\xff\xfe"],
)
def test_a_redirect_of_a_shock_that_is_no_address(failing_server, target):
    failing_server.answers = [Answer(302, b"", {"Location": target})]
    client = ShockClient(failing_server.url, token=TOKEN)
    for ask in (lambda: client.find("n"), lambda: client.delete("n")):
        with pytest.raises(ShockError, match="cannot be asked: it redirects to something that is no address"):
            ask()


@pytest.mark.usefixtures("netrc")
def test_an_engine_on_this_machine_is_asked_past_proxies_and_gets_no_password(monkeypatch, failing_server, other):
    monkeypatch.setenv("HTTP_PROXY", other.url)
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{failing_server.port}")
    failing_server.answers = [Answer(200, b"OK", {"Api-Version": "1.44"})]
    connect().close()
    assert not other.seen
    assert passwords(failing_server) == [None]


@pytest.mark.parametrize("status", [200, 400])
def test_an_answer_without_end_is_not_read(monkeypatch, failing_server, status):
    monkeypatch.setattr("skyport_wf.shock.connection._LARGEST_ANSWER", 1 << 20)
    failing_server.answers = [Answer(status, b'{"data": "' + b"x" * (5 << 20) + b'"}')]
    with pytest.raises(ShockError if status == 200 else ShockRefusalError) as error:
        ShockClient(failing_server.url).find("n")
    assert len(str(error.value)) < 300


def test_an_answer_of_a_million_levels(failing_server):
    failing_server.answers = [Answer(200, b"[" * 1_000_000)]
    with pytest.raises(SkyportError, match="something else than Shock does"):
        ShockClient(failing_server.url).find("n")


def test_an_answer_is_read_up_to_a_size(failing_server):
    failing_server.answers = [envelope("x" * 1000)]
    with PlainSession() as session:
        assert len(read_answer(session.get(failing_server.url, stream=True), 1 << 20)) > 1000
        with pytest.raises(ValueError, match="more than 0 MiB"):
            read_answer(session.get(failing_server.url, stream=True), 100)


@pytest.mark.parametrize(
    ("host", "own"), [("localhost", True), ("127.8.9.1", True), ("::1", True), ("shock.test", False), (None, False)]
)
def test_names_of_this_machine(host, own):
    assert is_loopback(host) == own


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"Retry-After": "30"}, 30),
        ({"Retry-After": " 7 "}, 7),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"Retry-After": "-5"}, 0),
        ({"Retry-After": "soon"}, 0),
        ({"Retry-After": "9" * 5000}, 0),
        ({"Retry-After": "Wed, 21 Oct 999999 07:28:00 GMT"}, 0),
    ],
)
def test_for_how_long_a_server_asks_to_be_left_alone(headers, seconds):
    assert read_retry_after(headers) == seconds
