"""`skyport-wf diff A B`: what differs between two images, by their archives; exit codes as `diff` has them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skyport_wf.cli.main import main
from tests.support.docker_archives import Image, layer_tar, legacy, oci_archive, tar_of


def status(**versions: str) -> bytes:
    return "\n".join(f"Package: {name}\nVersion: {version}\n" for name, version in versions.items()).encode()


OLD = Image(
    (layer_tar({"var/lib/dpkg/status": status(openssl="1.1", samtools="1.16"), "opt/data": b"a", "opt/old": b""}),)
)
NEW = Image(
    (layer_tar({"var/lib/dpkg/status": status(openssl="3.0", samtools="1.16"), "opt/data": b"b", "opt/new": b""}),),
    {"version": "2"},
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two archives, and a store where the first one is published."""
    monkeypatch.setenv("SKYPORT_DATA", str(tmp_path / "store"))
    monkeypatch.setenv("SHOCK_URL", "")
    monkeypatch.chdir(tmp_path)
    for name, image in (("old", OLD), ("new", NEW)):
        Path(f"{name}.tar").write_bytes(tar_of(legacy(image, tags=[f"lab/{name}:1"])))
    return tmp_path


def diff(capsys: pytest.CaptureFixture[str], *words: str, code: int) -> Any:
    capsys.readouterr()
    assert main(["diff", *words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_packages_files_and_metadata(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = diff(capsys, "old.tar", "new.tar", code=1)
    (package,) = found["packages"]
    assert (package["name"], package["a"], package["b"]) == ("openssl", "1.1", "3.0")
    files = {change["path"]: change["how"] for change in found["files"]["listed"]}
    assert files == {
        "/opt/data": "changed", "/opt/new": "added", "/opt/old": "removed", "/var/lib/dpkg/status": "changed"
    }  # fmt: skip
    assert {change["field"]: (change["a"], change["b"]) for change in found["metadata"]} == {
        "Labels version": (None, "2")
    }
    assert (found["verdict"], found["a"], found["b"]) == ("different", "old.tar", "new.tar")
    assert (found["a_id"], found["b_id"]) == (OLD.image_id, NEW.image_id)
    assert main(["diff", "old.tar", "new.tar"]) == 1
    told = capsys.readouterr().out
    assert "different: 1 package, 1 metadata field, 4 files" in told
    assert "Debian  openssl    1.1  3.0" in told
    assert "published" not in told.lower()


def test_a_published_image_and_an_archive_of_another_layout(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("images.yaml").write_text("images: [{name: 'lab/old:1', archive: old.tar}]\n")
    assert main(["publish", "--all"]) == 0
    Path("oci.tar").write_bytes(tar_of(oci_archive(OLD)))
    assert diff(capsys, "lab/old:1", "oci.tar", code=0)["verdict"] == "identical"
    assert diff(capsys, "lab/old", "new.tar", code=1)["a"] == "lab/old:1"


def test_what_is_left_out_is_no_difference(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = Image((layer_tar({"opt/data": b"a", "var/log/build.log": b"1"}),))
    other = Image((layer_tar({"opt/data": b"b", "var/log/build.log": b"2"}),))
    for name, image in (("one", log), ("two", other)):
        Path(f"{name}.tar").write_bytes(tar_of(legacy(image)))
    assert diff(capsys, "one.tar", "two.tar", "--ignore", "/opt/*", code=1)["ignored"] == 1
    assert (
        diff(capsys, "one.tar", "two.tar", "--ignore", "/opt/*", "--ignore-traces", code=0)["verdict"]
        == "same contents"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("old.tar", "lab/none:1"), "finds no image lab/none:1"),
        (("old.tar", "./none.tar"), "there is no archive ./none.tar"),
        (("old.tar", "odl.tar"), "There is no archive odl.tar; did you mean old.tar?"),
        (("old.tar", "broken.tar"), "broken.tar"),
        (("old.tar",), "the following arguments are required: B"),
        (("old.tar", "new.tar", "--ignore", "opt"), "matches nothing"),
    ],
)
def test_trouble_is_no_difference(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    (folder / "broken.tar").write_bytes((folder / "old.tar").read_bytes()[:2000])
    assert message in diff(capsys, *words, code=2)["error"]
