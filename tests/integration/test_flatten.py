"""`flatten: true`: one layer, the same files, the same config."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from skyport_wf.cli.main import main
from skyport_wf.errors import SkyportError
from tests.support.engine import config_digest, docker, inspect_image, uses_containerd_store, write_image_context
from tests.support.lab import Lab

WASTE = 3_000_000
CONFIG = """
RUN rm /data/waste && echo kept >/data/kept && ln -s kept /data/link && chmod 4755 /data/kept && chown 12:34 /data/kept
ENV GREETING="it costs $5"
LABEL org.example.lab="ours and \\"theirs\\""
USER 12
WORKDIR /data
EXPOSE 80
VOLUME /volume
STOPSIGNAL SIGINT
ENTRYPOINT ["/bin/busybox"]
CMD ["cat", "kept"]
"""


@pytest.fixture
def lab(tmp_path: Path, namespace: str) -> Lab:
    made = Lab(tmp_path)
    write_image_context(tmp_path / "tool")
    (tmp_path / "tool/data/waste").write_bytes(os.urandom(WASTE))
    with (tmp_path / "tool/Dockerfile").open("a") as dockerfile:
        dockerfile.write(CONFIG)
    made.write_list(
        *(
            f"name: '{namespace}/{name}:1', dockerfile: tool/Dockerfile, flatten: {flatten}"
            for name, flatten in {"layered": "false", "flat": "true"}.items()
        )
    )
    return made


def publish(lab: Lab, *arguments: str) -> dict[str, Any]:
    return {image["name"].split("/")[1]: image for image in lab.do("publish", *arguments)["published"]}


def files(name: str) -> set[str]:
    """Return what is in the image: mode, owner and path of everything."""
    command = ["run", "--rm", "--user", "0", "--entrypoint", "/bin/busybox", name]
    listed = docker(
        *command,
        "find",
        "/",
        "-xdev",
        "-type",
        "d",
        "-name",
        "proc",
        "-prune",
        "-o",
        "-exec",
        "stat",
        "-c",
        "%A %u:%g %n",
        "{}",
        ";",
    )
    return {line for line in listed.splitlines() if not line.endswith((" /", " /dev", " /etc"))}


def test_one_layer_with_the_same_files_and_config(lab: Lab, namespace: str) -> None:
    published = publish(lab, "--all")
    layered, flat = inspect_image(f"{namespace}/layered:1"), inspect_image(f"{namespace}/flat:1")
    assert len(layered["RootFS"]["Layers"]) > 1
    assert len(flat["RootFS"]["Layers"]) == 1
    for key in ("Env", "Labels", "User", "WorkingDir", "ExposedPorts", "Volumes", "StopSignal", "Entrypoint", "Cmd"):
        assert flat["Config"].get(key) == layered["Config"].get(key), key
    assert (flat["Architecture"], flat["Os"], flat["Created"]) == (
        layered["Architecture"],
        layered["Os"],
        layered["Created"],
    )
    assert files(f"{namespace}/flat:1") == files(f"{namespace}/layered:1")
    assert docker("run", "--rm", f"{namespace}/flat:1") == "kept\n"
    assert published["flat:1"]["size"] < published["layered:1"]["size"] - WASTE / 2
    assert [layer["created_by"] for layer in published["flat:1"]["layers"]] == [
        f"flattened {config_digest(f'{namespace}/layered:1')}"
    ]
    assert docker("ps", "--all", "--quiet", "--filter", f"ancestor={namespace}/layered:1") == ""


def test_flattening_again_gives_the_same_image(lab: Lab, namespace: str) -> None:
    name = f"{namespace}/flat:1"
    first = publish(lab, name)["flat:1"]
    (lab.folder / "store").rename(lab.folder / "other")
    again = publish(lab, name)["flat:1"]
    assert again["image_id"] == first["image_id"]
    assert again["node"] != first["node"]


def list_nameless() -> set[str]:
    return {*docker("images", "--quiet", "--filter", "dangling=true", "--no-trunc").split()}


def comments_of(images: set[str]) -> set[str]:
    """Return the comments of the images, as far as they are there: other tests remove theirs meanwhile."""
    command = ["docker", "image", "inspect", "--format", "{{.Comment}}"]
    found = [subprocess.run([*command, one], capture_output=True, text=True, check=False) for one in images]
    return {each.stdout.strip() for each in found}


@pytest.mark.parametrize("holder", ["an image with another name", "an image without", "none"])
def test_what_cannot_be_flattened_leaves_the_name_where_it_was(
    lab: Lab, namespace: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], holder: str
) -> None:
    def fail(*_: object) -> str:
        raise SkyportError("no space left on device")

    def named() -> set[str]:
        # An engine may list an image several times, as with each of its names.
        return {*docker("image", "ls", "--no-trunc", "--quiet", name).split()}

    name, base = f"{namespace}/flat:1", f"{namespace}/base:1"
    dockerfile = lab.folder / "tool/Dockerfile"
    dockerfile.write_text(f"{dockerfile.read_text()}USER 0\n")
    docker("build", "--quiet", "--network=host", "--tag", base, str(lab.folder / "tool"))
    dockerfile.write_text(f"{dockerfile.read_text()}CMD true\n")
    if holder == "an image with another name":
        docker("tag", base, name)
    elif holder == "an image without":
        docker(
            "build",
            "--quiet",
            "--network=host",
            "--label",
            f"org.example.test={name}",
            "--tag",
            name,
            str(lab.folder / "tool"),
        )
    # From an image that loses its only name to a build nothing is left in containerd's store.
    is_lost = holder == "an image without" and uses_containerd_store()
    before = set() if is_lost else named()
    nameless = list_nameless()
    (lab.folder / "install.sh").write_text("true\n")
    monkeypatch.chdir(lab.folder)
    monkeypatch.setenv("SKYPORT_DATA", str(lab.folder / "store"))
    monkeypatch.setattr("skyport_wf.engine.flatten.load_image", fail)
    snapshot = f"snapshot: {{base: '{base}', script: install.sh}}, commit: {{message: unfinished}}"
    for source in ("dockerfile: tool/Dockerfile", snapshot):
        lab.write_list(f"name: '{name}', {source}, flatten: true")
        assert main(["build", name, "--record", "build.json"]) == 1
        assert named() == before
        assert capsys.readouterr().err.endswith("no space left on device\n")
    # What a build leaves is its cache.
    assert "unfinished" not in comments_of(list_nameless() - nameless)


def test_the_message_of_a_snapshot_is_kept(lab: Lab, namespace: str) -> None:
    publish(lab, f"{namespace}/layered:1")
    (lab.folder / "install.sh").write_text("true\n")
    lab.write_list(
        f"name: '{namespace}/noted:1', snapshot: {{base: '{namespace}/layered:1', script: install.sh}}, "
        "flatten: true, commit: {author: Anna, message: by a script}"
    )
    with (lab.folder / "tool/Dockerfile").open("a") as dockerfile:
        dockerfile.write("USER 0\n")
    docker("build", "--quiet", "--network=host", "--tag", f"{namespace}/layered:1", str(lab.folder / "tool"))
    nameless = list_nameless()
    publish(lab, f"{namespace}/noted:1")
    image = inspect_image(f"{namespace}/noted:1")
    assert (image["Author"], image["Comment"]) == ("Anna", "by a script")
    assert "by a script" not in comments_of(list_nameless() - nameless)
