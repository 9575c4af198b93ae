"""Dockerfiles on web servers, good and bad, fetched from a real one on loopback."""

import contextlib
import gzip
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from skyport_wf.errors import SkyportError, TemporaryError
from skyport_wf.sources.remote.http_dockerfile import MOST_BYTES, RemoteDockerfile, fetch_dockerfile
from tests.support.http_server import make_authority
from tests.support.remote_site import DOCKERFILE, Site, dripping, remote_site
from tests.support.timing import PATIENCE, allowance

PATH = "/tool/Dockerfile"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with remote_site(tmp_path / "repositories") as served:
        served.files[PATH] = DOCKERFILE
        yield served


def failure(url: str, **options: float) -> str:
    with pytest.raises(SkyportError) as caught:
        fetch_dockerfile(url, **options)  # type: ignore[arg-type]
    assert not isinstance(caught.value, TemporaryError)
    return str(caught.value)


def temporary_failure(url: str, **options: float) -> str:
    with pytest.raises(TemporaryError) as caught:
        fetch_dockerfile(url, **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_a_file_is_fetched_and_fetched_again_only_if_it_changed(site: Site) -> None:
    first = fetch_dockerfile(site.url + PATH)
    assert first.content == DOCKERFILE
    assert fetch_dockerfile(site.url + PATH, known=first) == first
    assert [status for _, _, status in site.requests] == [200, 304]
    site.files[PATH] = b"FROM scratch\n# new\n"
    assert fetch_dockerfile(site.url + PATH, known=first).content == b"FROM scratch\n# new\n"


def test_without_an_etag_all_of_it_is_fetched(site: Site) -> None:
    known = RemoteDockerfile(b"FROM old\n")
    assert fetch_dockerfile(site.url + PATH, known=known).content == DOCKERFILE


def test_redirects_are_followed(site: Site) -> None:
    site.answers["/1"] = ("301 Moved", {"Location": "/2"})
    site.answers["/2"] = ("302 Found", {"Location": f"{site.url}/3"})
    site.answers["/3"] = ("307 Temporary", {"Location": "tool/Dockerfile"})
    assert fetch_dockerfile(site.url + "/1").content == DOCKERFILE


@pytest.mark.parametrize("hops", [5, 6])
def test_redirects_end(site: Site, hops: int) -> None:
    for number in range(1, hops):
        site.answers[f"/{number}"] = ("302 Found", {"Location": f"/{number + 1}"})
    site.answers[f"/{hops}"] = ("302 Found", {"Location": PATH})
    if hops == 5:
        assert fetch_dockerfile(f"{site.url}/1").content == DOCKERFILE
    else:
        assert failure(f"{site.url}/1") == (
            f"{site.url}/1 redirects more than 5 times. Give the address where it ends."
        )


@pytest.mark.parametrize(
    ("target", "scheme"),
    [
        ("file:///etc/passwd", "file"),
        ("ftp://127.0.0.1/x", "ftp"),
        ("data:text/plain,FROM a", "data"),
        ("FILE:/x", "file"),
    ],
)
def test_a_redirect_leads_nowhere_but_to_the_web(site: Site, target: str, scheme: str) -> None:
    site.answers["/x"] = ("302 Found", {"Location": target})
    assert failure(f"{site.url}/x") == (
        f"{site.url}/x redirects to a {scheme}: address. Only http and https are followed."
    )


@pytest.mark.parametrize(
    "target", ["http://[::1/x", "http://a..b/", f"http://{'a' * 70}.test/", "http://x:99999/", "//x:y/"]
)
def test_a_redirect_that_is_no_address(site: Site, target: str) -> None:
    site.answers["/x"] = ("302 Found", {"Location": target})
    assert failure(f"{site.url}/x") == f"{site.url}/x redirects to something that is no address."


def test_what_comes_with_a_redirect_is_not_read(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(10000)
                connection.sendall(f"HTTP/1.1 302 Found\r\nLocation: {site.url}{PATH}\r\n\r\n".encode())
                with contextlib.suppress(OSError):
                    while True:
                        connection.sendall(bytes(1 << 16))

        thread = threading.Thread(target=answer)
        thread.start()
        assert fetch_dockerfile(f"http://127.0.0.1:{server.getsockname()[1]}/x", seconds=5).content == DOCKERFILE
        thread.join(timeout=PATIENCE)
        assert not thread.is_alive()


def test_a_server_that_does_not_speak_tls(site: Site) -> None:
    url = f"https://127.0.0.1:{site.port}{PATH}"
    assert failure(url) == (
        f"the server of {url} cannot be trusted: it does not speak TLS; perhaps its URL begins with http://."
    )


def test_a_redirect_leads_from_https_to_https_only(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = make_authority(tmp_path / "ca")
    with remote_site(tmp_path / "tls", authority) as secure:
        url = f"https://127.0.0.1:{secure.port}"
        secure.files[PATH] = DOCKERFILE
        secure.answers["/x"] = ("302 Found", {"Location": site.url + PATH})
        assert "cannot be trusted: self" in failure(url + PATH) or "cannot be trusted: unable" in failure(url + PATH)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.certificates))
        assert fetch_dockerfile(url + PATH).content == DOCKERFILE
        assert failure(f"{url}/x") == (
            f"{url}/x redirects from https to http, where anyone could change it. This is not followed."
        )
    assert not site.requests


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ("404 Not Found", "there is no {url} (HTTP 404). Mend `dockerfile` in the image list."),
        ("410 Gone", "there is no {url} (HTTP 410). Mend `dockerfile` in the image list."),
        ("401 Unauthorized", "{url} is not for everyone to read (HTTP 401). Keep a copy beside the image list."),
        ("403 Forbidden", "{url} is not for everyone to read (HTTP 403). Keep a copy beside the image list."),
        ("204 No Content", "{url} answers with HTTP 204. Mend `dockerfile` in the image list."),
        ("304 Not Modified", "{url} answers with HTTP 304. Mend `dockerfile` in the image list."),
        ("300 Choices", "{url} answers with HTTP 300. Mend `dockerfile` in the image list."),
    ],
)
def test_refusals(site: Site, status: str, message: str) -> None:
    site.answers["/x"] = (status, {})
    assert failure(f"{site.url}/x") == message.format(url=f"{site.url}/x")


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_be_better_in_a_moment(site: Site, status: int) -> None:
    site.answers["/x"] = (f"{status} no", {})
    assert temporary_failure(f"{site.url}/x") == f"{site.url}/x answers with HTTP {status}."


