import gzip
import io
import json
import re
import tarfile
from pathlib import Path

import pytest

from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive.reader import inspect_archive
from skyport_wf.image.archive.stream import open_archive
from skyport_wf.image.contents import ImageContents, Layer
from tests.support.docker_archives import (
    LAYOUTS,
    Image,
    example_image,
    file_member,
    layer_tar,
    legacy,
    manifest_of,
    oci,
    sha256,
    tar_of,
)


def inspect(archive: bytes) -> ImageContents:
    return inspect_archive(io.BytesIO(archive))


class DrippingStream:
    """Gives less than it is asked for, as sockets do."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int, /) -> bytes:
        return self._data.read(min(size, 97))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_holds_the_same_image(layout: str) -> None:
    image = example_image()
    contents = inspect(LAYOUTS[layout](image))
    assert contents.image_id == image.image_id
    assert contents.layers == tuple(
        Layer(diff_id, len(layer), f"step {number}")
        for number, (diff_id, layer) in enumerate(zip(image.diff_ids, image.layers, strict=True))
    )
    assert (contents.architecture, contents.os) == ("amd64", "linux")
    assert contents.created == "2024-02-03T04:05:06.789Z"
    assert contents.labels == (("a", "1"), ("org.example.b", "2"))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_short_reads_change_nothing(layout: str) -> None:
    archive = LAYOUTS[layout](example_image())
    assert inspect_archive(DrippingStream(archive)) == inspect(archive)


def test_names_in_the_archive_are_told() -> None:
    image = example_image()
    assert inspect(tar_of(legacy(image, tags=["a/b:1", "a/b:2"]))).repo_tags == ("a/b:1", "a/b:2")
    assert inspect(tar_of(legacy(image, tags=None))).repo_tags == ()


def test_two_manifest_entries_for_one_image_are_one_image() -> None:
    image = example_image()
    members = {info.name: (info, data) for info, data in legacy(image)}
    entry = json.loads(members["manifest.json"][1])[0]
    entries = [entry, entry | {"RepoTags": ["a/b:2", *entry["RepoTags"]]}]
    members["manifest.json"] = file_member("manifest.json", json.dumps(entries).encode())
    assert inspect(tar_of(members.values())).repo_tags == ("skyport/tool:1.0", "a/b:2")


def test_a_history_that_does_not_fit_the_layers_names_no_commands() -> None:
    image = example_image()
    config = json.loads(image.config)
    for history in (None, config["history"][1:]):
        document = json.dumps(config | {"history": history}).encode()
        archive = archive_of(document, image.layers)
        assert {layer.created_by for layer in inspect(archive).layers} == {""}


def test_a_config_with_the_least_that_docker_loads() -> None:
    layer = layer_tar({"a": b"b"})
    document = json.dumps({"rootfs": {"diff_ids": [f"sha256:{sha256(layer)}"]}}).encode()
    contents = inspect(archive_of(document, (layer,)))
    assert (contents.architecture, contents.os, contents.created, contents.labels) == ("", "", None, ())


def test_an_image_without_layers() -> None:
    contents = inspect(archive_of(Image(()).config, ()))
    assert contents.layers == ()


def test_a_layer_whose_tar_begins_like_a_json_document() -> None:
    image = Image((layer_tar({"{curly}": b"x"}), layer_tar({"[square]": b"y"}), layer_tar({"BZh": b""})))
    assert inspect(tar_of(legacy(image))).image_id == image.image_id


def test_a_gzipped_layer_of_several_members() -> None:
    def in_two_members(layer: bytes) -> bytes:
        return gzip.compress(layer[:700]) + gzip.compress(layer[700:])

    image = example_image()
    assert inspect(tar_of(oci(image, compress=in_two_members))).layers == inspect(tar_of(oci(image))).layers


def archive_of(config: bytes, layers: tuple[bytes, ...]) -> bytes:
    names = [f"{number}.tar" for number in range(len(layers))]
    return tar_of(
        [
            *(file_member(name, layer) for name, layer in zip(names, layers, strict=True)),
            file_member("config.json", config),
            file_member("manifest.json", manifest_of("config.json", names)),
        ]
    )


def without(name: str, members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    return tar_of([(info, data) for info, data in members if info.name != name])


def changed_config(**changes: object) -> bytes:
    return json.dumps(json.loads(example_image().config) | changes).encode()


IMAGE = example_image()
OTHER = Image((layer_tar({"other": b""}),))
CONFIG = f"{sha256(IMAGE.config)}.json"


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (b"", "the archive is empty. Save the image again."),
        (b"FROM debian:bookworm\n" * 100, "the archive is not a tar, so it is not a docker archive"),
        (b"short", "the archive is not a tar, so it is not a docker archive. Write it with `docker save"),
        (tar_of([file_member("a.txt", b"hello")]), "is not a docker archive: it has no manifest.json"),
        (without("manifest.json", oci(IMAGE)), "is an OCI archive without manifest.json"),
        (without(CONFIG, legacy(IMAGE)), f"is incomplete: {CONFIG}, its image config, is missing"),
        (archive_of(IMAGE.config, OTHER.layers), "its manifest has 1 layers, its config 4"),
        (
            archive_of(IMAGE.config, (IMAGE.layers[0], *IMAGE.layers[:3])),
            f"is damaged: layer 2 of 4 has the digest {IMAGE.diff_ids[0]}, its config says {IMAGE.diff_ids[1]}",
        ),
        (archive_of(b"[]", IMAGE.layers), "is not a docker archive: its image config cannot be read"),
        (archive_of(b"{}", IMAGE.layers), "Object missing required field `rootfs`"),
        (archive_of(changed_config(rootfs=None), IMAGE.layers), "its image config cannot be read"),
        (archive_of(changed_config(os=7), IMAGE.layers), "Expected `str`, got `int` - at `$.os`"),
        (archive_of(changed_config(rootfs={}), IMAGE.layers), "its manifest has 4 layers, its config 0"),
        (archive_of(b"{" * 100, IMAGE.layers), "its image config cannot be read"),
        (archive_of(b'{"x":' * 99_999, IMAGE.layers), "its image config cannot be read"),
        (archive_of(b"\xff\xfe", IMAGE.layers), "config.json, its image config, is neither tar nor JSON"),
        (tar_of([file_member("manifest.json", b"[]")]), "holds no images instead of one"),
        (tar_of([file_member("manifest.json", b"{}")]), "its manifest.json is not an image manifest"),
        (tar_of([file_member("manifest.json", b'[{"Layers": []}]')]), "missing required field `Config`"),
        (tar_of([file_member("manifest.json", IMAGE.layers[0])]), "manifest.json, its manifest, is something else"),
    ],
)
def test_what_is_no_image_is_refused(archive: bytes, message: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        inspect(archive)
    assert message in str(caught.value)


def test_two_images_are_refused() -> None:
    entries = [json.loads(manifest_of(f"{name}.json", []))[0] for name in "ab"]
    with pytest.raises(ArchiveError, match=r"holds 2 images instead of one. Save each image by itself"):
        inspect(tar_of([file_member("manifest.json", json.dumps(entries).encode())]))


def test_a_config_that_its_name_does_not_fit_is_refused() -> None:
    members = [
        file_member(CONFIG, IMAGE.config.replace(b"amd64", b"arm64")) if info.name == CONFIG else (info, data)
        for info, data in legacy(IMAGE)
    ]
    with pytest.raises(ArchiveError, match=f"is damaged: its config {CONFIG} has the digest sha256:"):
        inspect(tar_of(members))


@pytest.mark.parametrize(("magic", "name"), [(b"\x28\xb5\x2f\xfd", "zstd"), (b"\xfd7zXZ\0", "xz"), (b"BZh9", "bzip2")])
def test_a_layer_in_another_compression_is_named(magic: bytes, name: str) -> None:
    image = example_image()
    archive = tar_of(oci(image, compress=lambda layer: magic + layer))
    with pytest.raises(ArchiveError, match=f"blobs/sha256/[0-9a-f]*, its layer, is compressed with {name}"):
        inspect(archive)


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: data[:40] + b"\xff" * 40 + data[80:]])
def test_a_damaged_compressed_layer_is_named(damage) -> None:  # type: ignore[no-untyped-def]
    image = example_image()
    archive = tar_of(oci(image, compress=lambda layer: damage(gzip.compress(layer, mtime=0))))
    with pytest.raises(ArchiveError, match=r"is damaged: blobs/sha256/[0-9a-f]* cannot be decompressed"):
        inspect(archive)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_archive_that_ends_early_is_never_taken_for_whole(layout: str) -> None:
    small = Image((layer_tar({"a": b"1"}), layer_tar({"b": b"2"}), layer_tar({"a": b"1"})))
    archive = LAYOUTS[layout](small)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        last = tar.getmembers()[-1]
    end = last.offset_data + last.size + -last.size % 512
    whole = inspect(archive)
    for length in range(0, end, 256):
        try:
            found = inspect(archive[:length])
        except ArchiveError as error:
            assert re.search(r"breaks off|is empty|is not a tar", str(error)), length
        else:
            # Only what the image does not need is missing.
            assert (found.image_id, found.layers) == (whole.image_id, whole.layers)
    # Docker takes a tar without the empty blocks at its end.
    assert inspect(archive[:end]) == inspect(archive[: end + 512]) == whole


def write_plain(path: Path, archive: bytes) -> None:
    path.write_bytes(archive)


def write_gzip(path: Path, archive: bytes) -> None:
    path.write_bytes(gzip.compress(archive))


def write_gzip_members(path: Path, archive: bytes) -> None:
    path.write_bytes(b"".join(gzip.compress(archive[at : at + 5000]) for at in range(0, len(archive), 5000)))


@pytest.mark.parametrize("write", [write_plain, write_gzip, write_gzip_members])
def test_archive_files_are_plain_or_gzipped(tmp_path: Path, write) -> None:  # type: ignore[no-untyped-def]
    image = example_image()
    write(tmp_path / "old.tar.gz", tar_of(legacy(image)))
    with open_archive(tmp_path / "old.tar.gz") as stream:
        assert inspect_archive(stream).image_id == image.image_id


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty. Save the image again."),
        (b"FROM debian\n", "is not a tar, so it is not a docker archive. Write it with `docker save"),
        (b'{"a": 1}', "is not a tar, so it is not a docker archive"),
        (b"\xfd7zXZ\0" + bytes(600), "is in xz format, which AWE cannot load. Unpack it and publish the tar."),
        (b"\x28\xb5\x2f\xfd" + bytes(600), "is in zstd format"),
        (b"BZh91AY&SY" + bytes(600), "is in bzip2 format"),
        (b"PK\3\4" + bytes(600), "is in zip format"),
        (gzip.compress(b"hello"), "is not a tar, so it is not a docker archive"),
        (gzip.compress(b"hello" * 1000), "is not a tar, so it is not a docker archive"),
        (gzip.compress(tar_of(legacy(IMAGE)))[:-9], "breaks off before its end"),
        (gzip.compress(tar_of(legacy(IMAGE)))[:2000], "breaks off before its end"),
        (gzip.compress(tar_of(legacy(IMAGE)))[:-8] + bytes(8), "is damaged: CRC check failed"),
        (gzip.compress(tar_of(legacy(IMAGE))) + b"trailing bytes", "is damaged: Not a gzipped file"),
        (gzip.compress(tar_of(legacy(IMAGE))[:5000]), "breaks off before its end"),
        (tar_of(legacy(IMAGE))[:5000], "breaks off before its end"),
    ],
)
def test_archive_files_that_are_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "old.tar.gz"
    path.write_bytes(content)
    with pytest.raises(ArchiveError) as caught, open_archive(path) as stream:
        inspect_archive(stream)
    assert str(caught.value).startswith(f"{path} ")
    assert message in str(caught.value)


def test_an_archive_file_that_is_missing_or_a_folder(tmp_path: Path) -> None:
    for path, message in {tmp_path / "none.tar": "No such file or directory", tmp_path: "Is a directory"}.items():
        with (
            pytest.raises(ArchiveError, match=rf"{path} cannot be read: {message}. Check `archive`."),
            open_archive(path),
        ):
            pass
