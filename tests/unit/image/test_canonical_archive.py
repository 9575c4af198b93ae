import errno
import gc
import gzip
import hashlib
import io
import os
import resource
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from skyport_wf.errors import ArchiveError, SkyportError
from skyport_wf.image.archive.canonical import save_canonical
from skyport_wf.image.archive.compression import open_gzip_member
from skyport_wf.image.archive.layout import tar_header
from skyport_wf.image.archive.reader import inspect_archive
from skyport_wf.image.archive.stream import open_archive
from skyport_wf.image_list.reference import parse_reference
from skyport_wf.output_file import OutputFile, replace_file, scratch_file
from tests.support.commands import CHECKOUT
from tests.support.docker_archives import (
    LAYOUTS,
    Image,
    canonical,
    example_image,
    file_member,
    layer_tar,
    legacy,
    oci,
    sha256,
    tar_of,
)

REFERENCE = parse_reference("skyport/tool:1.0")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_becomes_the_same_bytes(layout: str, tmp_path: Path) -> None:
    image = example_image()
    target = tmp_path / "image.tar.gz"
    saved = save_canonical(io.BytesIO(LAYOUTS[layout](image)), REFERENCE, target)
    written = target.read_bytes()
    archive = gzip.decompress(written)
    assert archive == canonical(image)
    assert saved.contents == inspect_archive(io.BytesIO(LAYOUTS[layout](image)))
    assert (saved.digests.size, saved.digests.archive_size) == (len(written), len(archive))
    assert saved.digests.md5 == hashlib.md5(written).hexdigest()
    assert saved.digests.sha256 == f"sha256:{sha256(written)}"
    assert saved.digests.archive_sha256 == f"sha256:{sha256(archive)}"
    assert saved.digests.canonical
    assert names_in(tmp_path) == ["image.tar.gz"]


def test_canonical_bytes_stay_as_they_are(tmp_path: Path) -> None:
    image = Image((bytes(1024), bytes(2048), bytes(1024)))
    saved = save_canonical(io.BytesIO(tar_of(oci(image))), REFERENCE, tmp_path / "a")
    assert saved.digests.archive_sha256 == "sha256:c36293dbb1499a9ac7f7bafff37a6ab00ef0394e9e7f5941a150412215f29ad8"


def test_canonicalising_twice_changes_nothing(tmp_path: Path) -> None:
    first = save_canonical(io.BytesIO(tar_of(legacy(example_image()))), REFERENCE, tmp_path / "first")
    with open_archive(tmp_path / "first") as stream:
        second = save_canonical(stream, REFERENCE, tmp_path / "second")
    assert second.digests == first.digests
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_the_name_is_the_one_that_was_asked_for(tmp_path: Path) -> None:
    save_canonical(io.BytesIO(tar_of(legacy(example_image(), tags=None))), REFERENCE, tmp_path / "a")
    with open_archive(tmp_path / "a") as stream:
        assert inspect_archive(stream).repo_tags == ("skyport/tool:1.0",)


def test_an_image_without_layers(tmp_path: Path) -> None:
    image = Image(())
    save_canonical(io.BytesIO(tar_of(legacy(image))), REFERENCE, tmp_path / "a")
    assert gzip.decompress((tmp_path / "a").read_bytes()) == canonical(image)


def test_layers_that_no_manifest_names_are_dropped(tmp_path: Path) -> None:
    image = example_image()
    archive = tar_of([file_member("stray/layer.tar", layer_tar({"stray": b"x"})), *legacy(image)])
    save_canonical(io.BytesIO(archive), REFERENCE, tmp_path / "a")
    assert gzip.decompress((tmp_path / "a").read_bytes()) == canonical(image)


@pytest.mark.parametrize("garbage", [b"garbage", b""])
def test_a_damaged_file_that_no_manifest_names_is_dropped(garbage: bytes, tmp_path: Path) -> None:
    """Also if all of a layer's bytes come out of it before that is known."""
    image = example_image()
    damaged = gzip.compress(image.layers[0]) + garbage if garbage else gzip.compress(image.layers[0])[:-4]
    archive = tar_of([file_member("stray", damaged), *oci(image, compress=gzip.compress)])
    save_canonical(io.BytesIO(archive), REFERENCE, tmp_path / "a")
    assert gzip.decompress((tmp_path / "a").read_bytes()) == canonical(image)


