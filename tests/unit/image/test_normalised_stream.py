import gc
import gzip
import hashlib
import io
import lzma
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive.canonical import save_canonical
from skyport_wf.image.archive.normalise import NormalisedStream, OtherLayersError
from skyport_wf.image.archive.reader import inspect_archive
from skyport_wf.image.contents import SavedArchive
from skyport_wf.image_list.reference import parse_reference
from tests.support.commands import CHECKOUT
from tests.support.docker_archives import (
    LAYOUTS,
    Image,
    canonical,
    example_image,
    file_member,
    layer_tar,
    legacy,
    manifest_of,
    member,
    oci,
    oci_archive,
    podman,
    sha256,
    tar_of,
    zstd,
)
from tests.support.timing import PATIENCE

REFERENCE = parse_reference("skyport/tool:1.0")


def normalise(archive: bytes) -> tuple[bytes, SavedArchive]:
    stream = NormalisedStream(io.BytesIO(archive), REFERENCE)
    written = b"".join(stream)
    return written, stream.result


def names(archive: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return tar.getnames()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_keeps_its_image(layout: str, tmp_path: Path) -> None:
    image = example_image()
    written, result = normalise(LAYOUTS[layout](image))
    archive = gzip.decompress(written)
    contents = inspect_archive(io.BytesIO(archive))
    assert contents.image_id == image.image_id
    assert contents.layers == result.contents.layers
    assert contents.repo_tags == ("skyport/tool:1.0",)
    saved = save_canonical(io.BytesIO(archive), REFERENCE, tmp_path / "a")
    assert saved.digests.archive_sha256 == f"sha256:{sha256(canonical(image))}"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_went_by_was_counted(layout: str) -> None:
    source = LAYOUTS[layout](example_image())
    written, result = normalise(source)
    archive = gzip.decompress(written)
    assert result.contents == inspect_archive(io.BytesIO(source))
    assert (result.digests.size, result.digests.archive_size) == (len(written), len(archive))
    assert result.digests.md5 == hashlib.md5(written).hexdigest()
    assert result.digests.sha256 == f"sha256:{sha256(written)}"
    assert result.digests.archive_sha256 == f"sha256:{sha256(archive)}"
    assert result.digests.canonical == (archive == canonical(example_image()))
    assert result.digests.canonical == layout.startswith("canonical")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_headers_say_nothing_of_when_and_who(layout: str) -> None:
    written, _ = normalise(LAYOUTS[layout](example_image()))
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(written))) as tar:
        for info in tar:
            assert info.isreg()
            assert (info.mtime, info.uid, info.gid, info.uname, info.gname, info.mode) == (0, 0, 0, "", "", 0o644)
            assert info.pax_headers == {}


def test_two_saves_of_one_image_are_the_same_bytes() -> None:
    def saved_at(time: int) -> bytes:
        members = legacy(example_image())
        for info, _ in members:
            info.mtime = time
        return tar_of(members)

    assert normalise(saved_at(1)) == normalise(saved_at(2_000_000_000))


def test_only_what_loading_needs_is_kept_in_the_order_it_came() -> None:
    image = example_image()
    config = f"{sha256(image.config)}.json"
    for members in (legacy(image), podman(image), oci(image)):
        stored = [info.name for info, data in members if info.isreg() and data in image.layers]
        written, _ = normalise(tar_of(members))
        assert names(gzip.decompress(written)) == [*stored, "manifest.json", config]


def test_a_link_to_a_layer_that_comes_later() -> None:
    image = example_image()
    written, result = normalise(tar_of(reversed(legacy(image))))
    assert result.contents.image_id == image.image_id
    assert all(
        name in ("manifest.json", f"{sha256(image.config)}.json") or name.endswith("/layer.tar")
        for name in names(gzip.decompress(written))
    )


@pytest.mark.parametrize("compress", [gzip.compress, zstd, lzma.compress])
def test_compressed_layers_are_unpacked(compress: Callable[[bytes], bytes]) -> None:
    image = example_image()
    written, result = normalise(tar_of(oci(image, compress=compress)))
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(written))) as tar:
        files = [tar.extractfile(info).read() for info in tar]  # type: ignore[union-attr]
    assert set(image.layers) < set(files)
    assert [layer.size for layer in result.contents.layers] == [len(layer) for layer in image.layers]


def test_a_canonical_layout_with_compressed_layers_becomes_canonical() -> None:
    image = Image((layer_tar({"a": b"b"}),))
    config, layer = f"{sha256(image.config)}.json", f"{sha256(image.layers[0])}.tar"
    members = [
        file_member("manifest.json", manifest_of(config, [layer])),
        file_member(config, image.config),
        file_member(layer, gzip.compress(image.layers[0])),
    ]
    written, result = normalise(tar_of(members))
    assert result.digests.canonical
    assert gzip.decompress(written) == canonical(image)


def test_a_canonical_head_whose_layer_is_only_a_link() -> None:
    image = Image((layer_tar({"a": b"b"}), layer_tar({"c": b"d"})))
    config, layers = f"{sha256(image.config)}.json", [f"{sha256(layer)}.tar" for layer in image.layers]
    members = [
        file_member("manifest.json", manifest_of(config, layers)),
        file_member(config, image.config),
        file_member(layers[0], image.layers[0]),
        file_member("real", image.layers[1]),
        member(layers[1], tarfile.SYMTYPE, target="real"),
    ]
    with pytest.raises(ArchiveError, match=f"has a link in place of its layer {layers[1]}"):
        normalise(tar_of(members))


