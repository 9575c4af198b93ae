import gzip
import io
import json
import lzma
import re
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive import oci as oci_module
from skyport_wf.image.archive.go_json import decode_like_go
from skyport_wf.image.archive.layers import check_archive
from skyport_wf.image.archive.reader import ArchiveReader, inspect_archive
from skyport_wf.image.archive.stream import ArchiveStream, open_archive, stored_size
from skyport_wf.image.contents import ImageContents, Layer
from tests.support.docker_archives import (
    LAYOUTS,
    REPO_TAG,
    File,
    Image,
    example_image,
    file_member,
    layer_tar,
    legacy,
    manifest_of,
    member,
    oci,
    oci_archive,
    podman_files,
    sha256,
    tar_of,
    zstd,
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


@pytest.mark.slow
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
        (
            tar_of([file_member("lay/index.json", b"{}"), file_member("lay/oci-layout", b"{}")]),
            "its index.json is in a folder, lay,",
        ),
        (tar_of([file_member("lay/manifest.json", b"[]"), file_member("a", b"")]), "it has no manifest.json"),
        (without("manifest.json", oci(IMAGE)), "holds no image. Save the image again."),
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
        (tar_of([file_member("manifest.json", b"[]")]), "holds no image. Save the image again."),
        (tar_of([file_member("manifest.json", b"{}")]), "its manifest.json is not an image manifest"),
        (tar_of([file_member("manifest.json", b'[{"Layers": []}]')]), "missing required field `Config`"),
        (tar_of([file_member("manifest.json", IMAGE.layers[0])]), "manifest.json, its manifest, is something else"),
    ],
)
def test_what_is_no_image_is_refused(archive: bytes, message: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        inspect(archive)
    assert message in str(caught.value)


ROOT = [
    file_member(".dockerenv", b""),
    *(member(f"{name}/", tarfile.DIRTYPE) for name in ("bin", "boot", "dev", "etc", "usr")),
    member("usr/bin/awk", tarfile.SYMTYPE, target="/etc/alternatives/awk"),
    *(file_member(f"usr/{number}", b"x") for number in range(10_000)),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    "members",
    [
        ROOT,
        ROOT[:3],
        [ROOT[0], ROOT[3], ROOT[4], member("dev/console", tarfile.CHRTYPE), *ROOT[5:]],
        [*ROOT[:4], member("etc/up", tarfile.SYMTYPE, target="../../../up")],
        [*ROOT[:4], file_member("etc/broken.gz", b"\x1f\x8b\x08 is no gzip")],
        [file_member(f"./{info.name}", data) for info, data in ROOT[6:]] + ROOT[1:6],
    ],
)
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_the_file_system_of_a_container_is_called_by_its_name(
    members: list[tuple[tarfile.TarInfo, bytes]], compress: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(ArchiveError) as caught:
        inspect_archive(ArchiveStream(io.BytesIO(compress(tar_of(members))), name="export.tar"))
    assert str(caught.value) == (
        "export.tar is the file system of a container without its image, as `docker export` writes it. Save the image "
        "with `docker save REPO:TAG`; or make one with `docker import FILE REPO:TAG`, and list that as `image`."
    )


def test_stray_folders_are_no_file_system() -> None:
    strays = [member("bin/", tarfile.DIRTYPE), file_member("etc/x", b""), file_member("usr/x", b"")]
    assert inspect(tar_of([*legacy(IMAGE), *strays])).image_id == IMAGE.image_id
    assert inspect(tar_of([*strays[:2], *legacy(IMAGE)])).image_id == IMAGE.image_id


def several(*images: Image, names: Sequence[Sequence[str] | None]) -> bytes:
    """Return an archive of several images, as `docker save` with several names writes it."""
    files = {info.name: (info, data) for image in images for info, data in podman_files(image)}
    entries = []
    for image, tags in zip(images, names, strict=True):
        layers = [f"{sha256(layer)}.tar" for layer in image.layers]
        entries += json.loads(manifest_of(f"{sha256(image.config)}.json", layers, tags))
    files["manifest.json"] = file_member("manifest.json", json.dumps(entries).encode())
    return tar_of(files.values())


SPELLINGS = ["a/b:2", "docker.io/a/b:2", "localhost/a/b:2", "index.docker.io/a/b:2"]
LIBRARY_SPELLINGS = ["b:2", "library/b:2", "docker.io/library/b:2", "localhost/b:2"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_of_several_images_the_named_one_is_taken(spelling: str) -> None:
    archive = several(IMAGE, OTHER, names=[["a/b:1"], ["c/d:1", spelling]])
    found = inspect_archive(io.BytesIO(archive), wanted="a/b:2")
    assert (found.image_id, found.repo_tags) == (OTHER.image_id, ("c/d:1", spelling))
    with pytest.raises(ArchiveError) as caught:
        inspect_archive(io.BytesIO(archive), wanted="a/b:3")
    names = ", ".join(sorted(["a/b:1", "c/d:1", spelling]))
    assert str(caught.value) == (
        f"the archive holds 2 images ({names}), and none of them is called a/b:3. Use one of their "
        "names, or save the image by itself."
    )
    with pytest.raises(ArchiveError) as caught:
        inspect(archive)
    assert str(caught.value) == (
        f"the archive holds 2 images ({names}), and no name says which is meant. Save the image that is meant by "
        "itself. Only `skyport-wf show NAME --archive FILE` finds one by its name."
    )
    with pytest.raises(ArchiveError, match=r"and 2 of them are called a/b:2. Save the image that is meant by itself.$"):
        inspect_archive(io.BytesIO(several(IMAGE, OTHER, names=[["a/b:2"], ["docker.io/a/b:2"]])), wanted="a/b:2")


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        *((wanted, name) for wanted in SPELLINGS for name in SPELLINGS),
        *((wanted, name) for wanted in LIBRARY_SPELLINGS for name in LIBRARY_SPELLINGS),
        ("ghcr.io/a/b:2", "ghcr.io/a/b:2"),
        ("ghcr.io/library/b:2", "ghcr.io/library/b:2"),
    ],
)
def test_the_listed_name_may_have_another_spelling_than_the_archive_s(wanted: str, name: str) -> None:
    archive = several(IMAGE, OTHER, names=[["a/b:1", "a/c:2"], [name]])
    assert inspect_archive(io.BytesIO(archive), wanted=wanted).image_id == OTHER.image_id


@pytest.mark.parametrize(
    ("wanted", "name"),
    [("ghcr.io/a/b:2", "a/b:2"), ("ghcr.io/library/b:2", "ghcr.io/b:2"), ("library/a/b:2", "a/b:2"), ("2", "a/2:1")],
)
def test_names_of_other_registries_are_other_names(wanted: str, name: str) -> None:
    archive = several(IMAGE, OTHER, names=[["a/b:1"], [name]])
    with pytest.raises(ArchiveError, match=f"none of them is called {wanted}"):
        inspect_archive(io.BytesIO(archive), wanted=wanted)


def test_the_name_as_docker_has_it_comes_before_podman_s() -> None:
    archive = several(IMAGE, OTHER, names=[["localhost/a/b:2"], ["docker.io/a/b:2"]])
    for wanted, image in {"localhost/a/b:2": IMAGE, "a/b:2": OTHER}.items():
        assert inspect_archive(io.BytesIO(archive), wanted=wanted).image_id == image.image_id


@pytest.mark.parametrize("names", [["1.0", "2.0"], ["docker.io/a/b:1.0", "docker.io/a/b:2.0"]])
def test_of_several_images_of_an_oci_archive_the_named_one_is_taken(names: list[str]) -> None:
    archive = tar_of(oci_archive(IMAGE, OTHER, names=names))
    assert inspect_archive(io.BytesIO(archive), wanted="a/b:2.0").image_id == OTHER.image_id
    with pytest.raises(ArchiveError, match="none of them is called a/b:3"):
        inspect_archive(io.BytesIO(archive), wanted="a/b:3")


def test_of_several_platforms_awe_s_is_taken() -> None:
    arm = Image(IMAGE.layers, author="arm")
    archive = tar_of(oci_archive(arm, IMAGE, platforms=["linux/arm64", "linux/amd64"]))
    assert inspect(archive).image_id == IMAGE.image_id
    assert inspect(tar_of(oci_archive(arm, platforms=["linux/arm64"]))).image_id == arm.image_id
    with pytest.raises(ArchiveError) as caught:
        inspect(tar_of(oci_archive(arm, IMAGE, platforms=["linux/arm64", "linux/s390x"])))
    assert str(caught.value) == (
        "the archive holds 2 images (linux/arm64, linux/s390x), and none of them is for linux/amd64. Save the image "
        "that is meant by itself."
    )


@pytest.mark.parametrize(
    ("platforms", "wanted", "number"),
    [
        (["linux/amd64", "linux/arm64"], "linux/arm64", 1),
        (["linux/amd64", "linux/arm64/v8"], "linux/arm64", 1),
        (["linux/amd64", "linux/arm64"], "linux/arm64/v8", 1),
        (["linux/amd64/v3", "linux/amd64"], "linux/amd64", 1),
        (["linux/amd64/v3", "linux/amd64"], "linux/amd64/v3", 0),
        (["linux/amd64/v3", "linux/amd64/v2"], "", 1),
        (["linux/arm/v6", "linux/arm/v7"], "linux/arm/v7", 1),
    ],
)
def test_of_several_platforms_the_wanted_one_is_taken(platforms: list[str], wanted: str, number: int) -> None:
    archive = tar_of(oci_archive(IMAGE, OTHER, platforms=platforms))
    found = check_archive(io.BytesIO(archive), wanted="x/y:1", platform=wanted)
    assert found.contents.image_id == (IMAGE, OTHER)[number].image_id


def test_the_config_tells_the_platform_where_the_index_does_not() -> None:
    arm = Image(IMAGE.layers, architecture="arm64")
    archive = tar_of(oci_archive(arm, IMAGE, platforms=["", ""]))
    assert inspect(archive).image_id == IMAGE.image_id
    assert check_archive(io.BytesIO(archive), platform="linux/arm64/v8").contents.image_id == arm.image_id
    untold = [Image(IMAGE.layers, architecture="", author=author) for author in "ab"]
    unread = [Image(IMAGE.layers, architecture=5, author=author) for author in "ab"]  # type: ignore[arg-type]
    for images in (untold, unread):
        with pytest.raises(ArchiveError, match="no name says which is meant"):
            inspect(tar_of(oci_archive(*images, platforms=["", ""])))
        assert inspect(tar_of(oci_archive(images[0], IMAGE, platforms=["", ""]))).image_id == IMAGE.image_id


ARM = Image((layer_tar({"arm": b""}),), architecture="arm64")
PLATFORMS = ["linux/amd64", "linux/arm64"]


def without_manifest(image: Image, members: list[File]) -> list[File]:
    """Return an OCI archive that lacks the manifest of an image, and all that only this manifest names."""
    own = [image.config, *image.layers]
    manifest = next(data for _, data in members if data[:1] == b"{" and image.image_id.encode() in data)
    return [(info, data) for info, data in members if data not in (*own, manifest)]


def test_an_index_may_name_images_that_are_not_there() -> None:
    both = oci_archive(IMAGE, ARM, platforms=PLATFORMS)
    for lacking, image in ((ARM, IMAGE), (IMAGE, ARM)):
        archive = tar_of(without_manifest(lacking, both))
        for wanted in ("", REPO_TAG):
            assert inspect_archive(io.BytesIO(archive), wanted=wanted).image_id == image.image_id
        found = check_archive(io.BytesIO(archive), wanted="x/y:1", platform=f"linux/{image.architecture}")
        assert found.contents.image_id == image.image_id
        with pytest.raises(ArchiveError, match=r"is incomplete: blobs/sha256/[0-9a-f]*, which its index names, is mis"):
            check_archive(io.BytesIO(archive), wanted="x/y:1", platform=f"linux/{lacking.architecture}")
    for platforms in (PLATFORMS, ["linux/arm64", "linux/s390x"]):
        neither = without_manifest(ARM, without_manifest(IMAGE, oci_archive(IMAGE, ARM, platforms=platforms)))
        with pytest.raises(ArchiveError, match=r"is incomplete: .*, which its index names, is missing"):
            inspect(tar_of(neither))


def test_an_image_of_another_name_need_not_be_there() -> None:
    archive = tar_of(without_manifest(OTHER, oci_archive(IMAGE, OTHER, names=["a/b:1", "a/b:2"])))
    for wanted in ("", "a/b:1"):
        assert inspect_archive(io.BytesIO(archive), wanted=wanted).image_id == IMAGE.image_id
    with pytest.raises(ArchiveError, match=r"is incomplete: .*, which its index names, is missing"):
        inspect_archive(io.BytesIO(archive), wanted="a/b:2")


@pytest.mark.parametrize("damage", [lambda data: data + b" ", lambda _: b"{}", lambda _: b"{"])
def test_the_manifest_of_another_image_may_be_damaged(damage: Callable[[bytes], bytes]) -> None:
    whole = oci_archive(IMAGE, ARM, platforms=PLATFORMS)
    kept = {info.name for info, _ in without_manifest(ARM, whole)}
    archive = [
        file_member(info.name, damage(data)) if info.name not in kept and b"schemaVersion" in data else (info, data)
        for info, data in whole
    ]
    assert inspect(tar_of(archive)).image_id == IMAGE.image_id
    with pytest.raises(ArchiveError, match=r"is damaged: blobs/sha256/[0-9a-f]* has another digest"):
        check_archive(io.BytesIO(tar_of(archive)), wanted="x/y:1", platform="linux/arm64")


def test_what_is_missing_with_the_end_of_an_archive_is_not_left_out() -> None:
    archive = tar_of([*reversed(without_manifest(ARM, oci_archive(IMAGE, ARM, platforms=PLATFORMS)))])
    assert inspect(archive).image_id == IMAGE.image_id
    with pytest.raises(ArchiveError, match="breaks off before its end"):
        inspect(archive.rstrip(b"\0") + bytes(-len(archive.rstrip(b"\0")) % 512))


def with_manifest(image: Image, *members: File) -> bytes:
    """Return an OCI archive that has a `manifest.json`, too, which names one image of it."""
    layers = [f"blobs/sha256/{sha256(layer)}" for layer in image.layers]
    return tar_of([*members, file_member("manifest.json", manifest_of(f"blobs/sha256/{sha256(image.config)}", layers))])


@pytest.mark.parametrize("platforms", [PLATFORMS, ["", ""]])
def test_the_index_beside_a_manifest_has_the_other_platforms(platforms: list[str]) -> None:
    """As containerd exports all platforms: its `manifest.json` names the best one of its machine."""
    for own in (IMAGE, ARM):
        archive = with_manifest(own, *oci_archive(IMAGE, ARM, platforms=platforms))
        assert inspect(archive).image_id == own.image_id, "what engines load"
        for image in (IMAGE, ARM):
            # Another image may have the tag of this one.
            for name in (REPO_TAG, "x/y:1", "x/y:1.0"):
                found = check_archive(io.BytesIO(archive), wanted=name, platform=f"linux/{image.architecture}")
                assert found.contents.image_id == image.image_id
            reader = ArchiveReader(io.BytesIO(archive), image_id=image.image_id)
            for _ in reader.layers():
                pass
            assert reader.image().contents.image_id == image.image_id


@pytest.mark.parametrize(
    "archive",
    [
        with_manifest(IMAGE, *without_manifest(ARM, oci_archive(IMAGE, ARM, platforms=PLATFORMS))),
        with_manifest(IMAGE, *oci_archive(IMAGE, Image((), architecture=""), platforms=["", ""])),
        with_manifest(IMAGE, *oci_archive(IMAGE, OTHER, platforms=["linux/arm64", "linux/arm64"])),
        with_manifest(IMAGE, *oci_archive(IMAGE)).replace(b'"manifests": [', b'"manifests": {'),
        tar_of([*podman_files(IMAGE), *oci_archive(ARM, platforms=["linux/arm64"])]),
    ],
)
def test_an_index_beside_a_manifest_that_does_not_tell_decides_nothing(archive: bytes) -> None:
    for name in ("", REPO_TAG, "x/y:1"):
        assert inspect_archive(io.BytesIO(archive), wanted=name).image_id == IMAGE.image_id
        found = check_archive(io.BytesIO(archive), wanted=name, platform="linux/arm64")
        assert found.contents.image_id == IMAGE.image_id


def test_the_image_of_the_id_comes_before_the_one_of_the_name_or_platform() -> None:
    for archive in (
        several(IMAGE, OTHER, names=[["a/b:1"], ["c/d:1"]]),
        tar_of(oci_archive(IMAGE, OTHER, platforms=["linux/amd64", "linux/arm64"])),
    ):
        for wanted, image in ((IMAGE.image_id, IMAGE), (OTHER.image_id, OTHER), (f"sha256:{'0' * 64}", IMAGE)):
            reader = ArchiveReader(io.BytesIO(archive), wanted="a/b:1", image_id=wanted)
            for _ in reader.layers():
                pass
            assert reader.image().contents.image_id == image.image_id


def test_a_layer_that_is_known_is_taken_for_what_it_is_known_as() -> None:
    archive = tar_of(legacy(OTHER))
    (path,) = [file[0].name for file in legacy(OTHER) if file[0].name.endswith("layer.tar")]
    diff_id = f"sha256:{sha256(OTHER.layers[0])}"
    for known, is_right in ((diff_id, True), (f"sha256:{'0' * 64}", False)):
        reader = ArchiveReader(io.BytesIO(archive), known={path: known})
        for _ in reader.layers():
            pass
        if is_right:
            assert reader.image().contents == inspect(archive)
        else:
            with pytest.raises(ArchiveError, match=known):
                reader.image()


LAYER = "application/vnd.oci.image.layer.v1.tar"
SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"


def with_another(layer_type: str, *, artifact_type: str = "", **descriptor: object) -> bytes:
    """Return an OCI archive that has an image, and beside it a manifest that is like that of another one.

    descriptor: what the index says of that manifest, too.
    """
    files = {info.name: data for info, data in oci_archive(IMAGE)}

    def add(blob: bytes, kind: str) -> dict[str, object]:
        files[f"blobs/sha256/{sha256(blob)}"] = blob
        return {"mediaType": kind, "digest": f"sha256:{sha256(blob)}", "size": len(blob)}

    config = add(OTHER.config, "application/vnd.oci.image.config.v1+json")
    layers = [add(layer, layer_type) for layer in OTHER.layers]
    document = {"schemaVersion": 2, "config": config, "layers": layers, "artifactType": artifact_type}
    index = json.loads(files["index.json"])
    index["manifests"].append(
        {**add(json.dumps(document).encode(), "application/vnd.oci.image.manifest.v1+json"), **descriptor}
    )
    files["index.json"] = json.dumps(index).encode()
    return tar_of([file_member(name, data) for name, data in files.items()])


@pytest.mark.parametrize(
    "archive",
    [
        with_another(SIMPLE_SIGNING),
        with_another("application/vnd.in-toto+json"),
        with_another("text/spdx+json"),
        with_another(LAYER, annotations={"kind": "dev.cosignproject.cosign/sigs"}),
        with_another(LAYER, annotations={"kind": "dev.cosignproject.cosign/atts"}),
        with_another(LAYER, artifact_type=BUNDLE),
        with_another(LAYER, artifactType=BUNDLE),
    ],
)
def test_what_is_signed_or_attested_beside_the_image_is_passed_over(archive: bytes) -> None:
    assert inspect(archive).image_id == IMAGE.image_id


@pytest.mark.parametrize(
    "archive",
    [
        with_another(LAYER),
        with_another(""),
        with_another("application/tar+gzip"),
        with_another("application/vnd.docker.image.rootfs.diff.tar.gzip"),
        with_another(LAYER, annotations={"kind": "dev.cosignproject.cosign/image"}),
        with_another(LAYER, annotations={"kind": "mine"}),
        with_another(LAYER, artifactType="application/vnd.oci.image.config.v1+json"),
    ],
)
def test_another_image_is_not_passed_over(archive: bytes) -> None:
    with pytest.raises(ArchiveError, match="holds 2 images"):
        inspect(archive)


def test_an_oci_layout_in_a_folder(tmp_path: Path) -> None:
    unpack(oci_archive(IMAGE, compress=zstd), tmp_path)
    blob = next((tmp_path / "blobs/sha256").iterdir())
    blob.rename(tmp_path / "elsewhere")
    blob.symlink_to("../../elsewhere")
    with open_archive(tmp_path) as stream:
        assert inspect_archive(stream).layers == inspect(tar_of(oci(IMAGE))).layers
    (tmp_path / "elsewhere").unlink()
    with open_archive(tmp_path) as stream, pytest.raises(ArchiveError, match=f"{tmp_path} is incomplete: blobs/"):
        inspect_archive(stream)


def unpack(members: Sequence[File], folder: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(tar_of(members))) as tar:
        tar.extractall(folder, filter="data")


def test_of_a_layout_in_a_folder_only_what_its_index_leads_to_is_read(tmp_path: Path) -> None:
    both = oci_archive(IMAGE, ARM, platforms=PLATFORMS)
    unpack(both, tmp_path)
    needed = sum(info.size for info, data in both if info.name != "oci-layout" and data != b'{"config": {}}')
    blobs = tmp_path / "blobs/sha256"
    (blobs / ("f" * 64)).write_bytes(b"BZh9 is damaged")
    (blobs / ("e" * 64)).symlink_to("nowhere")
    for number in range(10_001):
        (blobs / f"{number:064x}").touch()
    assert stored_size(tmp_path) == needed
    with open_archive(tmp_path) as stream:
        assert inspect_archive(stream).image_id == IMAGE.image_id
    with open_archive(tmp_path) as stream:
        assert check_archive(stream, platform="linux/arm64").contents.image_id == ARM.image_id


@pytest.mark.parametrize("digest", ["../../secret", "..:secret", "sha256:../../secret", "sha256:a/../../../secret"])
def test_a_layout_in_a_folder_leads_to_nothing_outside(tmp_path: Path, digest: str) -> None:
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest}
    manifest = {"config": config, "layers": [{"digest": digest}]}
    (tmp_path / "layout/blobs/sha256/a").mkdir(parents=True)
    (tmp_path / "secret").write_text("{}")
    (tmp_path / "layout/secret").write_text("{}")
    for index in ({"manifests": [{"digest": digest}]}, manifest):
        (tmp_path / "layout/index.json").write_text(json.dumps(index))
        with open_archive(tmp_path / "layout") as stream, pytest.raises(ArchiveError, match="is incomplete"):
            inspect_archive(stream)
        assert stored_size(tmp_path / "layout") == len(json.dumps(index))


