"""A pipeline of somebody else, with two images of ours."""

from pathlib import Path

import pytest

from tests.support.pipeline import Pipeline, write_images


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    made = Pipeline(tmp_path / "pipeline")
    write_images(made.folder, "lab/x:1", "lab/y:1")
    return made
