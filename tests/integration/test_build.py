"""Building with a real engine: what the fields of the image list do, and how a build fails."""

import json
import re
import subprocess
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from skyport_wf.cli.main import main
from skyport_wf.engine import connection
from skyport_wf.engine.builders import build_image
from skyport_wf.engine.connection import connect
from skyport_wf.image.context import BuildContext
from skyport_wf.image.variables import platform_arguments
from skyport_wf.image_list.spec import ImageSpec
from tests.support.commands import Done
from tests.support.engine import docker, write_image_context
from tests.support.lab import Lab


class Build(Lab):
    """One image of a list, built in a folder of its own."""

    def __init__(self, folder: Path, namespace: str, *, builder: str) -> None:
        super().__init__(folder)
        self.builder = builder
        self.name = f"{namespace}/tool:1"
        write_image_context(folder / "tool")
        # An image that is no other test's: an engine that removes that one may lose the name of the same image here.
        (folder / "tool/data/deep/file").write_text(self.name)

    def build(self, fields: str = "", *arguments: str, dockerfile: str = "tool/Dockerfile", **variables: str) -> Done:
        (self.folder / "images.yaml").write_text(
            f"images:\n  - name: {self.name}\n    dockerfile: {dockerfile}\n    builder: {self.builder}\n{fields}"
        )
        return self.run("build", self.name, "--record", "build.json", *arguments, **variables)

    def inspect(self, template: str) -> str:
        return docker("image", "inspect", "--format", template, self.name).strip()

    def extend(self, *lines: str) -> None:
        with (self.folder / "tool/Dockerfile").open("a") as dockerfile:
            dockerfile.write("\n".join((*lines, "")))

    def record(self) -> dict[str, object]:
        return json.loads((self.folder / "build.json").read_text())


@pytest.fixture(params=["classic", "buildkit"])
def build(request: pytest.FixtureRequest, tmp_path: Path, namespace: str) -> Build:
    return Build(tmp_path, namespace, builder=request.param)


def test_the_fields_of_a_build_reach_the_engine(build: Build) -> None:
    build.extend("ARG VERSION=none", "ENV VERSION=$VERSION", "FROM scratch AS unwanted")
    (build.folder / "tool/Dockerfile").write_text(
        (build.folder / "tool/Dockerfile").read_text().replace("FROM scratch\n", "FROM scratch AS wanted\n", 1)
    )
    done = build.build('    build_args: {VERSION: "1.10"}\n    target: wanted\n    labels: {org.example.lab: ours}\n')
    assert done.code == 0, done.log
    assert "VERSION=1.10" in build.inspect("{{.Config.Env}}")
    assert build.inspect("{{json .Config.Labels}}") == '{"org.example.lab":"ours"}'
    assert build.record()["image"] == build.inspect("{{.Id}}")
    assert ("Step 1/" in done.log, "#1 [internal]" in done.log) == (
        build.builder == "classic",
        build.builder == "buildkit",
    )
    assert done.out.startswith(build.name)


def test_one_dockerfile_for_two_platforms(build: Build) -> None:
    """The classic builder would take the steps of the first for those of the second."""
    own = platform_arguments(None)["TARGETARCH"]
    (build.folder / "tool/Dockerfile").write_text("FROM scratch\nCOPY data /data\n")
    for fields, architecture in (("    platform: linux/s390x\n", "s390x"), ("", own), ("", own)):
        done = build.build(fields)
        assert done.code == 0, done.log
        assert build.inspect("{{.Architecture}}") == architecture
    assert "without the cache" not in done.log, "now it has the right steps"


@pytest.mark.parametrize("build", ["buildkit"], indirect=True)
@pytest.mark.parametrize(
    "written",
    [
        "{}-${{TARGETARCH}}:1", '"{}-ARCH:1"', "'{}-ARCH:1'", "docker.io/{}-ARCH:1", "${{NONE:-{}-ARCH:1}}",
        "{}-ARCH:${{NONE:-1}}", "--platform=linux/ARCH '{}-ARCH':\"1\"",
    ],
)  # fmt: skip
def test_every_base_that_the_engine_takes(build: Build, namespace: str, written: str) -> None:
    assert build.build().code == 0
    architecture = build.inspect("{{.Architecture}}")
    docker("tag", build.name, f"{namespace}/base-{architecture}:1")
    text = re.sub(r"(?<=[-/])ARCH", architecture, written.format(f"{namespace}/base"))
    (build.folder / "tool/Dockerfile").write_text(f"FROM {text}\n")
    done = build.build()
    assert done.code == 0, done.log
    base = build.record()["base"]
    assert base["name"].removeprefix("docker.io/") == f"{namespace}/base-{architecture}:1"
    assert base["image_id"]


