"""The example of Dockerfiles from elsewhere: its server, and what its README shows."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import EXAMPLES
from tests.support.engine import docker
from tests.support.timing import wait_until
from tests.support.transcript import check_transcript

EXAMPLE = EXAMPLES / "remote-sources"
PORT = "8008"
NAMES = ("example/gc-count:1.0", "example/reverse:1.0", "example/complement:1.0")


@pytest.fixture
def project(tmp_path: Path, engine: str) -> Iterator[Path]:
    """Return a copy of the example at a port that is free; its images are removed afterwards."""
    assert docker("image", "ls", "--quiet", "debian:bookworm"), "the base image is missing; `make test` makes it"
    folder = shutil.copytree(EXAMPLE, tmp_path / "example")
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = str(unused.getsockname()[1])
    for name in ("images.yaml", "README.md", "serve"):
        file = folder / name
        file.write_text(file.read_text().replace(PORT, port))
    yield folder
    docker("image", "rm", "--force", *NAMES)


@pytest.fixture
def server(project: Path) -> "Iterator[subprocess.Popen[str]]":
    """Start the example's server, and see that nothing of it is left."""
    temporary = project.parent / "tmp"
    temporary.mkdir()
    with subprocess.Popen(
        [project / "serve"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    ) as process:  # fmt: skip
        yield process
        process.terminate()
    assert list(temporary.iterdir()) == []


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_the_server_has_the_commit_of_the_list_and_the_readme_shows_what_happens(
    project: Path, server: "subprocess.Popen[str]"
) -> None:
    assert server.stdout
    commit = server.stdout.readline().removeprefix("commit ").strip()
    listed = (project / "images.yaml").read_text()
    assert f"tools.git#{commit}:reverse" in listed, "the commit depends on more than repository/ and the script"
    wait_until(lambda: answers(int(listed.partition("127.0.0.1:")[2].partition("/")[0])))
    check_transcript(
        project / "README.md", SKYPORT_DATA=str(project.parent / "store"), SKYPORT_CACHE=str(project.parent / "cache")
    )
