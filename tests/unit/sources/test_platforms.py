from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from skyport_wf.engine import capabilities, images
from skyport_wf.engine.images import EngineImage
from skyport_wf.errors import PlatformError
from skyport_wf.image.platforms import best_platform, is_platform
from skyport_wf.image_list.spec import ImageSpec
from skyport_wf.sources import platforms
from skyport_wf.sources.engine_image import EngineImageSource
from skyport_wf.sources.platforms import check_platform
from skyport_wf.sources.remote_files import RemoteFiles
from tests.support.docker_archives import Image, file_member, legacy, oci_archive, tar_of
from tests.support.lab import Lab

if TYPE_CHECKING:
    from docker import APIClient


@pytest.mark.parametrize(
    ("platform", "wanted", "is_it"),
    [
        ("linux/amd64", "linux/amd64", True),
        ("linux/arm64", "linux/amd64", False),
        ("linux/arm64/v8", "linux/arm64", True),
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/arm/v6", "linux/arm/v7", False),
        ("windows/amd64", "linux/amd64", False),
        ("/", "linux/amd64", True),
        ("linux/", "linux/amd64", True),
        ("linux/amd64", "linux/", True),
        ("linux/amd64", "linux/x86_64", True),
        ("linux/x86_64", "linux/amd64", True),
        ("linux/arm/v7", "linux/armhf", True),
        ("linux/arm64", "linux/x86_64", False),
    ],
)
def test_variants_and_what_is_unknown_do_not_count(platform, wanted, is_it):
    assert is_platform(platform, wanted) is is_it


@pytest.mark.parametrize(
    ("told", "wanted", "best"),
    [
        (("linux/arm64", "linux/amd64"), "linux/x86_64", "linux/amd64"),
        (("linux/arm64", "Linux/X86-64"), "linux/amd64", "Linux/X86-64"),
        (("linux/arm64/v8", "linux/amd64"), "linux/aarch64", "linux/arm64/v8"),
        (("linux/arm/v6", "linux/arm/v7"), "linux/armhf", "linux/arm/v7"),
        (("linux/arm64",), "linux/x86_64", None),
    ],
)
def test_of_an_index_the_image_for_a_platform_in_any_spelling(told, wanted, best):
    assert best_platform(told, wanted) == best


def test_another_platform_is_refused_unless_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(platforms, "own_platform", lambda: "linux/amd64")
    check_platform(ImageSpec("a/b:1", archive="x"), "linux/amd64")
    check_platform(ImageSpec("a/b:1", archive="x", platform="linux/arm64"), "linux/arm64")
    check_platform(ImageSpec("a/b:1", archive="x", platform="Linux/aarch64"), "linux/arm64")
    with pytest.raises(PlatformError, match=r"this machine is linux/amd64.*write `platform: linux/arm64`"):
        check_platform(ImageSpec("a/b:1", archive="x"), "linux/arm64")
    with pytest.raises(PlatformError, match="for linux/amd64, and the image list asks for linux/arm64"):
        check_platform(ImageSpec("a/b:1", archive="x", platform="linux/arm64"), "linux/amd64")


def test_an_engine_that_has_an_image_for_several_platforms(monkeypatch):
    """containerd's image store shows one of them; the others are in what `docker save` writes."""
    shown = EngineImage(id="sha256:1", os="linux", architecture="amd64")
    source = EngineImageSource(ImageSpec("a/b:1", image="x:1", platform="linux/arm64"), Path(), cast(RemoteFiles, None))
    monkeypatch.setattr(images, "require_image", lambda *_, **__: shown)
    for on_containerd in (True, False):
        monkeypatch.setattr(capabilities, "uses_containerd_store", lambda _, answer=on_containerd: answer)
        with pytest.raises(PlatformError, match="asks for linux/arm64") as caught:
            source.describe({}, lambda: cast("APIClient", None))
        assert ("`docker save x:1 -o FILE`" in str(caught.value)) is on_containerd


@pytest.mark.slow
def test_of_an_archive_of_several_platforms_the_listed_one_is_published(tmp_path):
    lab = Lab(tmp_path)
    images = {name: Image((tar_of([file_member(name, b"x")]),), architecture=name) for name in ("amd64", "s390x")}
    platforms = [f"linux/{name}" for name in images]
    (tmp_path / "image.tar").write_bytes(tar_of(oci_archive(*images.values(), platforms=platforms)))
    lab.write_list("name: 'lab/x:1', archive: image.tar, platform: Linux/x86_64", shock="url: embedded")
    done = lab.run("publish", "--all", "--dry-run")
    assert done.code == 0, done.log
    lab.write_list("name: 'lab/x:1', archive: image.tar, platform: linux/s390x", shock="url: embedded")
    assert lab.run("build", "lab/x:1", "--record", "build.json").code == 0
    assert lab.run("save", "build.json", "--archive", "saved.tar.gz", "--record", "save.json").code == 0
    assert images["s390x"].image_id in lab.run("show", "--archive", "saved.tar.gz").out
    done = lab.run("publish", "--all")
    assert done.code == 0, done.log
    assert images["s390x"].image_id in lab.run("show", "lab/x:1").out


@pytest.mark.slow
def test_one_name_for_another_machine(tmp_path):
    """It is published on purpose alone, and said wherever somebody looks."""
    lab = Lab(tmp_path)
    layer = tar_of([file_member("f", b"x")])
    (tmp_path / "image.tar").write_bytes(tar_of(legacy(Image((layer,), architecture="s390x"))))
    for fields, code in (("", 1), ("platform: linux/s390x", 0), ("platform: linux/amd64", 1)):
        lab.write_list(f"name: 'lab/x:1', archive: image.tar, {fields}", shock="url: embedded")
        done = lab.run("publish", "--all")
        assert done.code == code, done.log
    told = "lab/x:1 is an image for linux/s390x, and the image list asks for linux/amd64."
    assert told in done.log
    assert told in lab.run("status").out
    lab.write_list("name: 'lab/x:1', archive: image.tar, platform: linux/s390x", shock="url: embedded")
    assert "lab/x:1 is an image for linux/s390x" in lab.run("status", "--json").out
    assert "\nlab/x:1 is an image for linux/s390x, and this machine is" in lab.run("status").out
    fetched = lab.run("pull", "lab/x:1", "--output", "x.tar")
    assert (fetched.code, "lab/x:1 is an image for linux/s390x, and this machine is" in fetched.log) == (0, True)
    assert "it is for linux/s390x, and this machine is" in lab.run("show", "lab/x:1").out
