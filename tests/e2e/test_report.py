"""Snakemake's report of published images, looked at with a real browser."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.docker_archives import Image, file_member, legacy, tar_of
from tests.support.pipeline import Pipeline, module
from tests.support.timing import PATIENCE

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("report")]

STATUS = b"Package: samtools\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.16.1-1\n\n"
OPEN_IMAGES = """<script>
const opening = setInterval(() => { if (app) { clearInterval(opening); app.showCategory("Images"); } }, 50);
</script>"""
"""As a click on Results, Images does; `app` is there once the page has been drawn."""


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


@pytest.fixture(scope="module")
def open_in_browser(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], tuple[str, list[str]]]:
    """Return what opens a page in Debian's chromium, and returns the page as it then is, and what its console says."""
    if not shutil.which("chromium"):
        reason = "there is no chromium; `make test` installs it"
        pytest.fail(reason) if "CI" in os.environ else pytest.skip(reason)
    profile = tmp_path_factory.mktemp("chromium")
    # Its own sandbox refuses root.
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []

    def open_page(page: Path) -> tuple[str, list[str]]:
        done = subprocess.run(
            ["chromium", "--headless", *sandbox, "--disable-gpu", f"--user-data-dir={profile}", "--dump-dom",
             "--virtual-time-budget=10000", "--enable-logging=stderr", page.as_uri()],
            env={**os.environ, "HOME": str(profile)}, capture_output=True, text=True, timeout=PATIENCE, check=True,
        )  # fmt: skip
        return done.stdout, re.findall(r":CONSOLE:\d+\] (.*)", done.stderr)

    return open_page


def make_report(pipeline: Pipeline, name: str, *arguments: str) -> Path:
    done = pipeline.run_snakemake("images_show_all", "--report", name, *arguments)
    assert done.code == 0, done.out + done.log
    return pipeline.folder / name


def visible(page: str) -> str:
    """Return the text of the page that Snakemake's scripts have made."""
    shown = page.partition('<div id="app">')[2].partition("<script")[0]
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", shown, flags=re.DOTALL).split())


def test_the_report_opens_on_a_table_of_images_in_a_browser(
    pipeline: Pipeline, open_in_browser: Callable[[Path], tuple[str, list[str]]]
) -> None:
    report = make_report(pipeline, "report.html")
    page, console = open_in_browser(report)
    # Snakemake's own stylesheet says this on each page, and nothing else is to be said.
    assert [line for line in console if not line.startswith('"cdn.tailwindcss.com should not be used')] == []
    text = visible(page)
    assert "Image Size Wasted Packages Lint Published Use lab/empty:1 sha256:" in text
    row = text.partition("lab/samtools:1.16")[2]
    for words in ("2 layers", "4.0 kB", "1 Debian", "nothing found", "on the embedded Shock", "for everyone"):
        assert words in row
    assert "skyport-wf run lab/samtools:1.16 -- COMMAND AWE: lab/samtools:1.16" in row
    node = pipeline.receipt("results/skyport/lab_samtools_1.16/receipt.json")["node"]
    assert node in row


def test_the_report_has_charts_with_captions_receipts_and_packages(
    pipeline: Pipeline, open_in_browser: Callable[[Path], tuple[str, list[str]]]
) -> None:
    report = make_report(pipeline, "files.html")
    with report.open("a") as file:
        file.write(OPEN_IMAGES)
    text = visible(open_in_browser(report)[0])
    listed = text.partition("image file")[2]
    for file in ("layers", "packages", "receipt"):
        assert f"lab/empty:1 {file}" in listed
        assert f"lab/samtools:1.16 {file}" in listed
    assert "all table" in listed
    assert 'The layers of <tt class=\\"docutils literal\\">lab/samtools:1.16</tt>' in report.read_text()


def test_a_pipeline_that_says_something_of_its_own_there_is_left_alone(pipeline: Pipeline) -> None:
    (pipeline.folder / "own.rst").write_text("Our own words.\n")
    (pipeline.folder / "own.smk").write_text('report: "own.rst"\n' + (pipeline.folder / "Snakefile").read_text())
    text = make_report(pipeline, "own.html", "--snakefile", "own.smk").read_text()
    description = text.partition("var workflow_desc = ")[2].partition("</script>")[0]
    assert "Our own words." in description
    assert "skyport-images" not in description
