"""Ten thousand images: pages stay small, and the filter stays smooth."""

import statistics
from collections.abc import Iterator
from uuid import uuid4

import pytest
from playwright.sync_api import CDPSession, Page, expect

from skyport_wf.pages.app import PagesApp
from skyport_wf.registry.app import RegistryApp, ShockWithRegistry
from skyport_wf.registry.backend import EmbeddedBackend
from skyport_wf.store.opening import open_store
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.browser import Visitor, chromium
from tests.support.own_server import running_server
from tests.support.shown_images import add_many
from tests.support.store_people import fast_folder

pytestmark = pytest.mark.slow
IMAGES = 10_000
LARGEST_PAGE = 200_000
"""Bytes of a page, and of what it loads with it."""
SMOOTH = 0.1
"""Seconds from a key to the list that fits, within which people see no delay."""

TYPE = """async text => {
    const field = document.querySelector("#filter");
    field.value = text;
    field.dispatchEvent(new Event("input", {bubbles: true}));
    await new Promise(resolve => setTimeout(resolve));
    document.body.offsetHeight;
}"""


def busy_seconds(session: CDPSession) -> float:
    """Return how long the page's thread has had a processor: other tests do not count."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")


def typing_seconds(page: Page, session: CDPSession, text: str) -> float:
    began = busy_seconds(session)
    page.evaluate(TYPE, text)
    return busy_seconds(session) - began


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with fast_folder() as folder, open_store(folder / "data") as store:
        monkeypatch.setenv("SKYPORT_CACHE", str(folder / "cache"))
        add_many(store, (str(uuid4()) for _ in range(IMAGES)))
        shock = ShockApp(store)
        backend = EmbeddedBackend(shock)
        app = PagesApp(ShockWithRegistry(shock, RegistryApp(backend)), backend, shock="embedded", title="Images")
        with running_server(app) as server:
            yield server.url


def test_ten_thousand_images_are_looked_through(url):
    with chromium() as browser:
        visitor = Visitor(browser, base_url=url)
        page = visitor.page
        page.goto("/")
        expect(page.get_by_text("10,000 images in 2,500 repositories.")).to_be_visible()
        assert len(page.content()) < LARGEST_PAGE
        page.get_by_role("searchbox").fill("tool")
        expect(page.get_by_role("status")).to_have_text("2500 of 2500 fit “tool”.")
        expect(page.locator("#list .repository")).to_have_count(100)
        page.get_by_role("button", name="Show more").click()
        expect(page.locator("#list .repository")).to_have_count(200)
        session = visitor.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        took = [typing_seconds(page, session, text) for text in ("t", "to", "tool0", "tool01", "lab 1.3", "", "tool")]
        assert 0 < statistics.median(took) < SMOOTH, took
        page.goto("/?page=25")
        page.locator("#list .repository .name").last.click()
        expect(page.get_by_role("heading", level=1)).to_have_text("lab9/tool02489:1.3")
        visitor.close()
        assert visitor.complaints == []
