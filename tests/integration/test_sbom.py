"""`skyport-wf sbom`: the packages of a published image, read off the node that its receipt names."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skyport_wf.image.examination.package_list import PackageList, pack
from skyport_wf.image.examination.packages.package import Package
from skyport_wf.publication.package_lists import listed_packages
from tests.support.docker_archives import layer_tar
from tests.support.lab import NAME, Lab, ServedShock, opened, served

DPKG = b"Package: samtools\nVersion: 1.16.1-1\nArchitecture: amd64\n"
LAYER = layer_tar({"var/lib/dpkg/status": DPKG, "etc/os-release": b"ID=debian\nVERSION_ID=12\n"})
BROKEN = layer_tar({"var/lib/dpkg/status": DPKG, "opt/site-packages/x.dist-info/METADATA": b"Name: x" + bytes(2 << 20)})


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """Return a lab with an image to publish to an embedded Shock of its own."""
    made = Lab(tmp_path / "lab", "")
    made.variables |= {"SKYPORT_DATA": str(tmp_path / "store"), "SHOCK_URL": ""}
    made.write(LAYER)
    return made


@pytest.fixture
def served_lab(tmp_path: Path) -> Iterator[tuple[ServedShock, Lab]]:
    with served(tmp_path) as both:
        both[1].write(LAYER, fields="public: false")
        yield both


def publish(lab: Lab, *options: str, **variables: str) -> None:
    done = lab.run("publish", "--all", "--record", "receipt.json", *options, **variables)
    assert done.code == 0, done.log


def sbom(lab: Lab, **variables: str) -> Any:
    done = lab.run("sbom", "receipt.json", "--record", "out/{key}.cdx.json", **variables)
    assert done.code == 0, done.log
    return json.loads((lab.folder / "out/lab_tool_1.0.cdx.json").read_text())


def versions(document: Any) -> dict[str, str]:
    return {component["name"]: component["version"] for component in document["components"]}


def test_which_version_of_samtools_is_in_it(lab: Lab) -> None:
    publish(lab)
    document = sbom(lab)
    assert versions(document)["samtools"] == "1.16.1-1"
    receipt = json.loads((lab.folder / "receipt.json").read_text())
    assert document["metadata"]["component"]["bom-ref"] == receipt["image_id"]


def test_a_list_on_the_node_spares_reading_the_image(lab: Lab, tmp_path: Path) -> None:
    """The four steps list the packages while the archive passes by: its file may be unreadable afterwards."""
    lab.save("")
    assert lab.upload("").code == 0
    assert lab.register("").code == 0
    (file,) = (path for path in (tmp_path / "store/files").rglob("*") if path.is_file())
    file.write_bytes(bytes(file.stat().st_size))
    assert versions(sbom(lab))["samtools"] == "1.16.1-1"


@pytest.mark.parametrize("damage", ["gone", "damaged", "of another image"])
def test_without_a_list_the_image_is_read(lab: Lab, tmp_path: Path, damage: str) -> None:
    publish(lab)
    document = sbom(lab)
    with opened(tmp_path / "store") as shock:
        (node,) = shock.query({"type": "dockerimage"})
        attributes = dict(node.attributes or {})
        listed = attributes.pop("skyport_wf_packages")
        if damage == "damaged":
            attributes["skyport_wf_packages"] = listed[:-8]
        elif damage == "of another image":
            other = PackageList("sha256:" + "0" * 64, (Package("deb", "other", "1"),))
            attributes["skyport_wf_packages"] = pack(other)
        shock.replace_attributes(node.id, attributes)
    assert sbom(lab) == document


def test_the_list_goes_with_another_name_and_with_a_copy(served_lab: tuple[ServedShock, Lab], tmp_path: Path) -> None:
    server, lab = served_lab
    publish(lab, SHOCK_URL=server.url)
    assert lab.run("tag", NAME, "lab/tool:2.0", SHOCK_URL=server.url).code == 0
    copied = {"SHOCK_URL": server.url, "SKYPORT_DATA": str(tmp_path / "other")}
    done = lab.run("copy", "lab/tool:*", "--to", "embedded", "--private", **copied)
    assert done.code == 0, done.log
    with opened(tmp_path / "other") as shock:
        first, second = map(listed_packages, shock.query({"type": "dockerimage"}))
        assert first == second
        assert first
        assert [package.name for package in first.packages] == ["samtools"]


def test_publish_writes_the_same_document(lab: Lab) -> None:
    publish(lab, "--sbom", "packages/{key}.json")
    sbom(lab)
    written = (lab.folder / "packages/lab_tool_1.0.json").read_bytes()
    assert written == (lab.folder / "out/lab_tool_1.0.cdx.json").read_bytes()


def test_what_could_not_be_read_is_said(lab: Lab) -> None:
    lab.write(BROKEN)
    publish(lab)
    document = sbom(lab)
    assert versions(document)["samtools"] == "1.16.1-1"
    (note,) = document["metadata"]["properties"]
    assert note["name"] == "skyport-wf:note"
    assert "opt/site-packages/x.dist-info/METADATA was not read for packages" in note["value"]


def test_a_private_image_needs_the_token(served_lab: tuple[ServedShock, Lab]) -> None:
    server, lab = served_lab
    publish(lab, SHOCK_URL=server.url)
    assert versions(sbom(lab, SHOCK_URL=server.url))["samtools"] == "1.16.1-1"
    token, lab.variables["KB_AUTH_TOKEN"] = lab.variables["KB_AUTH_TOKEN"], ""
    done = lab.run("sbom", "receipt.json", "--record", "x.json", SHOCK_URL=server.url)
    assert done.code == 1
    assert token not in done.log
    assert not (lab.folder / "x.json").exists()


def test_the_receipt_of_another_shock(lab: Lab) -> None:
    publish(lab)
    done = lab.run("sbom", "receipt.json", "--record", "x.json", SHOCK_URL="http://127.0.0.1:9")
    assert done.code == 2
    assert f"the receipt of {NAME} is of embedded, and the Shock that is meant is http://127.0.0.1:9" in done.log


def test_a_node_that_vanished(lab: Lab, tmp_path: Path) -> None:
    publish(lab)
    lab.variables["SKYPORT_DATA"] = str(tmp_path / "another")
    done = lab.run("sbom", "receipt.json", "--record", "x.json")
    assert (done.code, f"of {NAME} vanished from the embedded Shock" in done.log) == (1, True), done.log


def test_a_receipt_of_another_image(lab: Lab) -> None:
    publish(lab)
    receipt = json.loads((lab.folder / "receipt.json").read_text())
    (lab.folder / "receipt.json").write_text(json.dumps(receipt | {"image_id": "sha256:" + "0" * 64}))
    done = lab.run("sbom", "receipt.json", "--record", "x.json")
    assert (done.code, f"its receipt says sha256:{'0' * 64}" in done.log) == (1, True), done.log


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (None, 2, "there is no receipt.json. Run the step that writes it first."),
        ("{}", 1, "receipt.json is not a `skyport-wf receipt 2` record"),
    ],
)
def test_what_is_no_receipt(lab: Lab, content: str | None, code: int, message: str) -> None:
    if content is not None:
        (lab.folder / "receipt.json").write_text(content)
    done = lab.run("sbom", "receipt.json", "--record", "x.json")
    assert (done.code, message in done.log) == (code, True), done.log


def test_several_images_need_several_files(lab: Lab) -> None:
    (lab.folder / "images.yaml").write_text(
        "images:\n  - {name: 'lab/a:1', archive: image.tar}\n  - {name: 'lab/b:1', archive: image.tar}\n"
    )
    done = lab.run("publish", "--all", "--sbom", "packages.json")
    assert (done.code, "--sbom packages.json: each image needs a file of its own. Put {key}" in done.log) == (2, True)
