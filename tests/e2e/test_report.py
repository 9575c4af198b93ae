"""Snakemake's report of published images, looked at with a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.browser import Visitor, chromium
from tests.support.docker_archives import Image, file_member, legacy, tar_of
from tests.support.pipeline import Pipeline, module

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("report")]

STATUS = b"Package: samtools\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.16.1-1\n\n"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A pipeline that has published two images: one with a package and a wasted file, one from a Dockerfile's words."""
    made = Pipeline(tmp_path_factory.mktemp("report") / "pipeline")
    below = tar_of([file_member("var/lib/dpkg/status", STATUS), file_member("reads.fa", b"A" * 4000)])
    above = tar_of([file_member("reads.fa", b"short")])
    for file, layers in {"samtools.tar": (below, above), "empty.tar": (above,)}.items():
        (made.folder / file).write_bytes(tar_of(legacy(Image(layers))))
    made.write_list("name: 'lab/samtools:1.16', archive: samtools.tar", "name: 'lab/empty:1', archive: empty.tar")
    made.write_snakefile(module("images", rules="show"))
    made.snakemake("images_show_all")
    return made


@pytest.fixture
def visitor() -> Iterator[Visitor]:
    with chromium() as browser:
        visitor = Visitor(browser)
        yield visitor
        visitor.close()


def make_report(pipeline: Pipeline, name: str, *arguments: str) -> Path:
    done = pipeline.run_snakemake("images_show_all", "--report", name, *arguments)
    assert done.code == 0, done.out + done.log
    return pipeline.folder / name


def test_the_report_opens_on_a_table_of_images_in_a_browser(pipeline: Pipeline, visitor: Visitor) -> None:
    page = visitor.page
    page.goto(make_report(pipeline, "report.html").as_uri())
    heads = page.locator(".skyport-images th").all_inner_texts()
    assert heads == ["Image", "Size", "Wasted", "Packages", "Lint", "Published", "Use"]
    empty, samtools = page.locator(".skyport-images tbody tr").all_inner_texts()
    assert empty.startswith("lab/empty:1\n")
    for words in ("2 layers", "4.0 kB", "1 Debian", "nothing found", "on the embedded Shock", "for everyone"):
        assert words in samtools
    assert "skyport-wf run lab/samtools:1.16 -- COMMAND\nAWE: lab/samtools:1.16" in samtools
    assert pipeline.receipt("results/skyport/lab_samtools_1.16/receipt.json")["node"] in samtools
    table, graph = page.locator(".skyport-images").bounding_box(), page.locator("canvas").bounding_box()
    assert table and graph
    assert table["y"] + table["height"] < graph["y"], "the graph of rules is below the table, not on it"

    # Snakemake's menu takes some of a narrow window, and what lies under it could not be scrolled to.
    menu = page.get_by_role("link", name="Results").bounding_box()
    page.set_viewport_size({"width": 900, "height": 800})
    narrow = page.locator(".skyport-images").bounding_box()
    assert menu and narrow
    assert narrow["x"] > menu["x"] + menu["width"], "the table is beside the menu"

    page.get_by_role("link", name="Results").click()
    page.get_by_role("link", name="Images").click()
    for image in ("lab/empty:1", "lab/samtools:1.16"):
        for file in ("layers", "packages", "receipt"):
            expect(page.get_by_role("row", name=f"{image} {file}")).to_be_visible()
    page.get_by_role("row", name="lab/samtools:1.16 layers").locator("a").first.click()
    expect(page.locator("img[src*='layers'], img[src^='data:image/svg+xml']").last).to_be_visible()
    # Snakemake's own style sheet complains of itself on each page.
    assert [line for line in visitor.complaints if "cdn.tailwindcss.com" not in line] == []


def test_each_chart_has_a_caption(pipeline: Pipeline) -> None:
    text = make_report(pipeline, "captions.html").read_text()
    for name in ("lab/empty:1", "lab/samtools:1.16"):
        assert f'The layers of <tt class=\\"docutils literal\\">{name}</tt>' in text


def test_a_pipeline_that_says_something_of_its_own_there_is_left_alone(pipeline: Pipeline) -> None:
    (pipeline.folder / "own.rst").write_text("Our own words.\n")
    (pipeline.folder / "own.smk").write_text('report: "own.rst"\n' + (pipeline.folder / "Snakefile").read_text())
    text = make_report(pipeline, "own.html", "--snakefile", "own.smk").read_text()
    description = text.partition("var workflow_desc = ")[2].partition("</script>")[0]
    assert "Our own words." in description
    assert "skyport-images" not in description