def test_the_context_leaves_out_what_dockerignore_names(build: Build) -> None:
    (build.folder / "tool/.dockerignore").write_text("data/deep/secret\n")
    (build.folder / "tool/data/deep/secret").write_text("secret")
    assert build.build().code == 0
    assert docker("run", "--rm", build.name, "ls", "/data/deep").split() == ["file"]


def test_a_dockerfile_outside_its_context_is_not_in_the_image(build: Build) -> None:
    (build.folder / "recipes").mkdir()
    (build.folder / "tool/Dockerfile").rename(build.folder / "recipes/tool.dockerfile")
    dockerfile = build.folder / "recipes/tool.dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace("COPY data /data", "COPY . /all"))
    done = build.build("    context: tool\n", dockerfile="recipes/tool.dockerfile")
    assert done.code == 0, done.log
    assert set(docker("run", "--rm", build.name, "ls", "-A", "/all").split()) == {"bash", "busybox", "data"}


def test_a_failing_instruction_is_named_with_the_last_it_printed(build: Build) -> None:
    build.extend("RUN for i in 1 2 3; do echo line $i; done; echo oh no; exit 3", "RUN echo never")
    done = build.build("", "--quiet")
    assert done.code == 1
    assert f"building {build.name} failed at\n  RUN for i in 1 2 3" in done.log
    assert ("returned a non-zero code: 3" in done.log) or ("exit code: 3" in done.log)
    assert done.log.splitlines()[-4:] == ["  | line 1", "  | line 2", "  | line 3", "  | oh no"]
    assert "Traceback" not in done.log
    assert not (build.folder / "build.json").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("FRUM scratch", "unknown instruction: FRUM".lower()),
        ("COPY missing /", "missing"),
        ("FROM test-no-such-image/at:all", "test-no-such-image/at"),
    ],
)
def test_a_dockerfile_that_cannot_work(build: Build, line: str, message: str) -> None:
    build.extend(line)
    done = build.build()
    assert (done.code, message in done.log.lower()) == (1, True), done.log
    assert "Traceback" not in done.log
    assert not (build.folder / "build.json").exists()


def test_a_build_from_cache_leaves_the_same_record(build: Build) -> None:
    # In containerd's store, removing another image takes the steps out of the classic builder's cache that both have.
    dockerfile = build.folder / "tool/Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace("FROM scratch\n", f"FROM scratch\nLABEL of={build.name}\n", 1))
    build.build()
    first = (build.folder / "build.json").read_bytes()
    assert build.build().code == 0
    assert (build.folder / "build.json").read_bytes() == first


@pytest.mark.parametrize("build", ["auto"], indirect=True)
def test_a_build_secret_is_seen_by_the_build_and_in_no_record(build: Build) -> None:
    secret = uuid.uuid4().hex
    build.extend("RUN --mount=type=secret,id=key,required=true wc -c </run/secrets/key >/length")
    fields = "    secrets: {key: {env: LAB_KEY}}\n"
    done = build.build(fields, "--verbose", LAB_KEY=secret)
    assert done.code == 0, done.log
    assert docker("run", "--rm", build.name, "cat", "/length").strip() == str(len(secret))
    assert secret not in done.log + done.out + docker("image", "history", "--no-trunc", build.name)
    assert secret not in (build.folder / "build.json").read_text()
    unset = build.build(fields)
    assert (unset.code, "the variable LAB_KEY of the build secret 'key' is not set" in unset.log) == (2, True)


@pytest.mark.parametrize("build", ["buildkit"], indirect=True)
def test_a_build_secret_that_a_script_prints_is_masked(build: Build) -> None:
    lines = [uuid.uuid4().hex for _ in range(2)]
    (build.folder / "key").write_text("\n".join((*lines, "ab", "")))
    build.extend("RUN --mount=type=secret,id=key cat /run/secrets/key; exit 3")
    done = build.build("    secrets: {key: {file: key}}\n", "--verbose", "--log", "build.log")
    assert done.code == 1
    printed = done.out + done.log + (build.folder / "build.log").read_text()
    assert not [line for line in lines if line in printed]
    assert done.log.splitlines()[-3:] == ["  | ***", "  | ***", "  | ab"]


@pytest.mark.parametrize("build", ["buildkit"], indirect=True)
def test_an_ssh_agent_is_seen_by_the_build(build: Build) -> None:
    build.extend('RUN --mount=type=ssh,required=true test -S "$SSH_AUTH_SOCK"')
    agent = build.folder / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(agent)], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()  # it says where it listens when it does
        done = build.build("    ssh: [default]\n", SSH_AUTH_SOCK=str(agent))
        process.terminate()
    assert done.code == 0, done.log
    assert "agent" not in (build.folder / "build.json").read_text()


