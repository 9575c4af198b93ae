"""Images of containers: those that a script prepared, and those that someone prepared by hand."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import SKYPORT
from tests.support.engine import docker, write_image_context


class Lab:
    """A folder with an image list, a store of its own, and a base image with bash and busybox in the engine."""

    def __init__(self, folder: Path, namespace: str) -> None:
        self.folder = folder
        self.name = f"{namespace}/snapshot:1"
        self.base = f"{namespace}/base:1"
        write_image_context(folder / "base")
        with (folder / "base/Dockerfile").open("a") as dockerfile:
            dockerfile.write('ENV FROM_BASE=yes\nWORKDIR /data\nENTRYPOINT ["/bin/busybox"]\nCMD ["env"]\n')
        docker("build", "--quiet", "--tag", self.base, str(folder / "base"))

    def extend_base(self, *lines: str) -> None:
        """Build the base image with more lines in its Dockerfile."""
        dockerfile = self.folder / "base/Dockerfile"
        first, _, rest = dockerfile.read_text().partition("ENV ")
        dockerfile.write_text(first + "\n".join(lines) + f"\nENV {rest}")
        docker("build", "--quiet", "--tag", self.base, str(self.folder / "base"))

    def write(self, source: str, *, fields: str = "", script: str = "") -> None:
        (self.folder / "install.sh").write_text(script)
        (self.folder / "images.yaml").write_text(f"images:\n  - name: {self.name}\n    {source}\n{fields}")

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [SKYPORT, *arguments], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "SKYPORT_DATA": str(self.folder / "store")},
        )  # fmt: skip

    def run(self, *arguments: str) -> tuple[int, str]:
        with self.start(*arguments) as process:
            _, stderr = process.communicate(timeout=120)
        return process.returncode, stderr

    def receipt(self) -> dict[str, Any]:
        return json.loads((self.folder / "receipt.json").read_text())

    def containers(self) -> list[str]:
        """Return the containers that snapshots are made in."""
        return docker("ps", "--all", "--quiet", "--filter", f"ancestor={self.base}").split()


@pytest.fixture
def lab(tmp_path: Path, namespace: str) -> Lab:
    return Lab(tmp_path, namespace)


def inspect(name: str) -> dict[str, Any]:
    return json.loads(docker("image", "inspect", name))[0]


def test_a_snapshot_is_the_base_after_its_script(lab: Lab) -> None:
    script = "#!/bin/bash\nset -e\necho installing\necho $FROM_BASE >/installed\n"
    lab.write(f"snapshot: {{base: '{lab.base}', script: install.sh}}", script=script)
    code, stderr = lab.run("publish", "--all", "--record", "receipt.json")
    assert (code, "installing" in stderr) == (0, True), stderr

    image, base = inspect(lab.name), inspect(lab.base)
    for key in ("Entrypoint", "Cmd", "Env", "WorkingDir", "User", "Labels"):
        assert (image["Config"][key] or None) == (base["Config"][key] or None), key
    assert docker("run", "--rm", lab.name, "cat", "/installed") == "yes\n"
    assert docker("run", "--rm", lab.name, "find", "/", "-maxdepth", "1", "-name", ".skyport*") == ""
    assert len(image["RootFS"]["Layers"]) == len(base["RootFS"]["Layers"]) + 1
    assert lab.containers() == []
    receipt = lab.receipt()
    assert (receipt["source"], receipt["script"], receipt["dockerfile_digest"]) == ("snapshot", script, None)
    assert receipt["base"] == {"name": lab.base, "image_id": base["Id"]}

    code, stderr = lab.run("publish", "--all", "--record", "receipt.json")
    assert (code, "is published already" in stderr) == (0, True)
    (lab.folder / "install.sh").write_text(script + "# changed\n")
    code, stderr = lab.run("publish", "--all", "--record", "receipt.json")
    assert (code, "is published already, as another image" in stderr) == (1, True)


@pytest.mark.parametrize(("line", "command"), [('CMD ["/bin/bash"]', ["/bin/bash"]), ("", ["/bin/sh"])])
def test_a_base_without_an_entry_point_gets_none(lab: Lab, line: str, command: list[str]) -> None:
    dockerfile = lab.folder / "base/Dockerfile"
    instructions = [it for it in dockerfile.read_text().splitlines() if not it.startswith(("ENTRYPOINT", "CMD"))]
    dockerfile.write_text("\n".join([*instructions, line, ""]))
    docker("build", "--quiet", "--tag", lab.base, str(lab.folder / "base"))
    lab.write(f"snapshot: {{base: '{lab.base}', script: install.sh}}", script="echo x >/installed\n")
    code, stderr = lab.run("build", lab.name, "--record", "build.json")
    assert code == 0, stderr
    assert inspect(lab.name)["Config"]["Entrypoint"] is None
    assert inspect(lab.name)["Config"]["Cmd"] == command
    assert docker("run", "--rm", lab.name, "cat", "/installed") == "x\n"


def test_author_message_and_config_are_as_given(lab: Lab) -> None:
    fields = """\
    commit:
      author: Anna <anna@example.org>
      message: by hand
      entrypoint: [/bin/bash, -c]
      cmd: ['echo "$GREETING"']
      env: {GREETING: 'it costs $5, "really"'}
      workdir: /tmp
