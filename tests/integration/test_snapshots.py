"""Images of containers: those that a script prepared, and those that someone prepared by hand."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.engine import config_digest, docker, inspect_image, write_image_context
from tests.support.lab import Lab
from tests.support.timing import wait_until


class SnapshotLab(Lab):
    """A lab with a base image with bash and busybox in the engine."""

    def __init__(self, folder: Path, namespace: str) -> None:
        super().__init__(folder)
        self.name = f"{namespace}/snapshot:1"
        self.base = f"{namespace}/base:1"
        write_image_context(folder / "base")
        with (folder / "base/Dockerfile").open("a") as dockerfile:
            # A label of its own: the containers of equal images cannot be told apart.
            dockerfile.write(f"LABEL org.example.lab={namespace}\n")
            dockerfile.write('ENV FROM_BASE=yes\nWORKDIR /data\nENTRYPOINT ["/bin/busybox"]\nCMD ["env"]\n')
        docker("build", "--quiet", "--network=host", "--tag", self.base, str(folder / "base"))

    def extend_base(self, *lines: str) -> None:
        """Build the base image with more lines in its Dockerfile."""
        dockerfile = self.folder / "base/Dockerfile"
        first, _, rest = dockerfile.read_text().partition("ENV ")
        dockerfile.write_text(first + "\n".join(lines) + f"\nENV {rest}")
        docker("build", "--quiet", "--network=host", "--tag", self.base, str(self.folder / "base"))

    def list_image(self, source: str, *, fields: str = "", script: str = "") -> None:
        (self.folder / "install.sh").write_text(script)
        (self.folder / "images.yaml").write_text(f"images:\n  - name: {self.name}\n    {source}\n{fields}")

    def list_snapshot(self, *, script: str = "", fields: str = "") -> None:
        self.list_image(f"snapshot: {{base: '{self.base}', script: install.sh}}", script=script, fields=fields)

    def containers(self) -> list[str]:
        """Return the containers that snapshots are made in."""
        return docker("ps", "--all", "--quiet", "--filter", f"ancestor={self.base}").split()


@pytest.fixture
def lab(tmp_path: Path, namespace: str) -> SnapshotLab:
    return SnapshotLab(tmp_path, namespace)


def test_what_a_script_writes_into_a_volume_of_its_base_is_lost_with_a_word(lab: SnapshotLab) -> None:
    lab.extend_base("VOLUME /results /more")
    lab.list_snapshot(script="#!/bin/bash\necho x >/results/x\n")
    code, _, log = lab.run("build", lab.name, "--record", "build.json")
    assert code == 0, log
    assert f"not in {lab.name}: what its script has written to /more, /results, a volume of its base" in log
    assert docker("run", "--rm", lab.name, "ls", "/results") == ""
    code, out, _ = lab.run("lint", "--engine")
    assert (code, "install.sh:2: warning SKY062: `/results` is a VOLUME of the base" in out) == (3, True)
    assert "SKY062" not in lab.run("lint").out


def test_a_snapshot_is_the_base_after_its_script(lab: SnapshotLab) -> None:
    script = "#!/bin/bash\nset -e\necho installing\necho $FROM_BASE >/installed\n"
    lab.list_snapshot(script=script)
    code, _, stderr = lab.run("publish", "--all", "--record", "receipt.json")
    assert (code, "installing" in stderr) == (0, True), stderr

    image, base = inspect_image(lab.name), inspect_image(lab.base)
    for key in ("Entrypoint", "Cmd", "Env", "WorkingDir", "User", "Labels"):
        assert (image["Config"][key] or None) == (base["Config"][key] or None), key
    assert docker("run", "--rm", lab.name, "cat", "/installed") == "yes\n"
    assert docker("run", "--rm", lab.name, "find", "/", "-maxdepth", "1", "-name", ".skyport*") == ""
    assert len(image["RootFS"]["Layers"]) == len(base["RootFS"]["Layers"]) + 1
    assert lab.containers() == []
    receipt = lab.receipt()
    source = receipt["source"]
    assert (source["kind"], source["script"], source["dockerfile_digest"]) == ("snapshot", script, None)
    assert receipt["base"] == {"name": lab.base, "image_id": config_digest(lab.base)}

    code, _, stderr = lab.run("publish", "--all", "--record", "receipt.json")
    assert (code, "is published already" in stderr) == (0, True)
    (lab.folder / "install.sh").write_text(script + "# changed\n")
    code, _, stderr = lab.run("publish", "--all", "--record", "receipt.json")
    assert (code, "is published already, as another image" in stderr) == (1, True)


@pytest.mark.parametrize(("line", "command"), [('CMD ["/bin/bash"]', ["/bin/bash"]), ("", ["/bin/sh"])])
def test_a_base_without_an_entry_point_gets_none(lab: SnapshotLab, line: str, command: list[str]) -> None:
    dockerfile = lab.folder / "base/Dockerfile"
    instructions = [it for it in dockerfile.read_text().splitlines() if not it.startswith(("ENTRYPOINT", "CMD"))]
    dockerfile.write_text("\n".join([*instructions, line, ""]))
    docker("build", "--quiet", "--network=host", "--tag", lab.base, str(lab.folder / "base"))
    lab.list_snapshot(script="echo x >/installed\n")
    code, _, stderr = lab.run("build", lab.name, "--record", "build.json")
    assert code == 0, stderr
    assert inspect_image(lab.name)["Config"]["Entrypoint"] is None
    assert inspect_image(lab.name)["Config"]["Cmd"] == command
    assert docker("run", "--rm", lab.name, "cat", "/installed") == "x\n"


def test_author_message_and_config_are_as_given(lab: SnapshotLab) -> None:
    fields = """\
    commit:
      author: Anna <anna@example.org>
      message: by hand
      entrypoint: [/bin/bash, -c]
      cmd: ['echo "$GREETING"']
      env: {GREETING: 'it costs $5, "really"'}
      workdir: /tmp
