"""What tests of several kinds need: an engine that answers, and names in it that nobody else uses."""

import os
import uuid
from collections.abc import Iterator

import pytest

from skyport_wf.engine.connection import connect
from skyport_wf.errors import SkyportError
from tests.support.engine import docker


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
