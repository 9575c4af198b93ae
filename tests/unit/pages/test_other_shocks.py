"""Pages of a Shock elsewhere, and of one that shows nothing to those without a token."""

from collections.abc import Iterator

import pytest
from werkzeug.test import Client

from skyport_wf.pages.app import PagesApp
from skyport_wf.registry.app import RegistryApp
from skyport_wf.registry.backend import EmbeddedBackend, RemoteBackend
from skyport_wf.store.users import renew_token
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.own_server import running_server
from tests.support.shown_images import Shown

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
