"""What holds for any docker archive, whatever its layers, layout and order."""

import gzip
import io
import lzma
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyport_wf.image.archive.canonical import save_canonical
from skyport_wf.image.archive.normalise import NormalisedStream
from skyport_wf.image.archive.reader import inspect_archive
from skyport_wf.image.contents import SavedArchive
from skyport_wf.image_list.reference import ImageReference
from tests.support.docker_archives import (
    File,
    Image,
    canonical,
    layer_tar,
    legacy,
    oci,
    oci_archive,
    podman,
    sha256,
    tar_of,
)

pytestmark = pytest.mark.slow

FILES = st.dictionaries(st.from_regex(r"\A[a-z{\[]{1,9}\Z"), st.binary(max_size=2000), max_size=3)
LAYERS = st.one_of(st.builds(layer_tar, FILES), st.sampled_from([b"", bytes(1024), bytes(10240), bytes(1300)]))
NAMES = st.builds(
    ImageReference, st.from_regex(r"\A[a-z0-9]{1,9}/[a-z]{1,9}\Z"), st.from_regex(r"\A[A-Za-z0-9_.-]{1,20}\Z")
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
LAYOUTS: list[Callable[[Image], list[File]]] = [
    lambda image: legacy(image, duplicates="symlink"),
    lambda image: legacy(image, duplicates="hard link"),
    lambda image: legacy(image, duplicates="copy"),
    lambda image: legacy(image, tags=None),
    oci,
    oci_archive,
    lambda image: oci(image, compress=lambda layer: gzip.compress(layer, mtime=0)),
    oci_archive,
    lambda image: oci_archive(image, compress=lzma.compress),
    podman,
]


@st.composite
def images(draw: st.DrawFn) -> Image:
    """Draw an image in which layers may come several times."""
    distinct = draw(st.lists(LAYERS, min_size=1, max_size=4))
    layers = draw(st.lists(st.sampled_from(distinct), max_size=7))
    return Image(tuple(layers), draw(st.dictionaries(TEXT, TEXT, max_size=3)), draw(TEXT))


@st.composite
def archives(draw: st.DrawFn, image: Image) -> bytes:
    """Draw an archive of the image: any layout, any order, any kind of header."""
    members = draw(st.sampled_from(LAYOUTS))(image)
    if draw(st.booleans()):
        members = draw(st.permutations(members))
    return tar_of(members, tar_format=draw(st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])))


def save(archive: bytes, name: ImageReference) -> tuple[bytes, SavedArchive]:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "image.tar.gz"
        saved = save_canonical(io.BytesIO(archive), name, target)
        check_ranges(target.read_bytes(), saved)
        return gzip.decompress(target.read_bytes()), saved


def check_ranges(file: bytes, saved: SavedArchive) -> None:
    """Check that a range of the file is each layer, gzipped, and nothing else."""
    assert {layer.diff_id for layer in saved.digests.layers} == {layer.diff_id for layer in saved.contents.layers}
    assert len({layer.offset for layer in saved.digests.layers}) == len(saved.digests.layers)
    for layer in saved.digests.layers:
        member = file[layer.offset : layer.offset + layer.size]
        assert layer.digest == f"sha256:{sha256(member)}"
        unpacker = zlib.decompressobj(wbits=31)
        assert layer.diff_id == f"sha256:{sha256(unpacker.decompress(member))}"
        assert unpacker.eof
        assert not unpacker.unused_data


@settings(deadline=None)
@given(st.data(), images(), NAMES)
def test_any_archive_keeps_its_config_and_layers(data: st.DataObject, image: Image, name: ImageReference) -> None:
    archive, saved = save(data.draw(archives(image)), name)
    assert saved.contents.image_id == image.image_id
    assert [layer.diff_id for layer in saved.contents.layers] == image.diff_ids
    assert archive == canonical(image, str(name))


@settings(deadline=None)
@given(st.data(), images(), NAMES)
def test_canonicalising_twice_changes_nothing(data: st.DataObject, image: Image, name: ImageReference) -> None:
    once, first = save(data.draw(archives(image)), name)
    twice, second = save(once, name)
    assert twice == once
    assert second.digests == first.digests


@settings(deadline=None)
@given(st.data(), images(), NAMES)
def test_normalising_keeps_config_and_layers(data: st.DataObject, image: Image, name: ImageReference) -> None:
    stream = NormalisedStream(io.BytesIO(data.draw(archives(image))), name)
    written = b"".join(stream)
    archive = gzip.decompress(written)
    check_ranges(written, stream.result)
    assert inspect_archive(io.BytesIO(archive)).layers == stream.result.contents.layers
    assert stream.result.digests.archive_sha256 == f"sha256:{sha256(archive)}"
    assert stream.result.digests.canonical == (archive == canonical(image, str(name)))
    assert save(archive, name)[0] == canonical(image, str(name))


@settings(deadline=None)
@given(images(), NAMES)
def test_normalising_a_canonical_archive_changes_nothing(image: Image, name: ImageReference) -> None:
    stream = NormalisedStream(io.BytesIO(canonical(image, "some/other:name")), name)
    assert gzip.decompress(b"".join(stream)) == canonical(image, str(name))
    assert stream.result.digests.canonical