def changed(members: Sequence[tuple[tarfile.TarInfo, bytes]], old: bytes, new: bytes) -> bytes:
    return tar_of([file_member(info.name, data.replace(old, new)) for info, data in members])


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (changed(oci_archive(IMAGE), b"schemaVersion", b"schemaversion"), "is damaged: blobs/.* has another dig"),
        (changed(oci_archive(IMAGE), b"ref.name", b"\xff"), None),
        (changed(oci_archive(IMAGE), b'"sha256:', b'"sha512:'), "is incomplete: blobs/sha512/.*, which its"),
        (changed(oci_archive(IMAGE), b'"sha256:', b'"../../'), "is incomplete: blobs/../../.*, which its"),
        (changed(oci_archive(IMAGE), b'"manifests"', b'"other"'), "holds no image. Save the image again."),
        (changed(oci_archive(IMAGE), b'{"schemaVersion": 2, "manifests": [{', b'[{'), "is damaged: its index.json ca"),
        (tar_of([file_member("index.json", b'{"manifests": 5}')]), "is damaged: its index.json cannot be read"),
    ],
)  # fmt: skip
def test_an_oci_archive_that_is_none(archive: bytes, message: str | None) -> None:
    if message is None:
        assert inspect(archive).image_id == IMAGE.image_id
        return
    with pytest.raises(ArchiveError, match=message):
        inspect(archive)