def test_a_damaged_file_that_no_manifest_names_is_dropped() -> None:
    image = example_image()
    damaged = file_member("stray", gzip.compress(image.layers[0])[:-4])
    for members in (oci(image, compress=gzip.compress), oci(image)):
        written, result = normalise(tar_of([damaged, *members]))
        assert (written, result) == normalise(tar_of(members))
    with tarfile.open(fileobj=io.BytesIO(canonical(image))) as tar:
        whole = [file_member(info.name, tar.extractfile(info).read()) for info in tar]  # type: ignore[union-attr]
    written, result = normalise(tar_of([*whole[:2], damaged, *whole[2:]]))
    assert result.digests.canonical
    assert gzip.decompress(written) == canonical(image)


def test_a_damaged_layer_is_an_error_at_the_end() -> None:
    image = example_image()
    archive = oci(image, compress=lambda data: gzip.compress(data)[: -4 if data == image.layers[1] else None])
    stream = NormalisedStream(io.BytesIO(tar_of(archive)), REFERENCE)
    written: list[bytes] = []
    with pytest.raises(ArchiveError, match=r"is damaged: blobs/sha256/[0-9a-f]* cannot be decompressed"):
        written.extend(stream)
    with pytest.raises(EOFError):
        gzip.decompress(b"".join(written))


def test_a_canonical_head_of_another_image_than_the_one_of_the_id() -> None:
    image, arm = example_image(), Image((layer_tar({"arm": b""}),), architecture="arm64")
    with tarfile.open(fileobj=io.BytesIO(canonical(image))) as tar:
        members = [file_member(info.name, tar.extractfile(info).read()) for info in tar]  # type: ignore[union-attr]
    index = [file for file in oci_archive(image, arm, platforms=["", ""]) if file[1] not in image.layers]
    with pytest.raises(OtherLayersError):
        b"".join(NormalisedStream(io.BytesIO(tar_of([*members, *index])), REFERENCE, image_id=arm.image_id))


def test_a_layer_that_has_the_config_s_name() -> None:
    image = Image((layer_tar({"a": b"b"}),))
    clash = f"{sha256(image.config)}.json"
    members = [
        file_member(clash, image.layers[0]),
        file_member("config", image.config),
        file_member("manifest.json", manifest_of("config", [clash])),
    ]
    with pytest.raises(ArchiveError, match=f"holds {clash} as two different things"):
        normalise(tar_of(members))


def test_an_image_without_layers_is_canonical() -> None:
    written, result = normalise(tar_of(legacy(Image(()))))
    assert gzip.decompress(written) == canonical(Image(()))
    assert result.digests.canonical


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_damaged_archive_never_becomes_a_whole_gzip_file(layout: str) -> None:
    archive = LAYOUTS[layout](example_image())
    for wrong in (archive[:-60_000], archive.replace(b"amd64", b"arm64"), archive.replace(b"ELF", b"ELK")):
        if wrong == archive:
            continue
        stream = NormalisedStream(io.BytesIO(wrong), REFERENCE)
        taken: list[bytes] = []
        with pytest.raises(ArchiveError):
            taken.extend(stream)
        if taken:
            with pytest.raises(EOFError):
                gzip.decompress(b"".join(taken))
        with pytest.raises(ValueError, match="has not been read to its end"):
            _ = stream.result


def test_what_the_source_raises_passes() -> None:
    class Breaking(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            if not data:
                raise ConnectionResetError("reset")
            return data

    archive = tar_of(legacy(example_image()))
    with pytest.raises(ConnectionResetError):
        list(NormalisedStream(Breaking(archive[: len(archive) // 2]), REFERENCE))


GIVEN_UP = """
import io, os
from skyport_wf.image.archive.normalise import NormalisedStream, OtherLayersError
from tests.support.docker_archives import Image, layer_tar, legacy, tar_of
from tests.unit.image.test_normalised_stream import REFERENCE

class Ring:
    pass

ring = Ring()
ring.itself = ring
ring.stream = NormalisedStream(io.BytesIO(tar_of(legacy(Image((layer_tar({"x": os.urandom(12 << 20)}),))))), REFERENCE)
for _ in range(4):
    next(ring.stream)
del ring
"""


@pytest.mark.slow
def test_a_process_ends_whose_stream_is_found_only_then() -> None:
    """An interruption can leave it to the collector of garbage, which comes when the thread is gone."""
    subprocess.run([sys.executable, "-c", GIVEN_UP], cwd=CHECKOUT, check=True, timeout=PATIENCE)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["closed", "dropped", "never begun"])
def test_a_stream_that_is_given_up_leaves_no_thread(how: str) -> None:
    before = threading.enumerate()
    layer = layer_tar({"big": bytes(5_000_000)})
    stream = NormalisedStream(io.BytesIO(tar_of(legacy(Image((layer,))))), REFERENCE)
    if how != "never begun":
        assert next(stream)
    if how == "closed":
        stream.close()
        assert list(stream) == []
    del stream
    gc.collect()
    assert [thread for thread in threading.enumerate() if thread not in before] == []