"""
    lab.list_snapshot(fields=fields, script="mkdir -p /tmp\n")
    code, _, stderr = lab.run("build", lab.name, "--record", "build.json")
    assert code == 0, stderr
    image = inspect_image(lab.name)
    assert (image["Author"], image["Comment"], image["Config"]["WorkingDir"]) == (
        "Anna <anna@example.org>",
        "by hand",
        "/tmp",
    )
    assert docker("run", "--rm", lab.name) == 'it costs $5, "really"\n'


def test_a_script_that_fails_shows_its_last_lines_and_leaves_no_container(lab: SnapshotLab) -> None:
    lab.list_snapshot(script="echo before; echo the end; exit 4\n")
    code, _, stderr = lab.run("build", lab.name, "--record", "build.json")
    assert (code, "ended with exit code 4. The last it printed:\n  | before\n  | the end" in stderr) == (1, True), (
        stderr
    )
    assert lab.containers() == []
    assert not (lab.folder / "build.json").exists()


@pytest.mark.parametrize("user", ["anna", "1000:1000"])
def test_the_script_of_a_user_who_is_not_root_leaves_nothing_of_itself(lab: SnapshotLab, user: str) -> None:
    lab.extend_base(
        'RUN ["/bin/busybox", "mkdir", "-p", "-m", "1777", "/tmp", "/etc", "/home"]',
        "RUN echo anna:x:1000:1000::/home:/bin/sh >>/etc/passwd",
        f"USER {user}",
    )
    lab.list_snapshot(script="busybox id -u >/home/installed_by\n")
    code, _, stderr = lab.run("build", lab.name, "--record", "build.json")
    assert code == 0, stderr
    assert docker("run", "--rm", lab.name, "cat", "/home/installed_by") == "1000\n"
    assert docker("run", "--rm", lab.name, "find", "/", "-xdev", "-name", ".skyport*") == ""
    assert inspect_image(lab.name)["Config"]["User"] == user


def test_a_user_without_a_folder_for_the_script(lab: SnapshotLab) -> None:
    lab.extend_base('RUN ["/bin/busybox", "rm", "-rf", "/tmp"]', "USER 1000")
    lab.list_snapshot(script="true\n")
    code, _, stderr = lab.run("build", lab.name, "--record", "build.json")
    advice = "has no folder /tmp for the script. Make one in the base's Dockerfile, before its USER: RUN mkdir -m 1777"
    assert (code, f"the base image of {lab.name} runs as '1000', and {advice} /tmp\n" in stderr) == (1, True), stderr
    assert lab.containers() == []


@pytest.mark.parametrize(
    ("script", "advice"),
    [
        ("#!/usr/bin/python3\nprint(1)\n", "Does the base image have /usr/bin/python3, which the script's first line"),
        ("#!/bin/bash\r\ntrue\r\n", "The lines of the script end as on Windows (CR LF)."),
        ("\ufeff#!/usr/bin/python3\nexit 127\n", "The script begins with a byte order mark"),
    ],
)
def test_a_script_that_no_program_can_run(lab: SnapshotLab, script: str, advice: str) -> None:
    lab.list_snapshot()
    (lab.folder / "install.sh").write_bytes(script.encode())
    code, _, stderr = lab.run("build", lab.name, "--record", "build.json")
    assert (code, f"the script of {lab.name} ended with exit code 127" in stderr, advice in stderr) == (1, True, True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_script_that_is_interrupted_leaves_no_container(lab: SnapshotLab, number: signal.Signals) -> None:
    lab.list_snapshot(script="echo ready; sleep 600\n")
    with lab.start("build", lab.name, "--record", "build.json") as process:
        process.wait_for("ready")
        process.send_signal(number)
        process.communicate()
    assert process.returncode in (130, 128 + signal.SIGTERM)
    assert lab.containers() == []


def test_what_a_killed_command_left_goes_with_the_next(lab: SnapshotLab) -> None:
    lab.list_snapshot(script="echo ready; sleep 600\n")
    with lab.start("build", lab.name, "--record", "build.json") as process:
        process.wait_for("ready")
        process.kill()
    (left,) = lab.containers()
    docker("kill", left)
    lab.list_snapshot(script="true\n")
    assert lab.run("build", lab.name, "--record", "build.json")[0] == 0
    assert lab.containers() == []


@pytest.fixture
def container(lab: SnapshotLab) -> Iterator[str]:
    """Return a container that someone prepared and whose program still runs."""
    name = docker(
        "run", "--detach", "--entrypoint", "/bin/bash", lab.base, "-c", "echo x >/made; rm /data/deep/file; sleep 600"
    )
    wait_until(lambda: "D /data/deep/file" in docker("diff", name.strip()))
    yield name.strip()
    docker("rm", "--force", "--volumes", name.strip())


def test_a_container_that_someone_prepared(lab: SnapshotLab, container: str) -> None:
    lab.list_image(f"container: {container[:12]}", fields="    commit: {author: Anna}\n")
    code, _, stderr = lab.run("publish", "--all", "--record", "receipt.json")
    assert code == 0, stderr
    assert docker("run", "--rm", "--entrypoint", "/bin/busybox", lab.name, "cat", "/made") == "x\n"
    assert docker("inspect", "--format", "{{.State.Running}} {{.State.Paused}}", container).strip() == "true false"
    receipt = lab.receipt()
    assert receipt["source"]["container"]["image"] == lab.base
    assert receipt["source"]["container"]["command"][0] == "/bin/bash"
    assert {"added /made", "removed /data/deep/file"} <= set(receipt["source"]["container"]["changes"])
    assert lab.run("publish", "--all", "--record", "receipt.json")[0] == 0
    docker("exec", container, "/bin/busybox", "touch", "/more")
    code, _, stderr = lab.run("publish", "--all", "--record", "receipt.json")
    assert (code, "as another image" in stderr) == (1, True)


def test_what_a_container_has_in_volumes_is_said_not_to_be_in_the_image(lab: SnapshotLab) -> None:
    container = docker("create", "--volume", "/results", lab.base).strip()
    try:
        lab.list_image(f"container: {container[:12]}")
        code, _, stderr = lab.run("build", lab.name, "--record", "build.json")
    finally:
        docker("rm", "--force", "--volumes", container)
    told = f"not in {lab.name}: what the container has in volumes or on its host, at /results"
    assert (code, told in stderr) == (0, True), stderr


@pytest.mark.parametrize(
    ("source", "code", "message"),
    [
        ("container: no-such-container", 1, "the engine has no container no-such-container"),
        ("snapshot: {base: 'no/such:1', script: install.sh}", 1, "the engine has no image no/such:1"),
        ("snapshot: {base: 'no/such:1', script: missing.sh}", 2, "there is no script missing.sh"),
        ("snapshot: {base: 'no/such:1'}", 2, "field snapshot: the required field is missing: `script`"),
        ("snapshot: install.sh", 2, "field snapshot: expected a mapping, got text"),
        ("image: x\n    commit: {author: A}", 2, "only a container is committed"),
    ],
)
def test_sources_that_are_not_there(lab: SnapshotLab, source: str, code: int, message: str) -> None:
    lab.list_image(source, script="true\n")
    done = lab.run("build", lab.name, "--record", "build.json")
    assert (done.code, message in done.log) == (code, True), done.log
