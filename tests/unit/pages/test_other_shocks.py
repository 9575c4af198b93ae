"""Pages of a Shock elsewhere, of one that shows nothing to those without a token, and of one with other ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import permutations
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from werkzeug.test import Client
from werkzeug.wrappers import Response

from skyport_wf.cli.main import main
from skyport_wf.pages.app import PagesApp
from skyport_wf.registry.app import RegistryApp
from skyport_wf.registry.backend import EmbeddedBackend, RemoteBackend
from skyport_wf.store.opening import open_store
from skyport_wf.store.users import renew_token
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.failing_server import refusal
from tests.support.own_server import running_server
from tests.support.shown_images import Shown, add_many
from tests.support.store_people import fast_folder

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

OTHER_IDS = dict(zip((str(UUID(int=number, version=4)) for number in range(3)), ("a_b", "7" * 100, "X-"), strict=True))
"""Ids as no known Shock gives them, by those of the store."""
HTML = {"Accept": "text/html", "Origin": "http://localhost"}


@pytest.fixture(scope="module")
def gateway(shown: Shown) -> Iterator[tuple[PagesApp, str]]:
    """Give the pages of a Shock behind a network, and its address."""
    with running_server(shown.shock) as server:
        backend = RemoteBackend(server.url)
        yield PagesApp(RegistryApp(backend), backend, shock=server.url, title="A gateway"), server.url


def test_a_gateway_shows_the_images_of_its_shock(shown, gateway):
    app, url = gateway
    client = Client(app)
    assert "lab/samtools" in client.get("/", headers=HTML).text
    page = client.get(f"/catalogue/image/{shown.nodes['lab/samtools:1.17']}", headers=HTML).text
    assert f"dockerLoad: {url}/node/{shown.nodes['lab/samtools:1.17']}?download" in page
    assert "docker pull localhost/lab/samtools:1.17" in page
    assert client.post(f"/catalogue/image/{shown.nodes['lab/samtools:1.17']}/read", headers=HTML).status_code == 303
    # For others, a gateway is a registry as before.
    assert client.get("/", headers={"Accept": "*/*"}).status_code == 404
    assert client.get("/v2/").status_code == 401


def test_private_images_of_a_gateway_take_the_token_of_its_shock(shown, gateway):
    client = Client(gateway[0])
    assert "lab/secret" not in client.get("/", headers=HTML).text
    assert client.post("/catalogue/login", data={"token": "wrong"}, headers=HTML).status_code == 403
    assert client.post("/catalogue/login", data={"token": shown.tokens["alice"]}, headers=HTML).status_code == 303
    assert "lab/secret" in client.get("/", headers=HTML).text


def test_a_shock_that_does_not_answer_is_a_page_that_says_so(monkeypatch, caplog):
    monkeypatch.setenv("SKYPORT_RETRY_SECONDS", "0")
    backend = RemoteBackend("http://127.0.0.1:9")
    app = PagesApp(RegistryApp(backend), backend, shock="http://127.0.0.1:9", title="A gateway")
    answer = Client(app).get("/", headers=HTML)
    assert answer.status_code == 503
    assert "does not answer" in answer.text


def test_a_token_is_not_called_unknown_where_something_else_is_wrong(failing_server):
    backend = RemoteBackend(failing_server.url)
    client = Client(PagesApp(RegistryApp(backend), backend, shock=failing_server.url, title="A gateway"))
    for status, told, said in ((401, 403, "does not know this token"), (507, 502, "the server&#39;s disk is full")):
        failing_server.answers = [refusal(status, "the server's disk is full")]
        answer = client.post("/catalogue/login", data={"token": "good"}, headers=HTML)
        assert (answer.status_code, "Set-Cookie" in answer.headers) == (told, False)
        assert said in answer.text


def closed(shown: Shown) -> PagesApp:
    """Return the pages of a store in which nobody without a token may do anything."""
    shock = ShockApp(shown.shock.store, anonymous=frozenset())
    return PagesApp(shock, EmbeddedBackend(shock), shock="embedded", title="Images")


def test_where_nobody_may_read_one_is_asked_to_log_in(shown):
    client = Client(closed(shown))
    answer = client.get("/", headers=HTML)
    assert answer.status_code == 403
    assert "shows nothing to those who have not logged in" in answer.text
    assert "Shock token" in answer.text
    client.post("/catalogue/login", data={"token": shown.tokens["alice"]}, headers=HTML)
    assert "lab/secret" in client.get("/", headers=HTML).text


def test_a_token_that_was_replaced_is_good_for_nothing(shown):
    client = Client(shown.app)
    assert client.post("/catalogue/login", data={"token": shown.tokens["bob"]}, headers=HTML).status_code == 303
    renew_token(shown.shock.store.database, "bob")
    answer = client.get("/catalogue/packages", headers=HTML)
    assert answer.status_code == 403
    assert "no longer takes your token" in answer.text


def with_other_ids(shock: ShockApp) -> WSGIApplication:
    """Return the store as a Shock that calls its nodes otherwise: the store itself knows UUIDs only."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        for ours, other in OTHER_IDS.items():
            path = path.replace(f"/node/{other}", f"/node/{ours}")
        told = Response.from_app(shock, {**environ, "PATH_INFO": path}, buffered=True)
        text = told.get_data(as_text=True)
        for ours, other in OTHER_IDS.items():
            text = text.replace(ours, other)
        told.set_data(text)
        return told(environ, start_response)

    return answer


@pytest.fixture
def other_ids(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give the address of a Shock with an image on each of the OTHER_IDS."""
    with fast_folder() as folder, open_store(folder / "data") as store:
        monkeypatch.setenv("SKYPORT_CACHE", str(folder / "cache"))
        add_many(store, OTHER_IDS)
        with running_server(with_other_ids(ShockApp(store))) as server:
            yield server.url


def test_every_image_that_is_listed_has_its_pages(other_ids):
    backend = RemoteBackend(other_ids)
    client = Client(PagesApp(RegistryApp(backend), backend, shock=other_ids, title="A gateway"))
    first = client.get("/", headers=HTML).text
    for node in OTHER_IDS.values():
        assert f"/image/{node}" in first
        assert client.get(f"/catalogue/image/{node}", headers=HTML).status_code == 200
    for old, new in permutations(OTHER_IDS.values(), 2):
        assert client.get(f"/catalogue/compare/{old}/{new}", headers=HTML).status_code == 200


def test_every_image_that_is_listed_has_its_files(other_ids, tmp_path, monkeypatch):
    monkeypatch.setenv("SHOCK_URL", other_ids)
    monkeypatch.chdir(tmp_path)
    # The second time, each file is found again.
    for _ in range(2):
        assert main(["catalogue", "--quiet", "--out", "site"]) == 0
        for node in OTHER_IDS.values():
            assert (tmp_path / f"site/image/{node}.html").is_file()
            assert f"image/{node}.html" in (tmp_path / "site/index.html").read_text()
