"""Archives that leave out the layers of a base image, and reading them together with its archive."""

import gzip
import io
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyport_wf.byte_streams import pieces_of
from skyport_wf.errors import ArchiveError, SkyportError
from skyport_wf.image.archive.canonical import canonical_file, save_canonical
from skyport_wf.image.archive.completed import CompletedArchive
from skyport_wf.image.archive.reader import inspect_archive
from skyport_wf.image.examination.examine import examine_archive
from skyport_wf.image_list.reference import parse_reference
from tests.support.docker_archives import (
    LAYOUTS,
    REPO_TAG,
    File,
    Image,
    canonical,
    example_image,
    file_member,
    layer_tar,
    legacy,
    manifest_of,
    oci,
    sha256,
    tar_of,
)

REFERENCE = parse_reference(REPO_TAG)
IMAGE = example_image()
BASE = Image(IMAGE.layers[:2], author="base")


def thin(image: Image, base: Image) -> bytes:
    """What `save_canonical` has to write, made by other means."""
    whole = canonical(image)
    lacking = {sha256(layer) for layer in base.layers} - {sha256(layer) for layer in image.layers[len(base.layers) :]}
    kept, at = b"", 0
    while at < len(whole) - 1024:
        name = whole[at : at + 100].rstrip(b"\0").decode().removesuffix(".tar")
        end = at + 512 + -(-int(whole[at + 124 : at + 135], 8) // 512) * 512
        kept += b"" if name in lacking else whole[at:end]
        at = end
    return kept + bytes(1024)


def save(archive: bytes, folder: Path, base: Image) -> bytes:
    target = folder / "image.tar.gz"
    save_canonical(io.BytesIO(archive), REFERENCE, target, base=base.diff_ids)
    return gzip.decompress(target.read_bytes())


def completed(*archives: bytes) -> CompletedArchive:
    return CompletedArchive(map(io.BytesIO, archives), reference=REPO_TAG)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_becomes_the_same_bytes(layout: str, tmp_path: Path) -> None:
    target = tmp_path / "image.tar.gz"
    saved = save_canonical(io.BytesIO(LAYOUTS[layout](IMAGE)), REFERENCE, target, base=BASE.diff_ids)
    archive = gzip.decompress(target.read_bytes())
    assert archive == thin(IMAGE, BASE)
    assert saved.contents == inspect_archive(io.BytesIO(LAYOUTS[layout](IMAGE)))
    assert saved.digests.archive_sha256 == f"sha256:{sha256(archive)}"
    assert saved.digests.canonical
    assert [path.name for path in tmp_path.iterdir()] == ["image.tar.gz"]


def test_tar_lists_what_is_left(tmp_path: Path) -> None:
    image, base = Image((layer_tar({"a": b"1"}), layer_tar({"b": b"2"}))), Image((layer_tar({"a": b"1"}),))
    (tmp_path / "thin.tar").write_bytes(save(tar_of(legacy(image)), tmp_path, base))
    listed = subprocess.run(["tar", "-tf", tmp_path / "thin.tar"], check=True, capture_output=True, text=True).stdout
    names = ["manifest.json", f"{sha256(image.config)}.json", f"{sha256(image.layers[1])}.tar"]
    assert listed.splitlines() == names


def test_a_layer_of_the_base_that_comes_again_stays(tmp_path: Path) -> None:
    # An engine looks for it by all that is below it, and finds only the lower one.
    first = layer_tar({"a": b"1"})
    archive = save(tar_of(oci(Image((first, layer_tar({"b": b""}), first)))), tmp_path, Image((first,)))
    assert f"{sha256(first)}.tar".encode() in archive.replace(b"manifest.json", b"")[1024:]
    assert inspect_archive(io.BytesIO(archive)).layers[0].size == len(first)


def test_nothing_above_the_base(tmp_path: Path) -> None:
    image = Image(BASE.layers, author="another config")
    archive = save(tar_of(legacy(image)), tmp_path, BASE)
    assert archive == thin(image, BASE)
    assert examine_archive(completed(canonical(BASE), archive)).contents.image_id == image.image_id


def test_under_one_name_whatever_the_archive_says() -> None:
    source = io.BytesIO(tar_of(legacy(IMAGE, tags=["victim:1", "other:2"])))
    again = CompletedArchive([source], reference="nice:1", wanted_id=IMAGE.image_id)
    assert inspect_archive(again).repo_tags == ("nice:1",)


def test_without_the_layers_of_a_base_that_is_there() -> None:
    below = inspect_archive(io.BytesIO(canonical(BASE))).layers
    source = thin(IMAGE, BASE)
    written = CompletedArchive([io.BytesIO(source)], reference="nice:1", base=below)
    content = b"".join(pieces_of(written))
    assert len(content) < len(source) + 2048
    assert examine_archive(completed(canonical(BASE), content)).contents.image_id == IMAGE.image_id


def test_an_archive_of_another_image_has_no_end() -> None:
    other = CompletedArchive([io.BytesIO(canonical(IMAGE))], reference="nice:1", wanted_id=BASE.image_id)
    with pytest.raises(ArchiveError, match=f"holds the image {IMAGE.image_id}, and not {BASE.image_id}"):
        inspect_archive(other)


@pytest.mark.parametrize("base", [Image(IMAGE.layers[1:2]), Image((*IMAGE.layers, IMAGE.layers[0]))])
def test_an_image_that_is_not_built_on_the_base(base: Image, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="the archive holds an image that is not built on its base image"):
        save_canonical(io.BytesIO(canonical(IMAGE)), REFERENCE, tmp_path / "a", base=base.diff_ids)
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_a_name_holds_the_same(tmp_path: Path) -> None:
    written = save(canonical(IMAGE), tmp_path, BASE)
    (tmp_path / "image.tar.gz").unlink()
    source = io.BytesIO(tar_of(legacy(IMAGE)))
    with canonical_file(source, REFERENCE, tmp_path, base=BASE.diff_ids) as (file, saved):
        content = Path(f"/proc/self/fd/{file.descriptor}").read_bytes()
        assert len(content) == file.size == saved.digests.size
        assert gzip.decompress(content) == written
        assert list(tmp_path.iterdir()) == []


def test_a_folder_for_the_file_that_is_not_there(tmp_path: Path) -> None:
    with (
        pytest.raises(SkyportError, match=r"cannot write .*/none: No such file or directory"),
        canonical_file(io.BytesIO(canonical(IMAGE)), REFERENCE, tmp_path / "none"),
    ):
        pass


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        (1, "is incomplete: it lacks 1 of its 4 layers, as a thin archive does, which needs its base image."),
        (2, "is incomplete: it lacks 2 of its 4 layers, as a thin archive does, which needs its base image."),
    ],
)
def test_a_thin_archive_alone_says_what_it_lacks(layers: int, said: str, tmp_path: Path) -> None:
    image = Image((*IMAGE.layers[:2], IMAGE.layers[3], layer_tar({"top": b""})))
    archive = save(canonical(image), tmp_path, Image(image.layers[:layers]))
    with pytest.raises(ArchiveError) as caught:
        inspect_archive(io.BytesIO(archive))
    assert said in str(caught.value)
    assert str(caught.value).endswith("of a published one, `skyport-wf show NAME` and `pull NAME` fetch the base too.")


