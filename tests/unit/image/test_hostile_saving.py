"""What archives that were made to do harm can take from those who describe, save and publish them."""

import gzip
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive import limits
from skyport_wf.image.archive.completed import CompletedArchive
from skyport_wf.image.archive.limits import UnpackingLimit, check_expansion
from skyport_wf.image.archive.reader import ArchiveReader, inspect_archive
from skyport_wf.image.archive.stream import open_archive
from tests.support import hostile_archives
from tests.support.commands import CHECKOUT
from tests.support.docker_archives import Image, file_member, layer_tar, oci, tar_of
from tests.support.hostile_archives import KINDS, NOTHING, header
from tests.support.timing import PATIENCE

pytestmark = pytest.mark.slow

STEPS = ["describe", "save", "publish", "publish thin"]


# What a step does to all of them takes seconds, and is done once.
@pytest.fixture(scope="module", params=[pytest.param(it, marks=pytest.mark.xdist_group(it)) for it in STEPS])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return how the step ended on each kind of archive, and the peak of its memory, all in a process of their own."""
    folder = tmp_path_factory.mktemp("hostile")
    command = [sys.executable, "-m", hostile_archives.__name__, request.param, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE, cwd=CHECKOUT)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return {"step": request.param} | result


def test_each_is_refused_soon_and_leaves_nothing(found: dict[str, Any]) -> None:
    for kind, (_, message) in KINDS.items():
        end = found["found"][kind]
        assert message in end["said"], kind
        assert end["seconds"] < 60, kind
        kept = ["image.tar.gz"] if found["step"] == "save" and message == NOTHING else []
        assert end["left"] == kept, kind


def test_memory_is_flat(found: dict[str, Any]) -> None:
    assert found["peak"] < 80


def test_the_limits_are_beyond_any_image() -> None:
    assert limits.MAX_UNPACKED == 200 * 10**9
    check_expansion("a file of zeros", stored=1, unpacked=20 * 10**9)
    check_expansion("a large image", stored=10**9, unpacked=199 * 10**9)
    UnpackingLimit("the largest").take(200 * 10**9)
    with pytest.raises(ArchiveError, match=r"^a bomb unpacks to more than 200 GB\. It is no image that anyone"):
        UnpackingLimit("a bomb").take(200 * 10**9 + 1)
    with pytest.raises(ArchiveError, match=r"^zeros unpacks to more than 20 GB, 200 times its size\. It is no image"):
        check_expansion("zeros", stored=10**8, unpacked=20 * 10**9 + 1)


def test_every_reader_of_archives_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_UNPACKED", 10**6)
    layer = layer_tar({"zeros": bytes(2 * 10**6)})
    for archive in (
        tar_of(oci(Image((layer,)))),
        tar_of(oci(Image((layer,)), compress=lambda data: gzip.compress(data, 9, mtime=0))),
    ):
        for stream in (io.BytesIO(archive), CompletedArchive([io.BytesIO(archive)], reference="a/b:1")):
            with pytest.raises(ArchiveError, match=r"the archive unpacks to more than 0\.001 GB"):
                inspect_archive(stream)


def test_a_layer_counts_once_if_it_is_stored_and_twice_if_it_is_compressed() -> None:
    layer = layer_tar({"zeros": bytes(10**6)})
    stored = tar_of(oci(Image((layer,))))
    for size, fits in {len(stored): True, len(stored) - 1: False}.items():
        assert whole(stored, size) is fits
    compressed = tar_of(oci(Image((layer,)), compress=lambda data: gzip.compress(data, 9, mtime=0)))
    assert whole(compressed, len(compressed) + len(layer))
    assert not whole(compressed, len(compressed) + len(layer) - 1)


def whole(archive: bytes, limit: int) -> bool:
    reader = ArchiveReader(io.BytesIO(archive), max_unpacked=limit)
    try:
        for _ in reader.layers():
            pass
        reader.image()
    except ArchiveError as error:
        assert "unpacks to more than" in str(error)
        return False
    return True


def test_a_file_that_is_a_bomb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(limits, "EXPANSION_ABOVE", 10**8)
    bomb = tmp_path / "bomb.tar.gz"
    bomb.write_bytes(gzip.compress(header("0/layer.tar", size=1 << 50)) + gzip.compress(bytes(3 * 10**8), 9))
    with (
        open_archive(bomb) as stream,
        pytest.raises(ArchiveError, match=r"bomb\.tar\.gz unpacks to more than 0\.1 GB, 200 times its size\."),
    ):
        inspect_archive(stream)


def test_a_file_of_zeros_is_none(tmp_path: Path) -> None:
    image = Image((tar_of([file_member("zeros", bytes(10**8))]),))
    path = tmp_path / "image.tar.gz"
    path.write_bytes(gzip.compress(tar_of(oci(image)), 9))
    assert path.stat().st_size * 200 < 10**8
    with open_archive(path) as stream:
        assert inspect_archive(stream).image_id == image.image_id