def test_json_as_docker_reads_it() -> None:
    layer = layer_tar({"a": b"b"})
    config = {
        "ROOTFS": {"Type": "layers", "Diff_IDs": [f"sha256:{sha256(layer)}"]},
        "Config": {"labels": {"a": None, "b": "2"}},
        "architecture": None,
        "History": [None, {"Created_By": "step"}],
    }
    manifest = json.dumps([{"config": "config.json", "repotags": ["a/b:1"], "LAYERS": ["/0.tar"]}]).encode()
    members = [
        file_member("/0.tar", layer),
        file_member("/config.json", json.dumps(config).encode()),
        file_member("/manifest.json", manifest),
    ]
    found = inspect(tar_of(members))
    assert (found.architecture, found.labels, found.repo_tags) == ("", (("a", ""), ("b", "2")), ("a/b:1",))
    replaced = json.dumps({**config, "os": "linux", "author": "QQQ"}).encode().replace(b"QQQ", b"\xff")
    assert inspect(archive_of(replaced, (layer,))).os == "linux"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r"caf\udce9", "caf\ufffd"),
        (r"\ud83d", "\ufffd"),
        (r"\uD83Dx\uDE00", "\ufffdx\ufffd"),
        (r"\ud83d\ude00", "\U0001f600"),
        (r"\ud83d\uD83D\uDE00\ude00", "\ufffd\U0001f600\ufffd"),
        (r"\ud83d\u0041\ud83d\n", "\ufffdA\ufffd\n"),
        (r"\\ud83d", r"\ud83d"),
        (r"\\\ud83d", "\\\ufffd"),
        (r"\"\ud83d\"", '"\ufffd"'),
    ],
)
def test_half_of_a_surrogate_pair_is_a_replacement_character(written: str, read: str) -> None:
    config = Image(IMAGE.layers, {"QQQ": "QQQ"}).config.replace(b"QQQ", written.encode())
    found = inspect(archive_of(config, IMAGE.layers))
    assert found.labels == ((read, read),)
    assert found.image_id == f"sha256:{sha256(config)}"


