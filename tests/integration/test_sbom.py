"""`skyport-wf sbom`: the packages of a published image, read off the node that its receipt names."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.docker_archives import layer_tar
from tests.support.lab import NAME, Lab, ServedShock, served

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


def test_what_was_listed_before_it_was_sent_is_not_read_again(lab: Lab) -> None:
    lab.save("")
    assert lab.run("upload", "save.json", "--record", "upload.json", "--sbom", "{key}.packages").code == 0
    assert lab.register("").code == 0
    listed = (lab.folder / "lab_tool_1.0.packages").read_bytes()
    # Nothing answers there.
    lab.variables["SHOCK_URL"] = "http://127.0.0.1:1"
    options = ("--record", "a.cdx.json", "--listed", "{key}.packages")
    assert lab.run("sbom", "receipt.json", *options).code == 0
    assert (lab.folder / "a.cdx.json").read_bytes() == listed
    # It counts once: later the node is read.
    assert not (lab.folder / "lab_tool_1.0.packages").exists()
    assert lab.run("sbom", "receipt.json", *options).code != 0
    lab.variables["SHOCK_URL"] = ""
    sbom(lab)
    assert (lab.folder / "out/lab_tool_1.0.cdx.json").read_bytes() == listed


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"{}", b'{"metadata": {"component": null}}', b"\xff",
        b'{"metadata": {"component": {"name": "lab/tool", "version": "1.0", "bom-ref": "sha256:0"}}}',
    ],
)  # fmt: skip
def test_a_list_of_something_else_does_not_count(lab: Lab, content: bytes) -> None:
    publish(lab)
    (lab.folder / "listed").write_bytes(content)
    done = lab.run("sbom", "receipt.json", "--record", "a.cdx.json", "--listed", "listed")
    assert done.code == 0, done.log
    assert versions(json.loads((lab.folder / "a.cdx.json").read_text()))["samtools"] == "1.16.1-1"


def test_an_archive_that_cannot_be_listed_is_sent_all_the_same(lab: Lab) -> None:
    lab.save("")
    (lab.folder / "notes.txt").write_text("notes")
    done = lab.run("upload", "save.json", "--record", "upload.json", "--sbom", "notes.txt")
    assert (done.code, "notes.txt is there, and is no CycloneDX JSON" in done.log) == (0, True)


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
