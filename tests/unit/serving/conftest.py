"""A store to serve for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from skyport_wf.store.opening import Store, open_store
from tests.support.store_people import fast_folder


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In place of pytest's own, which is on a disk."""
    with fast_folder() as folder:
        yield folder


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "data") as store:
        yield store
