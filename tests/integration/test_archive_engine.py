"""What a real engine exports becomes a canonical archive that a real engine, and others, load as the same image."""

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from skyport_wf.image.archive.canonical import save_canonical
from skyport_wf.image.archive.normalise import NormalisedStream
from skyport_wf.image.archive.reader import inspect_archive
from skyport_wf.image.archive.stream import open_archive
from skyport_wf.image.contents import SavedArchive
from skyport_wf.image_list.reference import parse_reference
from tests.support.engine import config_digest, docker, inspect_image, uses_containerd_store

# All processes would build the very same image, and one removes what another is loading.
pytestmark = [pytest.mark.usefixtures("engine"), pytest.mark.xdist_group("the image of the archives")]

NAME = f"arch-test-{uuid.uuid4().hex[:12]}/layers:1.0"
"""A name that nobody else uses: the tests remove it and load over it, and the engine may be shared."""
REFERENCE = parse_reference(NAME)


def a_static_program() -> Path:
    for path in ("/bin/bash-static", "/bin/busybox", "/usr/bin/busybox"):
        if Path(path).exists():
            return Path(path)
    return pytest.fail("no static program here: install Debian's bash-static or busybox-static")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Build an image whose second and fourth layer are the same, and return its config digest."""
    context = tmp_path_factory.mktemp("context")
    shutil.copy(a_static_program(), context / "program")
    (context / "note").write_text("note")
    for path in context.iterdir():
        os.utime(path, (1_600_000_000, 1_600_000_000))
    (context / "Dockerfile").write_text(
        "FROM scratch\nCOPY program /bin/program\nCOPY note /note\nCOPY program /bin/second\nCOPY note /note\n"
        'LABEL org.example.kind="test"\nENTRYPOINT ["/bin/program"]\n'
    )
    docker("build", "--network=host", "--tag", NAME, str(context), DOCKER_BUILDKIT="0")
    yield config_digest(NAME)
    docker("image", "rm", "--force", NAME)


@contextmanager
def exported(name: str = NAME) -> Iterator[io.BufferedReader]:
    with subprocess.Popen(["docker", "save", name], stdout=subprocess.PIPE) as process:
        assert isinstance(process.stdout, io.BufferedReader)
        yield process.stdout
    assert process.returncode == 0


@pytest.fixture(scope="module")
def archive(image: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SavedArchive]:
    target = tmp_path_factory.mktemp("saved") / "image.tar.gz"
    with exported() as stream:
        saved = save_canonical(stream, REFERENCE, target)
    assert saved.contents.image_id == image
    return target, saved


def load_without_the_image(archive: Path) -> str:
    """Remove the image, load the archive, and return the config digest of what the name means then."""
    docker("image", "rm", "--force", NAME)
    docker("load", "--input", str(archive))
    return config_digest(NAME)


def test_the_canonical_archive_loads_as_the_same_image(image: str, archive: tuple[Path, SavedArchive]) -> None:
    assert load_without_the_image(archive[0]) == image
    layers = json.loads(docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", NAME))
    assert layers == [layer.diff_id for layer in archive[1].contents.layers]
    # For containerd's store, the builder makes no layer of a step that changes nothing.
    assert (len(set(layers)) == len(layers)) == uses_containerd_store()


def test_saving_what_was_loaded_gives_the_same_bytes(archive: tuple[Path, SavedArchive], tmp_path: Path) -> None:
    load_without_the_image(archive[0])
    with exported() as stream:
        again = save_canonical(stream, REFERENCE, tmp_path / "again.tar.gz")
    assert again == archive[1]
    assert (tmp_path / "again.tar.gz").read_bytes() == archive[0].read_bytes()


def test_the_normalised_stream_loads_as_the_same_image(image: str, tmp_path: Path) -> None:
    with exported() as stream:
        pieces = NormalisedStream(stream, REFERENCE)
        (tmp_path / "image.tar.gz").write_bytes(b"".join(pieces))
    assert pieces.result.contents.image_id == image
    assert load_without_the_image(tmp_path / "image.tar.gz") == image
    with exported() as stream:
        again = NormalisedStream(stream, REFERENCE)
        same = b"".join(again) == (tmp_path / "image.tar.gz").read_bytes()
    assert again.result.contents.image_id == image
    # containerd's store exports layers in the order of their digests: gzipped after a build, plain after this load.
    assert same or uses_containerd_store()


def test_the_archive_of_an_engine_is_inspected_as_it_is(image: str) -> None:
    with exported() as stream:
        contents = inspect_archive(stream)
    assert contents.image_id == image
    assert contents.repo_tags == (NAME,)
    assert contents.labels == (("org.example.kind", "test"),)
    assert "COPY" in contents.layers[0].created_by


@pytest.mark.usefixtures("image")
def test_an_archive_saved_by_id_gets_the_name(tmp_path: Path) -> None:
    with exported(inspect_image(NAME)["Id"]) as stream:
        save_canonical(stream, REFERENCE, tmp_path / "image.tar.gz")
    with open_archive(tmp_path / "image.tar.gz") as saved:
        assert inspect_archive(saved).repo_tags == (NAME,)


@pytest.fixture(scope="module")
def for_skopeo(archive: tuple[Path, SavedArchive]) -> str:
    """Return what skopeo calls the archive, unpacked: Debian's skopeo 1.9 reads no gzipped one, whoever wrote it."""
    plain = archive[0].with_name("image.tar")
    with plain.open("wb") as file:
        subprocess.run(["gzip", "--decompress", "--stdout", str(archive[0])], stdout=file, check=True)
    return f"docker-archive:{plain}:{NAME}"


