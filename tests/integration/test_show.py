"""`skyport-wf show` on what a real engine built: its counts against those of docker, tar and dpkg themselves."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from skyport_wf.image_list.spec import ShockSettings
from skyport_wf.publication.connection import open_shock
from tests.support.engine import docker, write_image_context

LIST = "shock: {{url: embedded}}\nimages:\n{images}"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder to work in, with an embedded Shock of its own."""
    for name in ("SHOCK_URL", "KB_AUTH_TOKEN", "SHOCK_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SKYPORT_DATA", str(tmp_path / "shock"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "skyport_wf", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def show(*arguments: str | Path) -> dict[str, Any]:
    result = run("show", "--json", *arguments)
    assert result.returncode == 0, result.stderr
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def write_list(home: Path, **images: str) -> None:
    entries = "".join(f"  - name: {name}\n    image: {image}\n" for name, image in images.items())
    (home / "images.yaml").write_text(LIST.format(images=entries))


def build(folder: Path, name: str, dockerfile: str) -> None:
    (folder / "Dockerfile").write_text(dockerfile)
    command = ["docker", "build", "--quiet", "--network=host", "--tag", name, str(folder)]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"DOCKER_BUILDKIT": "0"})


@pytest.fixture
def wasteful(home: Path, namespace: str) -> str:
    """Build an image whose upper layers delete, overwrite and replace what lower ones hold."""
    context = home / "wasteful"
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


def test_waste_is_what_docker_does_not_show(wasteful: str) -> None:
    """Count the files of every layer with `tar`, and those of a container's file system with `docker export`."""
    report = show(wasteful, "--engine")
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
    """Return the layer tars of the engine's image."""
    folder = Path("unpacked")
    folder.mkdir(exist_ok=True)
    with subprocess.Popen(["docker", "save", name], stdout=subprocess.PIPE) as process:
        subprocess.run(["tar", "x", "-C", str(folder)], stdin=process.stdout, check=True)
    (entry,) = json.loads((folder / "manifest.json").read_text())
    return [(folder / path).read_bytes() for path in entry["Layers"]]


def bytes_listed(layer: bytes) -> int:
    listed = subprocess.run(["tar", "tv"], input=layer, capture_output=True, check=True).stdout.decode()
    return sum(map(size_of, listed.splitlines()))


def size_of(line: str) -> int:
    """Return the size in a line of `tar tv`, of a file alone: `-rw-r--r-- 0/0 123 2024-01-01 00:00 name`."""
    return int(line.split()[2]) if line.startswith("-") else 0


def test_a_published_image_its_archive_and_the_engine_tell_the_same(home: Path, wasteful: str) -> None:
    write_list(home, **{wasteful: wasteful})
    assert run("publish", "--all").returncode == 0
    docker("save", "--output", "image.tar", wasteful)
    published, archive, engine = show(wasteful), show("--archive", "image.tar"), show(wasteful, "--engine")
    assert published == archive == engine
    assert published["name"] == wasteful
    assert published["image_id"] == docker("image", "inspect", "--format", "{{.Id}}", wasteful).strip()
    sizes = [layer["size"] for layer in published["layers"]]
    assert sizes == [len(layer) for layer in layers_of(wasteful)]
    assert published["size"] == sum(sizes)


def test_bytes_shared_with_other_images_of_the_list(home: Path, wasteful: str, namespace: str) -> None:
    above = home / "above"
    above.mkdir()
    (above / "tool").write_bytes(b"x" * 5000)
    other, stranger = f"{namespace}/above:1.0", f"{namespace}/stranger:1.0"
    build(above, other, f"FROM {wasteful}\nCOPY tool /tool\n")
    build(above, stranger, f"FROM {wasteful}\nCOPY tool /other\n")
    write_list(home, **{name: name for name in (wasteful, other, stranger)})
    assert run("publish", "--all").returncode == 0
    write_list(home, **{name: name for name in (wasteful, other)})
    lower, upper = show(wasteful), show(other)
    assert lower["shared"] == [{"name": other, "size": distinct_bytes(lower)}]
    assert upper["shared"] == [{"name": wasteful, "size": distinct_bytes(lower)}]
    assert [layer["shared_with"] for layer in upper["layers"]] == [[wasteful]] * len(lower["layers"]) + [[]]
    (home / "images.yaml").unlink()
    assert {shared["name"] for shared in show(wasteful)["shared"]} == {other, stranger}


def distinct_bytes(report: dict[str, Any]) -> int:
    return sum({layer["diff_id"]: layer["size"] for layer in report["layers"]}.values())


def test_packages_are_those_that_dpkg_lists(home: Path) -> None:
    query = ["run", "--rm", "--network=none", "debian:bookworm", "dpkg-query", "-W"]
    listed = docker(*query, "-f", "${Package}\t${Version}\t${Architecture}\n").splitlines()
    report = show("debian:bookworm", "--engine", "--sbom", "out/image.cdx.json")
    packages = [(package["name"], package["version"], package["architecture"]) for package in report["packages"]]
    assert sorted(packages) == sorted(tuple(line.split("\t")) for line in listed)
    assert report["operating_system"]["id"] == "debian"
    components = json.loads((home / "out/image.cdx.json").read_text())["components"]
    assert len(components) == len(listed) + 1


def test_chart_and_table(home: Path, wasteful: str) -> None:
    result = run("show", wasteful, "--engine", "--packages", "--chart", "charts/image.svg")
    assert result.returncode == 0, result.stderr
    assert f"{wasteful}  sha256:" in result.stdout
    assert "deleted by" in result.stdout and "big/one" in result.stdout
    texts = [element.text for element in ElementTree.parse(home / "charts/image.svg").iter()]
    assert wasteful in texts
    assert "wasted" in texts


def test_show_changes_nothing(home: Path, wasteful: str) -> None:
    before = sorted(home.rglob("*"))
    assert run("show", wasteful, "--engine").returncode == 0
    assert sorted(home.rglob("*")) == before


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
def test_what_cannot_be_shown(home: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    (home / "text.tar").write_text("text")
    result = run("show", *arguments)
    assert (result.returncode, result.stdout) == (code, "")
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_download_that_breaks_off(home: Path, wasteful: str) -> None:
    write_list(home, **{wasteful: wasteful})
    assert run("publish", "--all").returncode == 0
    (stored,) = [path for path in (home / "shock").rglob("*") if path.is_file() and path.stat().st_size > 600_000]
    with stored.open("r+b") as file:
        file.truncate(stored.stat().st_size // 2)
    result = run("show", wasteful)
    assert result.returncode in (1, 75)
    assert "Traceback" not in result.stderr
    assert wasteful in result.stderr


def test_an_image_that_is_not_the_one_that_its_node_names(home: Path, wasteful: str) -> None:
    docker("save", "--output", "image.tar", wasteful)
    write_list(home, **{wasteful: wasteful})
    assert run("publish", "--all").returncode == 0
    with open_shock(ShockSettings()) as shock:
        (node,) = shock.user.query({"name": wasteful})
        shock.user.replace_attributes(node.id, (node.attributes or {}) | {"id": "sha256:" + "0" * 64})
    assert f"its node says that it is image sha256:{'0' * 64}" in "".join(show(wasteful)["notes"])