def test_an_older_file_is_replaced_and_one_that_was_given_up_removed(tmp_path: Path) -> None:
    target = tmp_path / "image.tar.gz"
    target.write_bytes(b"old")
    (tmp_path / ".image.tar.gz.0a1b2c3d.part").write_bytes(b"left by a killed process")
    (tmp_path / ".image.tar.gz.notes").write_bytes(b"someone else's")
    save_canonical(io.BytesIO(canonical(example_image())), REFERENCE, target)
    assert names_in(tmp_path) == [".image.tar.gz.notes", "image.tar.gz"]
    assert target.read_bytes() != b"old"


def test_two_writers_of_one_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    target = tmp_path / "image.tar.gz"
    with replace_file(target) as slow:
        slow.write(b"slow, ")
        with replace_file(target) as fast:
            fast.write(b"fast")
        assert target.read_bytes() == b"fast"
        slow.write(b"but whole")
    assert target.read_bytes() == b"slow, but whole"
    assert names_in(tmp_path) == ["image.tar.gz"]


def test_a_killed_writer_leaves_nothing_that_stays(tmp_path: Path) -> None:
    target = tmp_path / "image.tar.gz"
    killed = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from skyport_wf.output_file import replace_file, scratch_file\n"
        "target = Path(sys.argv[1])\n"
        "with scratch_file(target.parent) as scratch, replace_file(target) as file:\n"
        "    scratch.write(b'x'), file.write(b'x'), os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", killed, str(target)], check=False).returncode == -signal.SIGKILL
    assert len(names_in(tmp_path)) == 1
    save_canonical(io.BytesIO(canonical(example_image())), REFERENCE, target)
    assert names_in(tmp_path) == ["image.tar.gz"]


def test_the_file_is_readable_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        save_canonical(io.BytesIO(canonical(example_image())), REFERENCE, tmp_path / "a")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


class BreakingStream(io.BytesIO):
    """Raises what a broken connection raises, after its last byte."""

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if not data:
            raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
        return data


@pytest.mark.parametrize("part", [0.0, 0.3, 0.9])
def test_what_the_source_raises_passes_and_nothing_is_left(part: float, tmp_path: Path) -> None:
    archive = tar_of(legacy(example_image()))
    with pytest.raises(ConnectionResetError):
        save_canonical(BreakingStream(archive[: int(len(archive) * part)]), REFERENCE, tmp_path / "image.tar.gz")
    assert_nothing_left(tmp_path)


def test_a_truncated_or_wrong_archive_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "image.tar.gz"
    target.write_bytes(b"old")
    archive = tar_of(legacy(example_image()))
    for wrong in (archive[:-100_000], archive.replace(b"echo tool", b"echo fool"), b""):
        with pytest.raises(ArchiveError):
            save_canonical(io.BytesIO(wrong), REFERENCE, target)
        assert names_in(tmp_path) == ["image.tar.gz"]
    assert target.read_bytes() == b"old"


def assert_nothing_left(folder: Path) -> None:
    assert names_in(folder) == []