def test_skopeo_reads_the_archive_as_the_same_image(for_skopeo: str, archive: tuple[Path, SavedArchive]) -> None:
    _, saved = archive
    command = ["skopeo", "inspect", for_skopeo]
    inspected = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert inspected["Layers"] == [layer.diff_id for layer in saved.contents.layers]
    assert inspected["Labels"] == {"org.example.kind": "test"}
    config = subprocess.run([*command, "--config", "--raw"], capture_output=True, check=True).stdout
    assert saved.contents.image_id in image_ids_of(config)


def image_ids_of(config: bytes) -> set[str]:
    """Return the digest of the config as printed, with and without the newline that a printer may add."""
    return {f"sha256:{hashlib.sha256(text).hexdigest()}" for text in (config, config.rstrip(b"\n"))}


def test_what_skopeo_copies_becomes_the_same_bytes(
    for_skopeo: str, archive: tuple[Path, SavedArchive], tmp_path: Path
) -> None:
    _, saved = archive
    copy = tmp_path / "copy.tar"
    command = ["skopeo", "copy", "--insecure-policy", "--quiet", for_skopeo, f"docker-archive:{copy}:{NAME}"]
    subprocess.run(command, check=True, capture_output=True)
    with open_archive(copy) as stream:
        again = save_canonical(stream, REFERENCE, tmp_path / "again.tar.gz")
    assert again.digests.archive_sha256 == saved.digests.archive_sha256


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@pytest.mark.parametrize("layout", ["oci", "oci-archive"])
def test_an_oci_layout_of_skopeo_s_becomes_an_archive_that_docker_loads(
    layout: str, compression: str, for_skopeo: str, archive: tuple[Path, SavedArchive], tmp_path: Path
) -> None:
    copy = f"{layout}:{tmp_path}/copy:1.0"
    command = ["skopeo", "copy", "--insecure-policy", "--quiet", "--dest-compress-format", compression]
    subprocess.run([*command, for_skopeo, copy], check=True, capture_output=True)
    config = subprocess.run(["skopeo", "inspect", "--config", "--raw", copy], capture_output=True, check=True).stdout
    with open_archive(tmp_path / "copy") as stream:
        again = save_canonical(stream, REFERENCE, tmp_path / "again.tar.gz")
    # An OCI image has another config, and so another id, than the same as Docker's own.
    assert again.contents.image_id in image_ids_of(config)
    assert [layer.diff_id for layer in again.contents.layers] == [layer.diff_id for layer in archive[1].contents.layers]
    assert load_without_the_image(tmp_path / "again.tar.gz") == again.contents.image_id


def test_each_layer_is_a_range_of_the_file(archive: tuple[Path, SavedArchive], tmp_path: Path) -> None:
    with exported() as stream:
        pieces = NormalisedStream(stream, REFERENCE)
        (tmp_path / "image.tar.gz").write_bytes(b"".join(pieces))
    for path, saved in (archive, (tmp_path / "image.tar.gz", pieces.result)):
        with path.open("rb") as file:
            for layer in saved.digests.layers:
                file.seek(layer.offset)
                member = file.read(layer.size)
                assert f"sha256:{hashlib.sha256(member).hexdigest()}" == layer.digest
                unpacked = subprocess.run(["gzip", "-dc"], input=member, check=True, capture_output=True).stdout
                assert f"sha256:{hashlib.sha256(unpacked).hexdigest()}" == layer.diff_id
        assert {layer.diff_id for layer in saved.digests.layers} == {layer.diff_id for layer in saved.contents.layers}


def test_tar_and_gzip_read_the_archive(archive: tuple[Path, SavedArchive]) -> None:
    path, saved = archive
    subprocess.run(["gzip", "--test", str(path)], check=True)
    listed = subprocess.run(["tar", "tf", str(path)], capture_output=True, text=True, check=True)
    assert listed.stderr == ""
    distinct = dict.fromkeys(layer.diff_id.removeprefix("sha256:") for layer in saved.contents.layers)
    config = saved.contents.image_id.removeprefix("sha256:")
    assert listed.stdout.split() == ["manifest.json", f"{config}.json", *(f"{layer}.tar" for layer in distinct)]
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(path.read_bytes()))) as tar:
        assert {info.mtime for info in tar} == {0}