"""
    lab.write(f"snapshot: {{base: '{lab.base}', script: install.sh}}", fields=fields, script="mkdir -p /tmp\n")
    code, stderr = lab.run("build", lab.name, "--record", "build.json")
    assert code == 0, stderr
    image = inspect(lab.name)
    assert (image["Author"], image["Comment"], image["Config"]["WorkingDir"]) == (
        "Anna <anna@example.org>",
        "by hand",
        "/tmp",
    )
    assert docker("run", "--rm", lab.name) == 'it costs $5, "really"\n'


def test_a_script_that_fails_shows_its_last_lines_and_leaves_no_container(lab: Lab) -> None:
    lab.write(f"snapshot: {{base: '{lab.base}', script: install.sh}}", script="echo before; echo the end; exit 4\n")
    code, stderr = lab.run("build", lab.name, "--record", "build.json")
    assert (code, "ended with exit code 4. The last it printed:\n  | before\n  | the end" in stderr) == (1, True), (
        stderr
    )
    assert lab.containers() == []
    assert not (lab.folder / "build.json").exists()


@pytest.mark.parametrize("user", ["anna", "1000:1000"])
def test_the_script_of_a_user_who_is_not_root_leaves_nothing_of_itself(lab: Lab, user: str) -> None:
    lab.extend_base(
        'RUN ["/bin/busybox", "mkdir", "-p", "-m", "1777", "/tmp", "/etc", "/home"]',
        "RUN echo anna:x:1000:1000::/home:/bin/sh >>/etc/passwd",
        f"USER {user}",
    )
    lab.write(f"snapshot: {{base: '{lab.base}', script: install.sh}}", script="busybox id -u >/home/installed_by\n")
    code, stderr = lab.run("build", lab.name, "--record", "build.json")
    assert code == 0, stderr
    assert docker("run", "--rm", lab.name, "cat", "/home/installed_by") == "1000\n"
    assert docker("run", "--rm", lab.name, "find", "/", "-xdev", "-name", ".skyport*") == ""
    assert inspect(lab.name)["Config"]["User"] == user


def test_a_user_without_a_folder_for_the_script(lab: Lab) -> None:
    lab.extend_base('RUN ["/bin/busybox", "rm", "-rf", "/tmp"]', "USER 1000")
    lab.write(f"snapshot: {{base: '{lab.base}', script: install.sh}}", script="true\n")
    code, stderr = lab.run("build", lab.name, "--record", "build.json")
    assert (code, f"putting the script of {lab.name} into the container's /tmp" in stderr) == (1, True), stderr
    assert lab.containers() == []


@pytest.mark.parametrize(
    ("script", "advice"),
    [
        ("#!/usr/bin/python3\nprint(1)\n", "Does the base image have /usr/bin/python3, which the script's first line"),
        ("#!/bin/bash\r\ntrue\r\n", "The lines of the script end as on Windows (CR LF)."),
    ],
)
def test_a_script_that_no_program_can_run(lab: Lab, script: str, advice: str) -> None:
    lab.write(f"snapshot: {{base: '{lab.base}', script: install.sh}}")
    (lab.folder / "install.sh").write_bytes(script.encode())
    code, stderr = lab.run("build", lab.name, "--record", "build.json")
    assert (code, f"the script of {lab.name} ended with exit code 127" in stderr, advice in stderr) == (1, True, True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_script_that_is_interrupted_leaves_no_container(lab: Lab, number: signal.Signals) -> None:
    lab.write(f"snapshot: {{base: '{lab.base}', script: install.sh}}", script="echo ready; sleep 600\n")
    with lab.start("build", lab.name, "--record", "build.json") as process:
        wait_for(process, "ready")
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode in (130, 128 + signal.SIGTERM)
    assert lab.containers() == []


def test_what_a_killed_command_left_goes_with_the_next(lab: Lab) -> None:
    lab.write(f"snapshot: {{base: '{lab.base}', script: install.sh}}", script="echo ready; sleep 600\n")
    with lab.start("build", lab.name, "--record", "build.json") as process:
        wait_for(process, "ready")
        process.kill()
    (left,) = lab.containers()
    docker("kill", left)
    lab.write(f"snapshot: {{base: '{lab.base}', script: install.sh}}", script="true\n")
    assert lab.run("build", lab.name, "--record", "build.json")[0] == 0
    assert lab.containers() == []


def wait_for(process: "subprocess.Popen[str]", text: str) -> None:
    """Read what the command prints until it says `text`."""
    assert process.stderr
    assert any(text in line for line in process.stderr)


@pytest.fixture
def container(lab: Lab) -> Iterator[str]:
    """Return a container that someone prepared and whose program still runs."""
    name = docker(
        "run", "--detach", "--entrypoint", "/bin/bash", lab.base, "-c", "echo x >/made; rm /data/deep/file; sleep 600"
    )
    deadline = time.monotonic() + 20
    while "D /data/deep/file" not in docker("diff", name.strip()):
        assert time.monotonic() < deadline
    yield name.strip()
    docker("rm", "--force", "--volumes", name.strip())


def test_a_container_that_someone_prepared(lab: Lab, container: str) -> None:
    lab.write(f"container: {container[:12]}", fields="    commit: {author: Anna}\n")
    code, stderr = lab.run("publish", "--all", "--record", "receipt.json")
    assert code == 0, stderr
    assert docker("run", "--rm", "--entrypoint", "/bin/busybox", lab.name, "cat", "/made") == "x\n"
    assert docker("inspect", "--format", "{{.State.Running}} {{.State.Paused}}", container).strip() == "true false"
    receipt = lab.receipt()
    assert receipt["container"]["image"] == lab.base
    assert receipt["container"]["command"][0] == "/bin/bash"
    assert {"added /made", "removed /data/deep/file"} <= set(receipt["container"]["changes"])
    assert lab.run("publish", "--all", "--record", "receipt.json")[0] == 0
    docker("exec", container, "/bin/busybox", "touch", "/more")
    code, stderr = lab.run("publish", "--all", "--record", "receipt.json")
    assert (code, "as another image" in stderr) == (1, True)


def test_what_a_container_has_in_volumes_is_said_not_to_be_in_the_image(lab: Lab) -> None:
    container = docker("create", "--volume", "/results", lab.base).strip()
    try:
        lab.write(f"container: {container[:12]}")
        code, stderr = lab.run("build", lab.name, "--record", "build.json")
    finally:
        docker("rm", "--force", "--volumes", container)
    told = f"not in {lab.name}: what the container has in volumes or on its host, at /results"
    assert (code, told in stderr) == (0, True), stderr


@pytest.mark.parametrize(
    ("source", "code", "message"),
    [
        ("container: no-such-container", 1, "the engine has no container no-such-container"),
        ("snapshot: {base: 'no/such:1', script: install.sh}", 1, "the engine has no image no/such:1"),
        ("snapshot: {base: 'no/such:1', script: missing.sh}", 2, "cannot read the script missing.sh"),
        ("snapshot: {base: 'no/such:1'}", 2, "field snapshot: the required field is missing: `script`"),
        ("snapshot: install.sh", 2, "field snapshot: expected a mapping, got text"),
        ("image: x\n    commit: {author: A}", 2, "only a container is committed"),
    ],
)
def test_sources_that_are_not_there(lab: Lab, source: str, code: int, message: str) -> None:
    lab.write(source, script="true\n")
    done = lab.run("build", lab.name, "--record", "build.json")
    assert (done[0], message in done[1], "Traceback" in done[1]) == (code, True, False), done[1]