@contextmanager
def longest_file(size: int) -> Iterator[None]:
    """Have the kernel refuse longer files: EFBIG, as Python ignores SIGXFSZ."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


NOISE = Image((layer_tar({"noise": os.urandom(300_000)}), layer_tar({"more": os.urandom(300_000)})))


@pytest.mark.parametrize("limit", [1000, 400_000, 600_900])
def test_a_file_that_may_not_grow(limit: int, tmp_path: Path) -> None:
    archive = tar_of(legacy(NOISE))
    with (
        pytest.raises(SkyportError, match=f"cannot write {tmp_path}.*: File too large. Make room"),
        longest_file(limit),
    ):
        save_canonical(io.BytesIO(archive), REFERENCE, tmp_path / "image.tar.gz")
    assert_nothing_left(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
@pytest.mark.parametrize("size", ["64k", "400k", "800k"])
def test_a_full_disk(size: str, tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(tmp_path)], check=True)
    try:
        with pytest.raises(SkyportError, match=f"cannot write {tmp_path}.*: No space left on device. Make room"):
            save_canonical(io.BytesIO(tar_of(legacy(NOISE))), REFERENCE, tmp_path / "image.tar.gz")
        assert_nothing_left(tmp_path)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_device_that_is_always_full() -> None:
    with Path("/dev/full").open("wb", buffering=0) as device:
        file = OutputFile(device, Path("/dev"))
        with pytest.raises(SkyportError, match=r"cannot write /dev.*: No space left on device"):
            file.write(b"x")


def test_a_closed_file_is_not_taken_for_the_one_that_has_its_descriptor_now(tmp_path: Path) -> None:
    with scratch_file(tmp_path) as file:
        number = file.descriptor
    with (tmp_path / "other").open("wb", buffering=0) as other:
        assert other.fileno() == number
        with pytest.raises(ValueError, match="closed file"):
            file.write(b"x")
        with pytest.raises(ValueError, match="closed file"):
            _ = file.descriptor
    assert (tmp_path / "other").read_bytes() == b""


def test_a_compressor_that_could_not_begin_does_not_end_another_file(tmp_path: Path) -> None:
    """The library's ends what it writes when it is collected, also if it could not write the beginning."""
    with Path("/dev/full").open("wb", buffering=0) as device:
        number = device.fileno()
        with pytest.raises(SkyportError, match="No space left"), open_gzip_member(OutputFile(device, Path("/dev"))):
            pass
    with (tmp_path / "other").open("wb", buffering=0) as other:
        assert other.fileno() == number
        gc.collect()
    assert (tmp_path / "other").read_bytes() == b""


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(SkyportError, match=r"cannot write .*/none: No such file or directory"):
        save_canonical(io.BytesIO(canonical(example_image())), REFERENCE, tmp_path / "none" / "a")


def test_a_target_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(SkyportError, match=r"cannot write .*: Is a directory"):
        save_canonical(io.BytesIO(canonical(example_image())), REFERENCE, tmp_path / "a")
    assert names_in(tmp_path) == ["a"]


def test_a_header_for_a_layer_of_more_than_8_gib() -> None:
    for size in (8 * 2**30 - 1, 8 * 2**30, 10**15):
        header = tarfile.TarInfo.frombuf(tar_header("a" * 64 + ".tar", size), "utf-8", "strict")
        assert (header.name, header.size, header.mtime, header.mode) == ("a" * 64 + ".tar", size, 0, 0o644)
        assert (header.uid, header.gid, header.uname, header.gname) == (0, 0, "", "")


PEAK = """
import re, sys
sys.path.insert(0, sys.argv[1])
import docker, requests
from pathlib import Path
from tests.support.big_archive import BigArchive
from skyport_wf.image.archive.canonical import save_canonical
from skyport_wf.image.archive.compression import open_gzip_member
from skyport_wf.image.archive.normalise import NormalisedStream
from skyport_wf.image_list.reference import parse_reference
reference = parse_reference("skyport/tool:1.0")
source = BigArchive(layer_size=int(sys.argv[3]), layers=int(sys.argv[4]))
if sys.argv[2] == "save":
    saved = save_canonical(source, reference, Path(sys.argv[5]))
else:
    stream = NormalisedStream(source, reference)
    longest = max(len(piece) for piece in stream)
    assert longest < 1.2e6, longest
    saved = stream.result
assert saved.digests.archive_size > source.layer_size * source.layers
# Not getrusage's ru_maxrss, which starts with what the test runner had when it forked.
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("layer_size", "layers"), [(400 << 20, 1), (10_240, 2_000)])
@pytest.mark.parametrize("step", ["save", "publish"])
def test_memory_is_flat(step: str, layer_size: int, layers: int, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-c",
        PEAK,
        str(CHECKOUT),
        step,
        str(layer_size),
        str(layers),
        str(tmp_path / "image.tar.gz"),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) < 80