@pytest.mark.slow
def test_a_config_of_many_megabytes() -> None:
    config = changed_config(author="x" * (20 << 20))
    assert inspect(archive_of(config, IMAGE.layers)).image_id == f"sha256:{sha256(config)}"


def test_a_config_of_too_many_values() -> None:
    config = changed_config(more=[1] * 1_000_001)
    with pytest.raises(ArchiveError, match=r"its image config cannot be read .it has more than 1,000,000 values"):
        inspect(archive_of(config, IMAGE.layers))


@pytest.mark.slow
def test_indexes_within_indexes_keep_nobody_busy() -> None:
    """Each names the next one many times, and no image: read as often as they are named, that takes for ever."""
    files = {}
    inner = b'{"manifests": []}'
    for _ in range(3):
        files[f"blobs/sha256/{sha256(inner)}"] = inner
        inner = json.dumps({"manifests": [{"digest": f"sha256:{sha256(inner)}"}] * 2000}).encode()
    archive = tar_of([file_member(name, document) for name, document in [*files.items(), ("index.json", inner)]])
    with pytest.raises(ArchiveError, match=r"has an index of more than 100,000 entries\. Save each image by itself"):
        inspect(archive)


def test_one_config_that_a_thousand_entries_lead_to_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[bytes] = []

    def decode(document: bytes, kind: type[Any]) -> Any:
        decoded.append(document)
        return decode_like_go(document, kind)

    monkeypatch.setattr(oci_module, "decode_like_go", decode)
    files = {info.name: content for info, content in oci_archive(IMAGE)}
    index = json.loads(files["index.json"])
    index["manifests"] *= 900
    files["index.json"] = json.dumps(index).encode()
    archive = tar_of([file_member(name, content) for name, content in files.items()])
    assert inspect(archive).image_id == IMAGE.image_id
    assert len(decoded) == 3, "the index, the manifest and the config"


