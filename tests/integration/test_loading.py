"""Layers made at random: what is said of them without an engine is what the engine says."""

import io
import random
import subprocess
from collections.abc import Sequence

import pytest

from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive.layers import check_archive
from tests.support.docker_archives import Image, legacy, tar_of
from tests.support.engine import uses_containerd_store
from tests.support.layer_words import layer
from tests.support.odd_layers import SOUND, UNSOUND

WORDS = (
    *("a", "b", "d/", "d/a", "d/b", "d/e/a", "/a", "d>b", "l>d", "l>/d", "b=a", "d/b=a", "b=/a", "d/e/b=d/a", "a=d/b"),
    *(".wh.a", ".wh.d", "d/.wh.a", "d/.wh..wh..opq", "d!", "b/c", "l/x", "l/.wh.x", "./a", "d/../b"),
    *("b=b/c", "l/a=d/a"),
)
IMAGES = 50


def words(chance: random.Random) -> list[list[str]]:
    """Return some layers, of which about half can be loaded."""
    return [chance.sample(WORDS, chance.randint(1, 3)) for _ in range(chance.randint(1, 2))]


def can_be_loaded(layers: Sequence[bytes], name: str) -> tuple[bool, str]:
    archive = tar_of(legacy(Image(tuple(layers)), tags=[name]))
    done = subprocess.run(["docker", "load", "--quiet"], input=archive, capture_output=True, check=False)
    return done.returncode == 0, done.stderr.decode()


@pytest.mark.usefixtures("engine")
def test_random_layers(namespace: str) -> None:
    """A failure names the seed and the words, which tests/unit/image/test_loading.py takes."""
    if uses_containerd_store():
        pytest.skip("such an engine unpacks layers only when a container starts")
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    loaded = 0
    for number in range(IMAGES):
        drawn = words(chance)
        # Layers that an engine has already are not unpacked again: a first one of its own makes all of them new.
        layers = [layer([f"first-{seed}-{number}"]), *map(layer, drawn)]
        wanted, said = can_be_loaded(layers, f"{namespace}/{number}:1")
        try:
            check_archive(io.BytesIO(tar_of(legacy(Image(tuple(layers))))))
            found = "it can be loaded"
        except ArchiveError as error:
            found = str(error)
        assert (found == "it can be loaded") == wanted, (
            f"seed {seed}, {drawn}: {found}; the engine: {said or 'loads it'}"
        )
        loaded += wanted
    # Neither kind is rare, or the test would prove little.
    assert IMAGES // 5 < loaded < IMAGES * 4 // 5


@pytest.mark.usefixtures("engine")
def test_odd_layers(namespace: str) -> None:
    """A failure names the place in the list, which tests/unit/image/test_layer_files.py takes, too."""
    if uses_containerd_store():
        pytest.skip("such an engine unpacks layers only when a container starts")
    cases = [*((pieces, True) for pieces, _ in SOUND), *((pieces, False) for pieces, _ in UNSOUND)]
    for place, (pieces, is_sound) in random.sample([*enumerate(cases)], IMAGES // 2):
        # What goes on after an empty block has no end of its own.
        content = b"".join(pieces) + (b"" if bytes(512) in pieces else bytes(1024))
        wanted, said = can_be_loaded([layer([f"first-{namespace}-{place}"]), content], f"{namespace}/odd-{place}:1")
        assert wanted == is_sound, f"{place}: {said or 'the engine loads it'}"
