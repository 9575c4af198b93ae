"""`show` of a published image: the names of its base's layers, the images with which it shares most, and shares."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from skyport_wf.cli.main import main
from skyport_wf.shock.client import ShockClient
from tests.support.docker_archives import Image, canonical, layer_tar, legacy, tar_of

NAME = "lab/tool:1"
BASE = layer_tar({"base": b"x"})
OTHERS = [f"lab/other{number:02}:1" for number in range(12)]


class WithoutHistory(Image):
    """An image whose history says nothing of its lowest layer, as some bases have none."""

    @property
    def config(self) -> bytes:
        config = json.loads(super().config)
        config["history"][0]["created_by"] = ""
        return json.dumps(config).encode()


def publish(folder: Path, name: str, image: Image) -> None:
    (folder / "image.tar").write_bytes(canonical(image, name))
    (folder / "images.yaml").write_text(f"images: [{{name: '{name}', archive: image.tar}}]\n")
    assert main(["publish", name]) == 0


def give_base(shock: ShockClient) -> None:
    """Let the node say what its image was built on, as that of a Dockerfile does."""
    (node,) = shock.query({"name": NAME})
    told: Any = node.attributes
    told["skyport_wf"]["base"] = {"name": "debian:bookworm", "image_id": None}
    shock.replace_attributes(node.id, told)


@pytest.fixture
def published(shock: ShockClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    publish(tmp_path, NAME, WithoutHistory((BASE, layer_tar({"data": bytes(100_000)}))))
    (tmp_path / "images.yaml").unlink()
    return tmp_path


def test_an_archive_whose_name_is_not_utf8(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    archive = os.fsdecode(b"\xff.tar")
    Path(archive).write_bytes(tar_of(legacy(Image((BASE,)), tags=None)))
    assert main(["show", "--archive", archive, "--json", "--sbom", "packages.json", "--chart", "layers.svg"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "\\udcff.tar"
    assert json.loads(Path("packages.json").read_bytes())["metadata"]["component"]["name"] == "\\udcff.tar"
    assert "\\udcff.tar" in Path("layers.svg").read_text()


def test_a_layer_without_a_history_is_the_bases(
    published: Path, shock: ShockClient, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", NAME, "--chart", "before.svg"]) == 0
    assert "(the history does not tell)" in (published / "before.svg").read_text()
    give_base(shock)
    capsys.readouterr()
    assert main(["show", NAME, "--chart", "layers.svg"]) == 0
    told, drawn = capsys.readouterr().out, (published / "layers.svg").read_text()
    assert "FROM debian:bookworm" in told
    assert "FROM debian:bookworm" in drawn
    assert "(the history does not tell)" not in told + drawn
    # Above the base, what the history tells is kept.
    assert "step 1" in told


def test_shares_are_rounded_the_same_in_the_table_and_in_the_chart(
    published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["show", NAME, "--chart", "layers.svg", "--json"]) == 0
    sizes = [layer["size"] for layer in json.loads(capsys.readouterr().out)["layers"]]
    assert main(["show", NAME]) == 0
    told, drawn = capsys.readouterr().out, (published / "layers.svg").read_text()
    for size in sizes:
        words = f"{size / sum(sizes):.1%}"
        assert words in told
        assert f">{words}<" in drawn


def test_ten_images_are_told_with_which_most_is_shared(
    published: Path, shock: ShockClient, capsys: pytest.CaptureFixture[str]
) -> None:
    (node,) = shock.query({"name": NAME})
    for name in OTHERS:
        repository, _, tag = name.partition(":")
        told: Any = {**(node.attributes or {}), "name": name, "repository": repository, "tag": tag}
        shock.keep(shock.create(lambda: [b"x"], file_name="x", attributes=told, expiration="1D").id)
    capsys.readouterr()
    assert main(["show", NAME]) == 0
    told = capsys.readouterr().out
    assert sum(name in told for name in OTHERS) == 10
    assert "\n... and 2 more; --json lists all\n" in told
    assert main(["show", NAME, "--json"]) == 0
    assert {other["name"] for other in json.loads(capsys.readouterr().out)["shared"]} == set(OTHERS)


def test_an_archive_has_the_names_that_it_says(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in (NAME, f"docker.io/{NAME}"):
        assert main(["show", name, "--archive", "image.tar"]) == 0
        assert f"\n{name}  sha256:" in f"\n{capsys.readouterr().out}"
    assert main(["show", "nosuch:9", "--archive", "image.tar"]) == 1
    assert capsys.readouterr().err.endswith(
        f"the image in image.tar is not called nosuch:9, but {NAME}. Leave its name out, or give that.\n"
    )


def test_a_path_of_an_archive_comes_with_the_option_for_it(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    for path in ("./image.tar", "image.tar", str(published / "image.tar")):
        assert main(["show", path]) == 1
        assert f" To look into the archive of this path, give --archive {path}." in capsys.readouterr().err
    assert main(["show", "./none.tar"]) == 1
    assert "--archive" not in capsys.readouterr().err