def test_lists_of_packages_do_not_push_out_the_config() -> None:
    attached = [file_member(f"{number}.json", b"{" + b" " * (20 << 20)) for number in range(3)]
    assert (
        inspect(tar_of([*attached, *legacy(IMAGE), file_member("9.json", attached[0][1])])).image_id == IMAGE.image_id
    )


def test_a_config_that_its_name_does_not_fit_is_refused() -> None:
    members = [
        file_member(CONFIG, IMAGE.config.replace(b"amd64", b"arm64")) if info.name == CONFIG else (info, data)
        for info, data in legacy(IMAGE)
    ]
    with pytest.raises(ArchiveError, match=f"is damaged: its config {CONFIG} has the digest sha256:"):
        inspect(tar_of(members))


def test_a_layer_in_another_compression_is_named() -> None:
    image = example_image()
    archive = tar_of(oci(image, compress=lambda layer: b"\x04\x22\x4d\x18" + layer))
    with pytest.raises(ArchiveError, match=r"blobs/sha256/[0-9a-f]*, its layer, is compressed with lz4"):
        inspect(archive)


@pytest.mark.parametrize("magic", [b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"BZh9"])
def test_a_layer_that_is_damaged_whatever_its_compression(magic: bytes) -> None:
    archive = tar_of(oci(example_image(), compress=lambda layer: magic + layer))
    with pytest.raises(ArchiveError, match=r"is damaged: blobs/sha256/[0-9a-f]* cannot be decompressed"):
        inspect(archive)


