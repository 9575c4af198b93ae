"""`skyport-wf show` on what a real engine built: its counts against those of docker, tar and dpkg themselves."""

import gzip
import io
import json
import os
import subprocess
import tarfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from skyport_wf.image_list.spec import ShockSettings
from skyport_wf.publication.connection import open_shock
from tests.support.engine import config_digest, docker, write_image_context
from tests.support.lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def show(lab: Lab, *arguments: str) -> dict[str, Any]:
    report: dict[str, Any] = lab.do("show", *arguments)
    return report


def list_images(lab: Lab, *names: str) -> None:
    """Write an image list of images that the engine has."""
    lab.write_list(*(f"name: '{name}', image: '{name}'" for name in names), shock="url: embedded")


def build(folder: Path, name: str, dockerfile: str) -> None:
    (folder / "Dockerfile").write_text(dockerfile)
    docker("build", "--quiet", "--network=host", "--tag", name, str(folder), DOCKER_BUILDKIT="0")


@pytest.fixture
def wasteful(lab: Lab, namespace: str) -> str:
    """Build an image whose upper layers delete, overwrite and replace what lower ones hold."""
    context = lab.folder / "wasteful"
    context.mkdir()
    write_image_context(context)
    for name, size in {"one": 300_000, "two": 200_000, "three": 100_000, "four": 50_000}.items():
        path = context / "big" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(os.urandom(size))
    (context / "small").write_bytes(b"small")
    name = f"{namespace}/wasteful:1.0"
    build(
        context,
        name,
        (context / "Dockerfile").read_text()
        + "COPY big /big\nCOPY big/four /kept/four\nRUN rm /big/one && ln /kept/four /kept/again && rm /kept/four\n"
        + "COPY small /big/two\nRUN rm -r /big && mkdir /big && echo new > /big/new\n",
    )
    return name


def test_waste_is_what_docker_does_not_show(lab: Lab, wasteful: str) -> None:
    """Count the files of every layer with `tar`, and those of a container's file system with `docker export`."""
    report = show(lab, wasteful, "--engine")
    held = sum(bytes_listed(layer) for layer in layers_of(wasteful))
    container = docker("create", wasteful).strip()
    try:
        with subprocess.Popen(["docker", "export", container], stdout=subprocess.PIPE) as export:
            listed = subprocess.run(["tar", "tv"], stdin=export.stdout, capture_output=True, text=True, check=True)
    finally:
        docker("rm", container)
    shown = sum(map(size_of, listed.stdout.splitlines()))
    assert report["wasted"] == held - shown >= 650_000
    named = {(file["path"], file["size"], file["how"]) for file in report["largest_wasted"]}
    assert {("big/one", 300_000, "deleted"), ("big/two", 200_000, "overwritten"), ("big/two", 5, "deleted"),
            ("big/three", 100_000, "deleted"), ("big/four", 50_000, "deleted")} <= named  # fmt: skip
    commands = [layer["created_by"] for layer in report["layers"]]
    assert "rm -r /big" in commands[-1]


def layers_of(name: str) -> list[bytes]:
    """Return the layer tars of the engine's image; containerd's store exports them gzipped."""
    saved = subprocess.run(["docker", "save", name], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(saved)) as tar:
        files = {member.name: tar.extractfile(member) for member in tar if member.isfile()}
        (entry,) = json.load(files["manifest.json"] or io.BytesIO())
        layers = [file.read() for path in entry["Layers"] if (file := files[path])]
    return [gzip.decompress(layer) if layer.startswith(b"\x1f\x8b") else layer for layer in layers]


def bytes_listed(layer: bytes) -> int:
    listed = subprocess.run(["tar", "tv"], input=layer, capture_output=True, check=True).stdout.decode()
    return sum(map(size_of, listed.splitlines()))


def size_of(line: str) -> int:
    """Return the size in a line of `tar tv`, of a file alone: `-rw-r--r-- 0/0 123 2024-01-01 00:00 name`."""
    return int(line.split()[2]) if line.startswith("-") else 0


def test_a_published_image_its_archive_and_the_engine_tell_the_same(lab: Lab, wasteful: str) -> None:
    list_images(lab, wasteful)
    assert lab.run("publish", "--all").code == 0
    docker("save", "--output", str(lab.folder / "image.tar"), wasteful)
    published, archive, engine = (
        show(lab, wasteful),
        show(lab, "--archive", "image.tar"),
        show(lab, wasteful, "--engine"),
    )
    assert published == archive == engine
    assert published["name"] == wasteful
    assert published["image_id"] == config_digest(wasteful)
    sizes = [layer["size"] for layer in published["layers"]]
    assert sizes == [len(layer) for layer in layers_of(wasteful)]
    assert published["size"] == sum(sizes)


