"""`skyport-wf find`: images by the packages in them, from the lists on their nodes."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skyport_wf.cli.main import main
from skyport_wf.image.examination.package_list import PackageList, pack
from skyport_wf.image.examination.packages.package import Package, PackageKind
from skyport_wf.image_list.spec import ShockSettings
from skyport_wf.publication.connection import open_shock
from skyport_wf.shock.client import ShockClient


@pytest.fixture
def shock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ShockClient]:
    monkeypatch.setenv("SKYPORT_DATA", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    with open_shock(ShockSettings()) as opened:
        yield opened.user


def put(shock: ShockClient, name: str, *packages: tuple[PackageKind, str, str], **more: Any) -> None:
    """Make a node with a list, as publishing does."""
    image_id = f"sha256:{abs(hash(name)):064x}"
    listed = PackageList(image_id, tuple(sorted(Package(*package, **more) for package in packages)))
    attributes = {
        "type": "dockerimage", "name": name, "repository": name.split(":", maxsplit=1)[0], "tag": name.split(":")[1],
        "id": image_id, "skyport_wf_packages": pack(listed),
    }  # fmt: skip
    node = shock.create(lambda: [b"\x1f\x8b"], file_name="x", attributes=attributes, expiration="1D")
    shock.keep(node.id)


def find(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    capsys.readouterr()
    assert main(["find", *words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def names(found: Any) -> list[str]:
    return sorted(image["name"] for image in found["images"])


@pytest.mark.slow
def test_by_name_and_version(shock: ShockClient, capsys: pytest.CaptureFixture[str]) -> None:
    put(shock, "lab/old:1", ("deb", "openssl", "1.1.1n-0+deb11u5"), ("pypi", "scikit_learn", "1.2"))
    put(shock, "lab/new:1", ("deb", "openssl", "3.0.11-1"), ("pypi", "Scikit-Learn", "1.4"))
    put(shock, "lab/alpine:1", ("apk", "openssl", "1.1.1w-r1"))
    put(shock, "other/none:1")
    assert names(find(capsys, "--package", "openssl", "<3")) == ["lab/alpine:1", "lab/old:1"]
    assert names(find(capsys, "--package", "openssl<3")) == ["lab/alpine:1", "lab/old:1"]
    assert names(find(capsys, "--package", "OpenSSL")) == ["lab/alpine:1", "lab/new:1", "lab/old:1"]
    assert names(find(capsys, "lab/o*", "lab/new", "-p", "open*", ">=1")) == ["lab/new:1", "lab/old:1"]
    assert names(find(capsys, "-p", "openssl", "<3", "-p", "scikit.learn")) == ["lab/old:1"]
    found = find(capsys, "-p", "openssl", ">=3")
    assert (found["searched"], found["unlisted"], found["images"][0]["packages"][0]["version"]) == (4, [], "3.0.11-1")
    assert names(find(capsys, "-p", "samtools")) == []


def test_what_is_no_version_in_a_condition_is_said_of_the_condition(
    shock: ShockClient, capsys: pytest.CaptureFixture[str]
) -> None:
    put(shock, "lab/old:1", ("deb", "openssl", "1.1"))
    put(shock, "lab/new:1", ("deb", "openssl", "3.0"))
    notes = find(capsys, "-p", "openssl", "<abc")["notes"]
    assert notes == ["abc is no version of the kind deb, so none of that kind is compared with it"]


def test_a_library_is_found_by_the_package_that_it_was_built_from(
    shock: ShockClient, capsys: pytest.CaptureFixture[str]
) -> None:
    put(shock, "lab/lib:1", ("deb", "libssl1.1", "1.1.1n-0+deb11u5"), source="openssl")
    put(shock, "lab/conda:1", ("conda", "samtools", "1.16=h1"), source="openssl")
    found = find(capsys, "-p", "openssl", "<3")
    assert [package["name"] for image in found["images"] for package in image["packages"]] == ["libssl1.1"]


def test_what_is_not_known_is_said(shock: ShockClient, capsys: pytest.CaptureFixture[str]) -> None:
    put(shock, "lab/epoch:1", ("rpm", "openssl", "1:1.1.1k-6.el8"), ("pypi", "openssl", "unknown"))
    attributes = {"type": "dockerimage", "name": "lab/unlisted:1", "id": "x", "skyport_wf_packages": 5}
    shock.keep(shock.create(lambda: [b"x"], file_name="x", attributes=attributes, expiration="1D").id)
    found = find(capsys, "-p", "openssl", "<3")
    assert [image["name"] for image in found["unlisted"]] == ["lab/unlisted:1"]
    epoch, unknown = sorted(found["notes"], reverse=True)[:2]
    assert "to compare with it, write '<1:3'" in " ".join((epoch, unknown))
    assert "openssl unknown: no version of the kind pypi" in " ".join((epoch, unknown))
    assert names(find(capsys, "-p", "openssl", "<1:3")) == ["lab/epoch:1"]
    assert main(["find", "-p", "openssl", "<3"]) == 0
    told = capsys.readouterr().out
    assert "Not known of lab/unlisted:1: their nodes have no list of packages. `skyport-wf adopt NAME`" in told


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-p", "openssl", "3"), "'3' is no condition for a version. Names of images stand before --package."),
        (("-p", "<3"), "'<3' names no package"),
        (("-p", "openssl", "<"), "is no condition for a version. Write '<3'"),
        (("-p", "openssl", ">=3.*"), "'>=3.*' is no condition for a version: * and ? go with = and != only"),
        (("-p", "numpy ~=1.26"), "'numpy ~' is no name of a package. Behind a name, write '<3', '>=1.1,<3' or '=1.1*'"),
        (("-p", "numpy two <3"), "'numpy two' is no name of a package: there is none with a blank in it."),
        ((), "the following arguments are required: --package/-p"),
    ],
)
def test_what_is_no_question(words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in find(capsys, *words, code=2)["error"]


def test_names_of_others_do_nothing_to_a_terminal(shock: ShockClient, capsys: pytest.CaptureFixture[str]) -> None:
    put(shock, "lab/evil:1", ("deb", "a\x1b[31m", "1\n2"))
    assert main(["find", "-p", "a*"]) == 0
    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert [line for line in told.splitlines() if line.startswith("lab/evil:1")] == [
        "lab/evil:1  a[31m      12         Debian"
    ]


@pytest.mark.slow
def test_three_hundred_images_take_a_second(shock: ShockClient, capsys: pytest.CaptureFixture[str]) -> None:
    packages = tuple(("deb", f"lib{number}", f"1.{number}-1") for number in range(400))
    for number in range(300):
        put(shock, f"lab/tool{number}:1", *packages, ("deb", "openssl", f"{number % 4}.1-1"))  # type: ignore[arg-type]
    find(capsys, "-p", "openssl")
    begun = time.process_time()
    found = find(capsys, "-p", "openssl", "<3")
    assert time.process_time() - begun < 1
    assert len(found["images"]) == 225
