"""`flatten: true`: one layer, the same files, the same config."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import SKYPORT
from tests.support.engine import docker, write_image_context

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


def inspect(name: str) -> dict[str, Any]:
    return json.loads(docker("image", "inspect", name))[0]


@pytest.fixture
def lab(tmp_path: Path, namespace: str) -> Path:
    write_image_context(tmp_path / "tool")
    (tmp_path / "tool/data/waste").write_bytes(os.urandom(WASTE))
    with (tmp_path / "tool/Dockerfile").open("a") as dockerfile:
        dockerfile.write(CONFIG)
    entries = "".join(
        f"  - name: {namespace}/{name}:1\n    dockerfile: tool/Dockerfile\n    flatten: {flatten}\n"
        for name, flatten in {"layered": "false", "flat": "true"}.items()
    )
    (tmp_path / "images.yaml").write_text(f"images:\n{entries}")
    return tmp_path


def publish(lab: Path, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [SKYPORT, "publish", "--json", *arguments], cwd=lab, capture_output=True, text=True, check=False,
        env={**os.environ, "SKYPORT_DATA": str(lab / "store")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {image["name"].split("/")[1]: image for image in json.loads(done.stdout)["published"]}


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


def test_one_layer_with_the_same_files_and_config(lab: Path, namespace: str) -> None:
    published = publish(lab, "--all")
    layered, flat = inspect(f"{namespace}/layered:1"), inspect(f"{namespace}/flat:1")
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
    assert [layer["created_by"] for layer in published["flat:1"]["layers"]] == [f"flattened {layered['Id']}"]
    assert docker("ps", "--all", "--quiet", "--filter", f"ancestor={namespace}/layered:1") == ""


def test_flattening_again_gives_the_same_image(lab: Path, namespace: str) -> None:
    name = f"{namespace}/flat:1"
    first = publish(lab, name)["flat:1"]
    (lab / "store").rename(lab / "other")
    again = publish(lab, name)["flat:1"]
    assert again["image_id"] == first["image_id"]
    assert again["node"] != first["node"]


def test_the_message_of_a_snapshot_is_kept(lab: Path, namespace: str) -> None:
    publish(lab, f"{namespace}/layered:1")
    (lab / "install.sh").write_text("true\n")
    with (lab / "images.yaml").open("a") as images:
        images.write(
            f"  - name: {namespace}/noted:1\n    flatten: true\n    commit: {{author: Anna, message: by a script}}\n"
            f"    snapshot: {{base: '{namespace}/layered:1', script: install.sh}}\n"
        )
    with (lab / "tool/Dockerfile").open("a") as dockerfile:
        dockerfile.write("USER 0\n")
    docker("build", "--quiet", "--tag", f"{namespace}/layered:1", str(lab / "tool"))
    publish(lab, f"{namespace}/noted:1")
    image = inspect(f"{namespace}/noted:1")
    assert (image["Author"], image["Comment"]) == ("Anna", "by a script")