def test_build_arguments_are_not_taken_for_the_command_s_own(build: Build) -> None:
    build.extend("ARG PATH", "ARG DOCKER_HOST", "ENV TOLD=$DOCKER_HOST")
    done = build.build("    build_args: {PATH: /bin, DOCKER_HOST: 'tcp://127.0.0.1:9'}\n")
    assert done.code == 0, done.log
    assert "TOLD=tcp://127.0.0.1:9" in build.inspect("{{.Config.Env}}")


def test_an_address_that_only_the_package_takes_is_told_to_the_command_in_its_words(build: Build, engine: str) -> None:
    done = build.build(DOCKER_HOST=engine.replace("unix://", "http+unix://"))
    assert done.code == 0, done.log


def test_source_date_epoch_is_a_build_argument(build: Build) -> None:
    build.extend("ARG SOURCE_DATE_EPOCH", "RUN echo $SOURCE_DATE_EPOCH >/made")
    assert build.build("", SOURCE_DATE_EPOCH="1700000000").code == 0
    assert docker("run", "--rm", build.name, "cat", "/made") == "1700000000\n"


def test_a_source_date_that_is_no_time_is_said_before_anything_is_built(build: Build) -> None:
    done = build.build("", SOURCE_DATE_EPOCH="abc")
    assert (done.code, "SOURCE_DATE_EPOCH is 'abc'. Set it to" in done.log) == (2, True), done.log
    assert not re.search("^(Step|#1)", done.log, re.MULTILINE)


@pytest.mark.parametrize("build", ["classic"], indirect=True)
def test_a_build_secret_needs_buildkit(build: Build) -> None:
    done = build.build("    secrets: {key: {env: LAB_KEY}}\n", LAB_KEY="x")
    assert (done.code, "is to be built with BuildKit" in done.log) == (2, True)


@pytest.mark.parametrize("build", ["buildkit", "auto"], indirect=True)
def test_without_a_docker_command_the_classic_builder_is_left(build: Build) -> None:
    done = build.build(PATH="/nonexistent")
    if build.builder == "auto":
        assert (done.code, "Step 1/" in done.log) == (0, True), done.log
    else:
        assert (done.code, "is to be built with BuildKit" in done.log) == (2, True)


def test_a_command_connects_to_the_engine_once(
    build: Build, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, other = build.folder, build.name.replace("tool", "other")
    build.write_list(
        f"name: '{build.name}', dockerfile: tool/Dockerfile, builder: {build.builder}",
        f"name: '{other}', image: '{build.name}'",
    )
    connected = []
    monkeypatch.setattr(connection, "connect", lambda: connected.append(connect()) or connected[-1])
    monkeypatch.setenv("SKYPORT_DATA", str(folder / "own store"))
    monkeypatch.setenv("SKYPORT_CACHE", str(folder / "own cache"))
    images = str(folder / "images.yaml")
    assert main(["publish", "--all", "--images", images]) == 0, capsys.readouterr().err
    assert main(["status", "--images", images]) == 0
    assert len(connected) == 2


@pytest.mark.parametrize("shared", ["", "COPY shared /shared\n"], ids=["own steps", "a shared step"])
def test_images_that_others_remove_meanwhile_stop_no_build(namespace: str, tmp_path: Path, shared: str) -> None:
    """Docker's own builder looks for cached steps among all images, and fails at one that goes at that moment."""
    mark = uuid.uuid4().hex

    def build(name: str) -> None:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "shared").write_text(mark)
        (folder / "own").write_text(uuid.uuid4().hex)
        (folder / "Dockerfile").write_text(f"FROM scratch\n{shared}COPY own /own\nLABEL b=\n")
        context = BuildContext(folder, folder / "Dockerfile")
        image = ImageSpec(name=f"{namespace}/{name}:1", dockerfile=str(context.dockerfile), builder="classic")
        build_image(connect(), image, context, output=lambda text: None)

    def come_and_go(name: str) -> None:
        while not stop.is_set():
            build(name)
            docker("image", "rm", f"{namespace}/{name}:1")

    stop = threading.Event()
    with ThreadPoolExecutor() as pool:
        others = [pool.submit(come_and_go, name) for name in ("one", "two", "three")]
        try:
            for number in range(12):
                build(f"ours-{number}")
        finally:
            stop.set()
        for other in others:
            other.result()
