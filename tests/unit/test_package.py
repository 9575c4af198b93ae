"""A source archive of the project, and the wheel that pip makes of it."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.support.commands import CHECKOUT
from tests.support.timing import PATIENCE

pytestmark = pytest.mark.slow


def build(kind: str, project: Path, folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    subprocess.run(command, cwd=project, check=True, capture_output=True, timeout=PATIENCE)
    (made,) = folder.iterdir()
    return made


def files_of(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_source_archive_makes_the_wheel_that_a_checkout_makes(tmp_path: Path) -> None:
    with tarfile.open(build("sdist", CHECKOUT, tmp_path / "sdist")) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    files = files_of(build("wheel", unpacked, tmp_path / "from-sdist"))
    assert files == files_of(build("wheel", CHECKOUT, tmp_path / "from-checkout"))
    assert {"skyport_wf/rules/publish.smk", "skyport_wf/workflows/publish-image.cwl"} <= files
    assert {"skyport_wf/pages/templates/base.html", "skyport_wf/pages/static/page.css"} <= files