def test_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    url = f"http://127.0.0.1:{port}/Dockerfile"
    assert temporary_failure(url) == f"{url} cannot be reached: Connection refused."


@pytest.mark.parametrize("where", ["body", "headers", "nothing"])
def test_a_server_that_takes_for_ever(site: Site, where: str) -> None:
    allowed = allowance(5, lambda: fetch_dockerfile(site.url + PATH))
    stop = threading.Event()
    site.bodies["/x"] = lambda: dripping(stop, 0.05)
    url = f"{site.url}/x"
    started = time.monotonic()
    try:
        if where == "body":
            assert temporary_failure(url, seconds=0.7) == f"{url} did not arrive whole within 0.7 s."
        else:
            with socket.create_server(("127.0.0.1", 0)) as server:
                url = f"http://127.0.0.1:{server.getsockname()[1]}/x"
                thread = threading.Thread(target=drip_headers, args=(server, stop, where))
                thread.start()
                assert temporary_failure(url, seconds=0.7) == f"{url} did not arrive whole within 0.7 s."
                stop.set()
                thread.join()
    finally:
        stop.set()
    assert time.monotonic() - started < allowed


def drip_headers(server: socket.socket, stop: threading.Event, where: str) -> None:
    connection, _ = server.accept()
    with connection:
        while not stop.wait(0.05):
            if where == "headers":
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-More: a\r\n"[:1])


def test_a_file_that_is_cut_off(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/x"

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(10000)
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nFROM debian:bookworm\nRUN rm -rf /tmp"
                )

        thread = threading.Thread(target=answer)
        thread.start()
        assert temporary_failure(url).startswith(f"{url} broke off: ")
        thread.join()


@pytest.mark.parametrize("size", [MOST_BYTES, MOST_BYTES + 1])
def test_a_dockerfile_has_a_mib_at_most(site: Site, size: int) -> None:
    site.files[PATH] = b"FROM scratch\n".ljust(size, b"#")
    if size == MOST_BYTES:
        assert len(fetch_dockerfile(site.url + PATH).content) == MOST_BYTES
    else:
        assert failure(site.url + PATH) == f"{site.url + PATH} is larger than 1 MiB, which no Dockerfile is."


def test_an_endless_file_is_not_read_to_the_end(site: Site) -> None:
    sent = []

    def zeros() -> Iterator[bytes]:
        while True:
            sent.append(1)
            yield bytes(1 << 16)

    site.bodies["/x"] = zeros
    assert failure(f"{site.url}/x") == f"{site.url}/x is larger than 1 MiB, which no Dockerfile is."
    assert len(sent) < 1000


@pytest.mark.slow
def test_a_small_answer_that_unpacks_to_a_large_one(site: Site) -> None:
    bomb = gzip.compress(bytes(50 << 20))
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/x"

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(10000)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + bomb)

        thread = threading.Thread(target=answer)
        thread.start()
        assert failure(url) == f"{url} is larger than 1 MiB, which no Dockerfile is."
        thread.join()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (
            b"<!DOCTYPE html>\n<html>FROM scratch</html>",
            "is a web page, not a Dockerfile. Give the address of the file itself",
        ),
        (b"\xef\xbb\xbf \n<html>\nFROM scratch\n", "is a web page, not a Dockerfile."),
        (b"", "is not a Dockerfile: there is no FROM in it."),
        (b"404: Not Found", "is not a Dockerfile: there is no FROM in it."),
        (b'{"message": "FROM scratch"}', "is not a Dockerfile: there is no FROM in it."),
        (b"#FROM scratch\nRUN x\n", "is not a Dockerfile: there is no FROM in it."),
        (b"\x1f\x8b\x00\nFROM scratch\n", "is not a Dockerfile: there is no FROM in it."),
    ],
)
def test_what_is_no_dockerfile(site: Site, content: bytes, why: str) -> None:
    site.files[PATH] = content
    assert failure(site.url + PATH).startswith(f"{site.url + PATH} {why}")


@pytest.mark.parametrize(
    "content", [b"\xef\xbb\xbffrom debian\r\n", b"# syntax=x\nARG V=1\n  FROM a:$V\n", b"FROM \\\n a"]
)
def test_what_is_a_dockerfile(site: Site, content: bytes) -> None:
    site.files[PATH] = content
    assert fetch_dockerfile(site.url + PATH).content == content


def test_nobody_is_told_a_password(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login anna password s3cr3t\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    site.answers["/x"] = ("302 Found", {"Location": f"http://bob:pass@127.0.0.1:{site.port}{PATH}"})
    fetch_dockerfile(f"{site.url}/x")
    assert len(site.headers) == 2
    assert not any("HTTP_AUTHORIZATION" in headers for headers in site.headers)
