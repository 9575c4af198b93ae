"""The pages in Chromium: found, opened, copied, moved through by keyboard, and read by everyone."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from skyport_wf.image.examination.packages.package import Package
from skyport_wf.pages.entries import ImageEntry
from skyport_wf.pages.links import FileLinks
from skyport_wf.pages.package_search import PackageUse, VersionUse
from skyport_wf.pages.rendering import read_static, render
from tests.support.browser import Visitor, chromium
from tests.support.own_server import running_server
from tests.support.shown_images import HARM, Shown

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("pages in a browser")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def url(shown: Shown) -> Iterator[str]:
    with running_server(shown.app) as server:
        yield server.url


@pytest.fixture
def visitor(browser: Browser, url: str) -> Iterator[Visitor]:
    """Someone who sees neither an error nor a request that goes elsewhere."""
    found = Visitor(browser, base_url=url)
    yield found
    found.close()
    assert found.complaints == []
    assert [asked for asked in found.requested if not asked.startswith(url)] == []


def test_an_image_is_found_as_one_types_and_opened_by_keyboard(visitor):
    page = visitor.page
    page.goto("/")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("samt 1.16")
    expect(page.get_by_role("status")).to_have_text("1 of 2 fit “samt 1.16”.")
    expect(page.locator(".repository")).to_have_count(1)
    assert page.url.endswith("/?q=samt+1.16")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("lab/samtools:1.17")
    page.go_back()
    expect(page.locator(".repository")).to_have_count(1)


def test_an_image_is_found_by_its_whole_name(visitor):
    page = visitor.page
    page.goto("/")
    page.get_by_role("searchbox").fill("lab/samtools:1.16.1")
    expect(page.get_by_role("status")).to_have_text("1 of 2 fit “lab/samtools:1.16.1”.")


@pytest.mark.parametrize("text", ["for all", "lustre"])
def test_an_image_is_found_by_the_description_of_any_tag(visitor, text):
    page = visitor.page
    page.goto("/")
    page.get_by_role("searchbox").fill(text)
    expect(page.get_by_role("status")).to_have_text(f"1 of 2 fit “{text}”.")


def test_the_filter_makes_the_rows_that_the_server_writes(visitor):
    page = visitor.page
    page.goto("/")
    written = page.locator("#list").evaluate("list => list.innerText")
    page.get_by_role("searchbox").fill("lab")
    expect(page.get_by_role("status")).to_have_text("2 of 2 fit “lab”.")
    assert page.locator("#list").evaluate("list => list.innerText") == written


def test_the_order_can_be_chosen(visitor):
    page = visitor.page
    page.goto("/")
    page.get_by_label("Order").select_option("Largest first")
    expect(page.locator(".repository .name").first).to_have_text("lab/samtools")
    assert page.url.endswith("/?sort=largest")


def test_what_is_copied_is_what_is_shown(visitor, url):
    page = visitor.page
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=url)
    page.goto("/")
    page.get_by_role("link", name="1.17", exact=True).click()
    page.get_by_role("button", name="Copy: docker, podman").click()
    expect(page.get_by_role("button", name="Copy: docker, podman")).to_have_text("Copied")
    host = url.removeprefix("http://")
    assert page.evaluate("navigator.clipboard.readText()") == f"docker pull {host}/lab/samtools:1.17"


def test_names_with_html_stay_text(visitor, shown):
    page = visitor.page
    for path in ("/", f"/catalogue/image/{shown.nodes['harm']}"):
        page.goto(path)
        expect(page.get_by_text(HARM).first).to_be_visible()
        assert "harmed" not in page.title().replace(HARM, "")
    page.goto("/")
    page.get_by_role("searchbox").fill("script")
    expect(page.get_by_role("status")).to_contain_text("1 of 2")
    assert page.locator("main script, main img").count() == 0


def test_someone_logs_in_looks_into_a_private_image_and_logs_out(visitor, shown):
    page = visitor.page
    page.goto("/")
    page.get_by_role("link", name="Log in").click()
    page.get_by_label("Shock token").fill(shown.tokens["alice"])
    page.keyboard.press("Enter")
    page.get_by_role("link", name="lab/secret").click()
    listing = page.get_by_role("button", name="Find what is wasted")
    if listing.is_visible():
        listing.click()
    expect(page.get_by_role("cell", name="openssl")).to_be_visible()
    page.get_by_label("Filter packages").fill("base")
    expect(page.get_by_role("cell", name="openssl")).to_be_hidden()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("link", name="Log in")).to_be_visible()
    expect(page.get_by_text("lab/secret")).to_have_count(0)
    assert not any(shown.tokens["alice"] in asked for asked in visitor.requested)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_everyone_can_read_every_page(browser, url, shown, scheme, width):
    visitor = Visitor(browser, base_url=url, color_scheme=scheme, viewport={"width": width, "height": 800})
    page = visitor.page
    old, new = shown.nodes["lab/samtools:1.16.1"], shown.nodes["lab/samtools:1.17"]
    for path in (
        "/",
        f"/catalogue/image/{new}",
        f"/catalogue/compare/{old}/{new}",
        "/catalogue/packages",
        "/catalogue/login",
    ):
        page.goto(path)
        assert visitor.barriers() == [], path
        # Nothing is wider than the screen, but for what scrolls by itself.
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    visitor.close()
    assert visitor.complaints == []


def packages_page(images: int, *, version: str = "3.0.11-1") -> str:
    """Return the page of one package that so many images have, as a file of a catalogue.

    Its style sheet is in it, which takes a browser that goes by no policy.
    """
    entries = tuple(
        ImageEntry(f"n{one}", f"my-lab/tool-{one}", "1", "published", 1, "", "", is_private=False)
        for one in range(images)
    )
    use = PackageUse(Package("deb", "openssl", version), (VersionUse(version, entries),))
    page = render(
        "packages.html", FileLinks(1), site="Images", uses=(use,), letters=["o"], letter="o", query="", problem="",
        notes=(), found=1, total=1, listed=images, images=images,
    )  # fmt: skip
    return page.decode().replace("</head>", f"<style>{read_static('page.css').decode()}</style></head>")


@pytest.mark.parametrize("width", [1280, 500])
@pytest.mark.parametrize("version", ["3.0.11-1", "9" * 300], ids=["short", "long"])
def test_packages_that_many_images_have_are_not_broken_letter_by_letter(browser, width, version):
    visitor = Visitor(browser, viewport={"width": width, "height": 800}, bypass_csp=True)
    visitor.page.set_content(packages_page(25, version=version))
    package, _, images = (
        cell.evaluate("cell => cell.getBoundingClientRect().width")
        for cell in visitor.page.locator("tbody tr").locator("th, td").all()
    )
    assert package > 70
    assert images > 150
    visitor.close()


def test_all_images_of_a_package_can_be_reached_without_javascript(browser):
    visitor = Visitor(browser, java_script_enabled=False)
    page = visitor.page
    page.set_content(packages_page(120, version="3.0.11-1*"))
    expect(page.get_by_role("link", name="my-lab/tool-24:1")).to_be_hidden()
    page.get_by_text("100 more").click()
    expect(page.get_by_role("link", name="my-lab/tool-24:1")).to_be_visible()
    assert page.locator("td a").count() == 100
    rest = "20 more, which skyport-wf find --package openssl '=3.0.11-1*' tells"
    expect(page.locator("details")).to_contain_text(rest)
    visitor.close()


def test_without_javascript_nothing_is_missing(browser, url):
    visitor = Visitor(browser, base_url=url, java_script_enabled=False)
    page = visitor.page
    page.goto("/")
    page.get_by_role("searchbox").fill("samtools")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("#list .repository")).to_have_count(1)
    page.get_by_role("link", name="1.17", exact=True).click()
    expect(page.get_by_text("docker pull")).to_be_visible()
    expect(page.get_by_role("button", name="Copy: AWE")).to_be_hidden()
    page.get_by_role("link", name="Compare with 1.16.1").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("lab/samtools: 1.16.1 → 1.17")
    visitor.close()