@pytest.mark.slow
def test_an_xz_layer_that_wants_much_memory() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
    archive = tar_of(oci(example_image(), compress=lambda layer: lzma.compress(layer, filters=filters)))
    with pytest.raises(ArchiveError, match=r"cannot be decompressed .Memory usage limit exceeded"):
        inspect(archive)


@pytest.mark.slow
def test_a_zstd_layer_that_wants_much_memory() -> None:
    archive = tar_of(oci(Image((layer_tar({"zeros": bytes(300 << 20)}),)), compress=zstd_long))
    with pytest.raises(ArchiveError, match=r"cannot be decompressed .*too much memory"):
        inspect(archive)


def zstd_long(data: bytes) -> bytes:
    command = ["zstd", "--quiet", "--long=29", "-1"]
    return subprocess.run(command, input=data, check=True, capture_output=True).stdout


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: data[:40] + b"\xff" * 40 + data[80:]])
def test_a_damaged_compressed_layer_is_named(damage) -> None:  # type: ignore[no-untyped-def]
    image = example_image()
    archive = tar_of(oci(image, compress=lambda layer: damage(gzip.compress(layer, mtime=0))))
    with pytest.raises(ArchiveError, match=r"is damaged: blobs/sha256/[0-9a-f]* cannot be decompressed"):
        inspect(archive)


