"""`catalogue` writes the pages as files, which a browser opens from a disk."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from skyport_wf.cli.main import main
from tests.support.browser import Visitor, chromium
from tests.support.shown_images import HARM, Shown


@pytest.fixture(scope="module")
def site(shown: Shown, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKYPORT_DATA", str(shown.folder / "data"))
        patch.chdir(folder)
        assert main(["catalogue", "--quiet", "--read", "--out", str(folder), "--title", "Images of the lab"]) == 0
    return folder


def test_every_link_leads_to_a_file(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 5
    for page in pages:
        for link in re.findall(r'(?:href|src)="([^"#]*)', page.read_text()):
            if link and not link.startswith("https://"):
                assert (page.parent / link).is_file(), f"{page} -> {link}"


def test_only_what_everyone_may_read_is_written(site, shown):
    assert not any("secret" in page.read_text() for page in (*site.rglob("*.html"), *site.rglob("*.js")))
    assert not (site / f"image/{shown.nodes['lab/secret:1']}.html").exists()


def test_private_images_are_written_when_asked_for(shown, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SKYPORT_DATA", str(shown.folder / "data"))
    monkeypatch.chdir(tmp_path)
    # Straight into the store one is the user of one's login name, who is alice here.
    monkeypatch.setattr("skyport_wf.publication.connection.system_user", lambda: "alice")
    assert main(["catalogue", "--private", "--json", "--out", "site"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 4
    assert 'class="badge private"' in (tmp_path / "site/index.html").read_text()


def test_two_tags_and_packages_are_there(site, shown):
    old, new = shown.nodes["lab/samtools:1.16.1"], shown.nodes["lab/samtools:1.17"]
    assert "400.0 kB" in (site / f"image/{new}.html").read_text()
    assert "<td>1.1.1w-0</td><td>3.0.11-1</td>" in (site / f"compare/{old}/{new}.html").read_text()
    page = (site / "packages/o.html").read_text()
    assert "openssl" in page
    assert f"../image/{new}.html" in page


def test_a_second_run_writes_nothing(site, shown, monkeypatch, capsys):
    monkeypatch.setenv("SKYPORT_DATA", str(shown.folder / "data"))
    assert main(["catalogue", "--json", "--out", str(site), "--title", "Images of the lab"]) == 0
    assert json.loads(capsys.readouterr().out)["files"]["written"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: --out"),
        (["--out", "{}"], "has files, and none that this command wrote"),
        (["--out", "{}/thesis"], "thesis is there, and is no folder. Name a new or an empty folder."),
        (["--out", "{}/thesis/site"], "cannot write"),
    ],
)
def test_what_cannot_be_done_is_said(shown, tmp_path, monkeypatch, capsys, arguments, message):
    (tmp_path / "thesis").write_text("all of it")
    monkeypatch.setenv("SKYPORT_DATA", str(shown.folder / "data"))
    assert main(["catalogue", *(word.format(tmp_path) for word in arguments)]) in (1, 2)
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_it_works_opened_from_a_disk(site):
    with chromium() as browser:
        visitor = Visitor(browser)
        page = visitor.page
        page.goto((site / "index.html").as_uri())
        page.get_by_role("searchbox").fill("script")
        expect(page.get_by_role("status")).to_contain_text("1 of 2 fit")
        expect(page.get_by_text(HARM).first).to_be_visible()
        page.get_by_role("searchbox").fill("samtools")
        page.get_by_role("link", name="1.17", exact=True).click()
        assert visitor.barriers() == []
        page.get_by_role("link", name="Packages").click()
        page.get_by_role("link", name="o", exact=True).click()
        expect(page.get_by_role("link", name="lab/samtools:1.16.1")).to_be_visible()
        assert "harmed" not in page.title()
        visitor.close()
        assert visitor.complaints == []
        assert all(asked.startswith(site.as_uri()) for asked in visitor.requested)