def test_bytes_shared_with_other_images_of_the_list(lab: Lab, wasteful: str, namespace: str) -> None:
    above = lab.folder / "above"
    above.mkdir()
    (above / "tool").write_bytes(b"x" * 5000)
    other, stranger = f"{namespace}/above:1.0", f"{namespace}/stranger:1.0"
    build(above, other, f"FROM {wasteful}\nCOPY tool /tool\n")
    build(above, stranger, f"FROM {wasteful}\nCOPY tool /other\n")
    list_images(lab, wasteful, other, stranger)
    assert lab.run("publish", "--all").code == 0
    list_images(lab, wasteful, other)
    lower, upper = show(lab, wasteful), show(lab, other)
    assert lower["shared"] == [{"name": other, "size": distinct_bytes(lower)}]
    assert upper["shared"] == [{"name": wasteful, "size": distinct_bytes(lower)}]
    assert [layer["shared_with"] for layer in upper["layers"]] == [[wasteful]] * len(lower["layers"]) + [[]]
    (lab.folder / "images.yaml").unlink()
    assert {shared["name"] for shared in show(lab, wasteful)["shared"]} == {other, stranger}


def distinct_bytes(report: dict[str, Any]) -> int:
    return sum({layer["diff_id"]: layer["size"] for layer in report["layers"]}.values())


def test_packages_are_those_that_dpkg_lists(lab: Lab) -> None:
    query = ["run", "--rm", "--network=none", "debian:bookworm", "dpkg-query", "-W"]
    listed = docker(*query, "-f", "${Package}\t${Version}\t${Architecture}\n").splitlines()
    report = show(lab, "debian:bookworm", "--engine", "--sbom", "out/image.cdx.json")
    packages = [(package["name"], package["version"], package["architecture"]) for package in report["packages"]]
    assert sorted(packages) == sorted(tuple(line.split("\t")) for line in listed)
    assert report["operating_system"]["id"] == "debian"
    components = json.loads((lab.folder / "out/image.cdx.json").read_text())["components"]
    assert len(components) == len(listed) + 1


def test_chart_and_table(lab: Lab, wasteful: str) -> None:
    result = lab.run("show", wasteful, "--engine", "--packages", "--chart", "charts/image.svg")
    assert result.code == 0, result.log
    assert f"{wasteful}  sha256:" in result.out
    assert "deleted by" in result.out and "big/one" in result.out
    texts = [element.text for element in ElementTree.parse(lab.folder / "charts/image.svg").iter()]
    assert wasteful in texts
    assert "wasted" in texts


def test_show_changes_nothing(lab: Lab, wasteful: str) -> None:
    before = sorted(lab.folder.rglob("*"))
    assert lab.run("show", wasteful, "--engine").code == 0
    assert sorted(lab.folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "name the image to look into, or give --archive FILE"),
        (("a:1", "--engine", "--archive", "x"), 2, "not allowed with"),
        (("nobody/has:1",), 1, "an AWE worker finds no image nobody/has:1"),
        (("nobody/has:1", "--engine"), 1, "nobody/has:1"),
        (("--archive", "missing.tar"), 1, "missing.tar cannot be read: No such file or directory"),
        (("--archive", "text.tar"), 1, "text.tar is not a tar, so it is not a"),
        (
            ("--archive", "text.tar", "--images", "missing.yaml"),
            1,
            "text.tar is not a tar, so it is not a",
        ),
    ],
)
def test_what_cannot_be_shown(lab: Lab, arguments: tuple[str, ...], code: int, message: str) -> None:
    (lab.folder / "text.tar").write_text("text")
    result = lab.run("show", *arguments)
    assert (result.code, result.out) == (code, "")
    assert message in result.log


def test_a_file_that_was_cut(lab: Lab, wasteful: str) -> None:
    list_images(lab, wasteful)
    assert lab.run("publish", "--all").code == 0
    (stored,) = (path for path in lab.folder.glob("store/files/*/*") if path.stat().st_size > 600_000)
    with stored.open("r+b") as file:
        file.truncate(stored.stat().st_size // 2)
    result = lab.run("show", wasteful)
    assert (result.code, result.out) == (1, "")
    assert "is damaged: the file has " in result.log


def test_an_image_that_is_not_the_one_that_its_node_names(
    lab: Lab, wasteful: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYPORT_DATA", lab.variables["SKYPORT_DATA"])
    list_images(lab, wasteful)
    assert lab.run("publish", "--all").code == 0
    with open_shock(ShockSettings(url="embedded")) as shock:
        (node,) = shock.user.query({"name": wasteful})
        shock.user.replace_attributes(node.id, (node.attributes or {}) | {"id": "sha256:" + "0" * 64})
    assert f"its node says that it is image sha256:{'0' * 64}" in "".join(show(lab, wasteful)["notes"])
