"""`skyport-wf lint` in a folder of its own."""

from pathlib import Path

import pytest

from tests.support.lint_folder import LintFolder


@pytest.fixture
def folder(tmp_path: Path) -> LintFolder:
    return LintFolder(tmp_path)
