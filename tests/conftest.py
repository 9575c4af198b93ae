"""What tests of several kinds need: an engine that answers, and small images that an AWE task could start in."""

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from skyport_wf.engine.connection import connect
from skyport_wf.errors import SkyportError

PROGRAMS = {"busybox": "/bin/busybox", "bash": "/bin/bash-static"}
"""Programs that need no library, as Debian's packages busybox-static and bash-static install them."""


@pytest.fixture(scope="session")
def engine() -> str:
    """Return DOCKER_HOST of an engine that answers."""
    try:
        connect().close()
    except SkyportError as error:
        pytest.fail(f"{error} `make test` starts one.") if "CI" in os.environ else pytest.skip(str(error))
    return os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")


@pytest.fixture
def namespace(engine: str) -> Iterator[str]:
    """Return the first part of image names that no other test uses; its images are removed afterwards."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    listed = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
    if mine := [image for image in listed if image.startswith(f"{name}/")]:
        docker("image", "rm", "--force", *mine)


def docker(*arguments: str) -> str:
    """Run the docker command and return what it printed."""
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


def write_image_context(folder: Path, *, base: str = "scratch", data: str = "data") -> None:
    """Write a Dockerfile and its context: bash and busybox on `scratch`, or `data` alone on another image."""
    (folder / "data/deep").mkdir(parents=True)
    (folder / "data/deep/file").write_text(data)
    lines = [f"FROM {base}", "COPY data /data"]
    if base == "scratch":
        for name, path in PROGRAMS.items():
            shutil.copy(path, folder / name)
        lines += [f"COPY {name} /bin/{name}" for name in PROGRAMS]
        lines += ['RUN ["/bin/busybox", "--install", "-s", "/bin"]', 'CMD ["/bin/bash"]']
    (folder / "Dockerfile").write_text("\n".join(lines) + "\n")