def test_a_layer_missing_further_up_is_no_thin_archive() -> None:
    config = file_member("config.json", IMAGE.config)
    layer = file_member("0.tar", IMAGE.layers[0])
    manifest = file_member("manifest.json", manifest_of("config.json", ["0.tar", "1.tar", "0.tar", "3.tar"]))
    with pytest.raises(ArchiveError, match=r"is incomplete: 1\.tar, its layer, is missing"):
        inspect_archive(io.BytesIO(tar_of([config, layer, manifest])))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_completed_it_is_the_whole_image(layout: str, tmp_path: Path) -> None:
    archive = completed(LAYOUTS[layout](BASE), save(canonical(IMAGE), tmp_path, BASE))
    found = inspect_archive(archive)
    assert found == inspect_archive(io.BytesIO(canonical(IMAGE)))
    # The third layer is the first once more, which the thin archive has to have.
    assert archive.places == (0, 0, 1, 1)


def test_a_chain_of_three(tmp_path: Path) -> None:
    layers = tuple(layer_tar({name: b"1234" if name == "a" else b""}) for name in ("a", ".wh.a", "c", "d"))
    low, middle, top = Image(layers[:1]), Image(layers[:3]), Image(layers)
    thin_middle = save(tar_of(legacy(middle)), tmp_path, low)
    thin_top = save(tar_of(legacy(top)), tmp_path, middle)
    archive = completed(tar_of(legacy(low)), thin_middle, thin_top)
    found = examine_archive(archive)
    assert [layer.diff_id for layer in found.contents.layers] == top.diff_ids
    assert archive.places == (0, 1, 1, 2)
    assert found.waste is not None
    assert found.waste.by_layer == (4, 0, 0, 0)


