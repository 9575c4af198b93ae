"""A store with images, and its pages, once for all tests of a module."""

from collections.abc import Iterator

import pytest

from tests.support.shown_images import Shown, shown_images
from tests.support.store_people import fast_folder


@pytest.fixture(scope="module")
def shown() -> Iterator[Shown]:
    with fast_folder() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKYPORT_CACHE", str(folder / "cache"))
        with shown_images(folder) as found:
            yield found