@pytest.mark.parametrize("damaged", [gzip.compress(b"x" * 999)[:-9], b"BZh9 no bzip2", b"\x28\xb5\x2f\xfd no zstd"])
def test_a_damaged_file_that_no_manifest_names_is_passed_over(damaged: bytes) -> None:
    other = file_member("blobs/sha256/0", damaged)
    for members in (legacy(IMAGE), oci(IMAGE, compress=gzip.compress), oci_archive(IMAGE)):
        archive = tar_of([other, *members])
        assert inspect(archive).image_id == IMAGE.image_id
        assert check_archive(io.BytesIO(archive)).contents.image_id == IMAGE.image_id


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
        (b"\xfd7zXZ\0" + bytes(600), "is damaged: Corrupt input data"),
        (b"\x28\xb5\x2f\xfd" + bytes(600), "breaks off before its end"),
        (b"BZh91AY&SY" + bytes(600), "is damaged: "),
        (b"PK\3\4" + bytes(600), "is in zip format, which no engine loads. Unpack it and use the tar."),
        (
            b"#!/usr/bin/env run-singularity\n\0SIF_MAGIC\0" + bytes(600),
            "is an image of Singularity or Apptainer, which",
        ),
        (b"#!/usr/bin/env launch-me\n".ljust(32, b"\0") + b"SIF_MAGIC\0", "is an image of Singularity or Apptainer,"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "is a pointer of Git LFS, not the file itself.",
        ),
        (b"\n<!DOCTYPE html>\n<html>", "is a web page, as of a server that wants a login"),
        (
            gzip.compress(gzip.compress(tar_of(legacy(IMAGE)), mtime=0), mtime=0),
            "is gzip once more when it is unpacked. Unpack it",
        ),
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
    missing = tmp_path / "none.tar"
    with (
        pytest.raises(
            ArchiveError, match=f"{missing} cannot be read: No such file or directory. Name a file that you may read."
        ),
        open_archive(missing),
    ):
        pass
    with (
        pytest.raises(ArchiveError, match=f"{tmp_path} is a folder, and no OCI layout: it has no index.json. Name an"),
        open_archive(tmp_path),
    ):
        pass


@pytest.mark.parametrize(
    ("manifest", "advice"),
    [
        ("[{}]", "It is an archive that was unpacked: pack it"),
        ('{"schemaVersion": 2}', "Skopeo's `dir:` is written so"),
        ("", "Name an archive."),
    ],
)
def test_a_folder_with_an_image_in_another_form(tmp_path: Path, manifest: str, advice: str) -> None:
    (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(ArchiveError, match=f"it has no index.json. {advice}"), open_archive(tmp_path):
        pass