def test_skopeo_reads_a_completed_archive(tmp_path: Path) -> None:
    archive = completed(canonical(BASE), save(canonical(IMAGE), tmp_path, BASE))
    (tmp_path / "whole.tar").write_bytes(b"".join(iter(lambda: archive.read(1 << 20), b"")))
    command = ["skopeo", "inspect", "--config", "--raw", f"docker-archive:{tmp_path}/whole.tar"]
    config = subprocess.run(command, check=True, capture_output=True).stdout
    assert f"sha256:{sha256(config)}" == IMAGE.image_id


def test_another_image_for_a_base(tmp_path: Path) -> None:
    other = Image((layer_tar({"other": b""}), IMAGE.layers[1]))
    with pytest.raises(ArchiveError, match="is a thin image, and the image that should be its base has other layers"):
        inspect_archive(completed(canonical(other), save(canonical(IMAGE), tmp_path, BASE)))


def test_a_base_that_lacks_layers_itself(tmp_path: Path) -> None:
    archive = save(canonical(IMAGE), tmp_path, BASE)
    with pytest.raises(
        ArchiveError, match=r"is incomplete: [0-9a-f]{64}\.tar, its layer, is missing|lacks . of its 4 layers"
    ):
        inspect_archive(completed(canonical(Image(IMAGE.layers[:1])), archive))
    with pytest.raises(ArchiveError, match="is incomplete: it lacks 1 of its 2 layers"):
        inspect_archive(completed(save(canonical(BASE), tmp_path, Image(IMAGE.layers[:1])), archive))


def test_a_damaged_layer_of_the_base(tmp_path: Path) -> None:
    base = canonical(BASE).replace(b"echo tool", b"echo fool")
    with pytest.raises(ArchiveError, match="is damaged: layer 2 of 2 has the digest"):
        inspect_archive(completed(base, save(canonical(IMAGE), tmp_path, BASE)))


def test_a_damaged_file_that_no_manifest_names(tmp_path: Path) -> None:
    stray = bytes(range(256)) * 8000
    archive = save(canonical(IMAGE), tmp_path, BASE)
    for damaged in (gzip.compress(stray)[:-4], gzip.compress(b"x") + stray):
        base = tar_of([file_member("stray", damaged), *oci(BASE, compress=gzip.compress)])
        assert inspect_archive(completed(base, archive)).image_id == IMAGE.image_id


NAMES = st.from_regex(r"\A[a-z]{1,3}\Z")
LAYERS = st.lists(st.builds(layer_tar, st.dictionaries(NAMES, st.binary(max_size=600), max_size=2)), max_size=5)
LAYOUT = st.sampled_from([legacy, oci, lambda image: legacy(image, duplicates="copy")])


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.data(), LAYERS)
def test_any_image_thin_on_any_part_of_it(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, layers: list[bytes]
) -> None:
    repeated = tuple(data.draw(st.lists(st.sampled_from(layers), max_size=6))) if layers else ()
    image, base = Image(repeated), Image(repeated[: data.draw(st.integers(0, len(repeated)))], author="base")
    members: list[File] = data.draw(LAYOUT)(image)
    archive = save(tar_of(data.draw(st.permutations(members))), tmp_path_factory.mktemp("thin"), base)
    assert archive == thin(image, base)
    assert inspect_archive(completed(canonical(base), archive)).image_id == image.image_id
