"""The examples of sources, builders and findings: what their READMEs show is what happens, on a real engine."""

import json
import os
import shutil
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import EXAMPLES, SKYPORT
from tests.support.engine import docker
from tests.support.transcript import check_transcript

KEY = b"4711-0815-XY"
"""The licence key of examples/buildkit."""


@pytest.fixture
def project(request: pytest.FixtureRequest, tmp_path: Path, engine: str) -> Iterator[Path]:
    """Return a copy of an example, as a user makes one; what it makes in the engine is removed."""
    assert docker("image", "ls", "--quiet", "debian:bookworm"), "the base image is missing; `make test` makes it"
    folder = shutil.copytree(EXAMPLES / request.param, tmp_path / "example")
    yield folder
    listed = subprocess.run([SKYPORT, "plan", "--json"], cwd=folder, capture_output=True, check=True).stdout
    names = [image["name"] for image in json.loads(listed)["images"]]
    # Others of these projects may be at work at the same time.
    containers = ["example-handmade"] if request.param == "snapshots" else []
    for remove in (["rm", "--force", *containers], ["image", "rm", "--force", *names]):
        subprocess.run(["docker", *remove], capture_output=True, check=False)


def check_readme(project: Path) -> None:
    check_transcript(project / "README.md", SKYPORT_DATA=str(project.parent / "store"))


def contents(folder: Path) -> Iterator[bytes]:
    """Yield the content of every file below a folder; what is gzipped, as a whole or in members, unpacked too."""
    for path in (path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        yield content
        while content.startswith(b"\x1f\x8b"):
            member = zlib.decompressobj(wbits=31)
            yield member.decompress(content)
            content = member.unused_data


@pytest.mark.parametrize("project", ["snapshots", "flatten"], indirect=True)
def test_what_the_readme_shows(project: Path) -> None:
    check_readme(project)


@pytest.mark.parametrize("project", ["registry"], indirect=True)
def test_what_the_readme_shows_of_a_registry(project: Path) -> None:
    try:
        check_readme(project)
    finally:
        for image in ("greet:1.0", "debian:12"):
            docker("image", "rm", "--force", f"127.0.0.1:7448/example/{image}")


def test_what_the_readme_shows_of_a_mirror(tmp_path: Path, engine: str) -> None:
    """Not by `project`, whose clean-up asks the registry."""
    folder = shutil.copytree(EXAMPLES / "mirror", tmp_path / "example")
    try:
        check_transcript(
            folder / "README.md", SKYPORT_DATA=str(tmp_path / "store"), SKYPORT_CACHE=str(tmp_path / "cache")
        )
    finally:
        docker("image", "rm", "--force", "example/next:12")


@pytest.mark.parametrize("project", ["buildkit"], indirect=True)
def test_what_the_readme_shows_of_buildkit_and_no_file_has_the_secret(project: Path) -> None:
    check_readme(project)
    # Only here does the key stand, as the reader is to type it.
    (project / "README.md").unlink()
    kept = list(contents(project.parent))
    assert any(b"2024-11-13" in content for content in kept), "the image's files are among them"
    assert not any(KEY in content for content in kept)


@pytest.mark.parametrize("project", ["whats-inside"], indirect=True)
def test_what_the_readme_shows_of_what_is_inside(project: Path) -> None:
    check_readme(project)
    records = project / "results/skyport/example_seqcount_2.1"
    wasted = json.loads((records / "show.json").read_text())["largest_wasted"]
    assert (wasted[0]["path"], wasted[0]["layer"], wasted[0]["hidden_by"]) == ("reference.txt", 2, 3)
    report = (project / "report.html").read_text()
    assert all(f"skyport/{key}/layers.svg" in report for key in ("example_seqcount_2.1", "example_gcreport_0.4"))
    for name in ("example/seqcount:2.1", "example/gcreport:0.4"):
        assert f'{{"image": "{name}", "file": "layers"}}' in report


@pytest.mark.parametrize("project", ["buildkit/heredoc"], indirect=True)
def test_heredocs_are_built_or_the_message_says_what_they_need(project: Path) -> None:
    done = subprocess.run(
        [SKYPORT, "publish", "--all"], cwd=project, capture_output=True, text=True, check=False,
        env={**os.environ, "SKYPORT_DATA": str(project.parent / "store"), "SHOCK_URL": ""},
    )  # fmt: skip
    if int(docker("version", "--format", "{{.Server.Version}}").split(".")[0]) >= 23:
        assert done.returncode == 0, done.stderr
        counted = subprocess.run(
            ["docker", "run", "--rm", "--interactive", "example/heredoc:1.0", "count"],
            input=">a\nACGT\n>b\n", capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert counted.stdout == "2\n"
    else:
        assert done.returncode == 1
        assert "on an engine before Docker 23, also the first line `# syntax=docker/dockerfile:1`" in done.stderr


def test_the_index_names_every_example() -> None:
    index = (EXAMPLES / "README.md").read_text()
    for folder in (path for path in EXAMPLES.iterdir() if path.is_dir()):
        assert f"({folder.name}/" in index, f"examples/README.md does not name {folder.name}"
