"""Podman in Docker's place: the same images, byte for byte, and a clear word about what it cannot do."""

import gzip
import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skyport_wf.image.variables import platform_arguments
from tests.support.commands import CHECKOUT, Command
from tests.support.engine import config_digest, docker, write_image_context
from tests.support.lab import Lab
from tests.support.podman_service import PodmanService
from tests.support.timing import wait_until

# They share one podman, which each leaves as it was.
pytestmark = pytest.mark.xdist_group("podman")

PROGRAMS = "localhost/programs:1"
"""An image with bash and busybox, which the tests' images are built on."""
RICH = """
RUN echo kept >/data/kept && chown 12:34 /data/kept
ENV GREETING="it costs $5"
HEALTHCHECK --interval=7s CMD true
ONBUILD RUN echo built on
SHELL ["/bin/bash", "-c"]
STOPSIGNAL SIGINT
EXPOSE 80
ENTRYPOINT ["/bin/busybox"]
CMD ["cat", "/data/kept"]
"""


class PodmanLab(Lab):
    """A project folder of somebody who has podman, with the Dockerfile of an image with bash and busybox."""

    def __init__(self, folder: Path, podman: PodmanService) -> None:
        super().__init__(folder, DOCKER_HOST=podman.address)
        self.podman = podman
        self._others = self._images()
        write_image_context(folder / "tool", base=PROGRAMS)

    def _images(self) -> set[str]:
        return set(self.podman.podman("image", "ls", "--all", "--quiet", "--no-trunc").split())

    def images(self) -> set[str]:
        """Return the images that podman has since this lab is there."""
        return self._images() - self._others

    def containers(self) -> list[str]:
        """Return all containers, with those that podman's builder makes."""
        return self.podman.podman("ps", "--all", "--external", "--quiet").split()

    def remove_images(self) -> None:
        if images := self.images():
            self.podman.podman("image", "rm", "--force", *images)

    def extend(self, text: str) -> None:
        with (self.folder / "tool/Dockerfile").open("a") as dockerfile:
            dockerfile.write(text)

    def save_image(self, name: str, **variables: str) -> tuple[bytes, str]:
        """Build and save the image; return the uncompressed archive, and the image id."""
        self.do("build", name, "--record", "build.json", **variables)
        self.do("save", "build.json", "--archive", "image.tar.gz", "--record", "save.json", **variables)
        record = json.loads((self.folder / "save.json").read_text())
        return gzip.decompress((self.folder / "image.tar.gz").read_bytes()), record["saved"]["contents"]["image_id"]

    def receipt_of(self, name: str) -> Any:
        key = name.replace("/", "_").replace(":", "_")
        return self.receipt(f"receipts/{key}.json")


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PodmanService]:
    folder = tmp_path_factory.mktemp("podman") / "programs"
    write_image_context(folder)
    with PodmanService() as service:
        service.podman("build", "--quiet", "--identity-label=false", "--tag", PROGRAMS, str(folder))
        yield service


@pytest.fixture
def lab(tmp_path: Path, podman: PodmanService) -> Iterator[PodmanLab]:
    lab = PodmanLab(tmp_path, podman)
    yield lab
    assert lab.containers() == []
    lab.remove_images()


def test_doctor_says_that_it_is_podman_and_what_it_lacks(lab: PodmanLab) -> None:
    (engine, *_) = lab.do("doctor")["findings"]
    version = lab.podman.podman("version", "--format", "{{.Client.Version}}")
    assert engine["ok"]
    assert engine["detail"].startswith(f"podman {version}, API 1.")
    assert f"at {lab.podman.address}; no BuildKit, so no build secrets" in engine["detail"]


def test_every_source_is_published_and_docker_runs_what_comes_out(lab: PodmanLab, engine: str, namespace: str) -> None:
    lab.podman.podman("build", "--quiet", "--tag", "handmade:local", str(lab.folder / "tool"))
    container = lab.podman.podman("create", "handmade:local", "/bin/bash", "-c", "echo made >/made")
    lab.podman.podman("start", "--attach", container)
    lab.podman.podman("save", "--quiet", "--output", str(lab.folder / "saved.tar"), "localhost/handmade:local")
    (lab.folder / "install.sh").write_text("#!/bin/bash\necho made >/made\n")
    sources = {
        "built": "dockerfile: tool/Dockerfile, labels: {org.example.lab: ours}",
        "flat": "dockerfile: tool/Dockerfile, flatten: true",
        "snapshot": f"snapshot: {{base: '{namespace}/built:1', script: install.sh}}",
        "container": f"container: {container[:12]}",
        "image": "image: 'handmade:local'",
        "archive": "archive: saved.tar",
    }
    lab.write_list(*(f"name: '{namespace}/{kind}:1', {source}" for kind, source in sources.items()))
    try:
        lab.do("publish", "--all", "--record", "receipts/{key}.json")
    finally:
        lab.podman.podman("rm", container)
    for kind in sources:
        name = f"{namespace}/{kind}:1"
        pulled = lab.do("pull", name, DOCKER_HOST=engine)
        assert pulled["image_id"] == config_digest(name)
        assert docker("run", "--rm", name, "/bin/busybox", "cat", "/data/deep/file") == "data"
        receipt = lab.receipt_of(name)
        assert (receipt["image_id"], receipt["engine_image_id"]) == (pulled["image_id"], None)
        if kind != "archive":
            assert receipt["engine"]["Version"].startswith("podman ")
    assert docker("run", "--rm", f"{namespace}/snapshot:1", "cat", "/made") == "made\n"
    assert docker("run", "--rm", f"{namespace}/container:1", "cat", "/made") == "made\n"
    assert lab.receipt_of(f"{namespace}/container:1")["source"]["container"]["image"] == "handmade:local"
    assert lab.receipt_of(f"{namespace}/snapshot:1")["base"]["name"] == f"{namespace}/built:1"
    labels = docker("image", "inspect", "--format", "{{json .Config.Labels}}", f"{namespace}/built:1")
    assert json.loads(labels) == {"org.example.lab": "ours"}
    environment = docker("image", "inspect", "--format", "{{json .Config.Env}}", f"{namespace}/snapshot:1")
    assert [variable.split("=")[0] for variable in json.loads(environment)] == ["PATH"]


def test_dockers_image_saved_by_podman_has_the_same_bytes(lab: PodmanLab, engine: str, namespace: str) -> None:
    name = f"{namespace}/tool:1"
    write_image_context(lab.folder / "whole")
    lab.write_list(f"name: '{name}', dockerfile: whole/Dockerfile")
    ours = lab.save_image(name, DOCKER_HOST=engine)
    subprocess.run(["docker", "save", "--output", str(lab.folder / "docker.tar"), name], check=True)
    lab.podman.podman("load", "--quiet", "--input", str(lab.folder / "docker.tar"))
    lab.write_list(f"name: '{name}', image: '{name}'")
    assert lab.save_image(name) == ours


def test_podmans_image_saved_by_docker_has_the_same_bytes(lab: PodmanLab, engine: str, namespace: str) -> None:
    name = f"{namespace}/tool:1"
    lab.write_list(f"name: '{name}', dockerfile: tool/Dockerfile")
    ours = lab.save_image(name)
    lab.podman.podman("save", "--quiet", "--output", str(lab.folder / "podman.tar"), f"localhost/{name}")
    docker("load", "--input", str(lab.folder / "podman.tar"))
    # Podman saves it as localhost/NAME.
    docker("tag", f"localhost/{name}", name)
    docker("image", "rm", f"localhost/{name}")
    lab.write_list(f"name: '{name}', image: '{name}'")
    assert lab.save_image(name, DOCKER_HOST=engine) == ours
    assert b'"RepoTags":["%s"]' % name.encode() in ours[0]


def test_what_docker_published_is_pulled_into_podman(lab: PodmanLab, engine: str, namespace: str) -> None:
    name = f"{namespace}/tool:1"
    write_image_context(lab.folder / "whole")
    lab.write_list(f"name: '{name}', dockerfile: whole/Dockerfile")
    (published,) = lab.do("publish", "--all", DOCKER_HOST=engine)["published"]
    for downloaded in (published["size"], 0):
        pulled = lab.do("pull", name)
        assert (pulled["image_id"], pulled["downloaded"]) == (published["image_id"], downloaded)
    assert lab.podman.inspect(f"localhost/{name}") == published["image_id"]
    assert lab.podman.podman("run", "--rm", name, "cat", "/data/deep/file") == "data"


def test_the_four_steps_reach_the_server(lab: PodmanLab) -> None:
    lab.write_list("name: 'lab/tool:1', dockerfile: tool/Dockerfile")
    _, image = lab.save_image("lab/tool:1")
    lab.do("upload", "save.json", "--record", "upload.json")
    receipt = lab.do("register", "upload.json", "--record", "receipt.json")
    assert (receipt["image_id"], receipt["canonical"]) == (image, True)
    assert lab.do("resolve", "lab/tool:1")["image_id"] == image
    assert image == lab.podman.inspect("localhost/lab/tool:1")


@pytest.mark.parametrize("registry", ["localhost/", "docker.io/"])
def test_an_image_is_built_on_the_listed_one_whatever_had_its_name(lab: PodmanLab, registry: str) -> None:
    lab.podman.podman("build", "--quiet", "--tag", f"{registry}lab/base:1", str(lab.folder / "tool"))
    stale = lab.podman.inspect(f"{registry}lab/base:1")
    (lab.folder / "tool/data/deep/file").write_text("new")
    write_image_context(lab.folder / "on", base="lab/base:1", data="on it")
    lab.write_list("name: 'lab/base:1', dockerfile: tool/Dockerfile", "name: 'lab/on:1', dockerfile: on/Dockerfile")
    base, on = lab.do("publish", "--all", "--record", "receipts/{key}.json")["published"]
    assert stale not in (base["image_id"], on["image_id"])
    assert lab.receipt_of("lab/on:1")["base"] == {"name": "lab/base:1", "image_id": base["image_id"]}
    assert base["layers"] == on["layers"][: len(base["layers"])]
    assert lab.podman.inspect(f"{registry}lab/base:1") == base["image_id"]


def test_two_images_of_one_name_are_not_confused(lab: PodmanLab) -> None:
    lab.podman.podman("build", "--quiet", "--tag", "docker.io/library/tool:x", str(lab.folder / "tool"))
    (lab.folder / "tool/data/deep/file").write_text("other")
    lab.podman.podman("build", "--quiet", "--tag", "localhost/tool:x", str(lab.folder / "tool"))
    lab.write_list("name: 'lab/tool:1', image: 'tool:x'")
    done = lab.run("publish", "--all")
    assert done.code == 1
    assert (
        "image lab/tool:1: podman has several images tool:x: docker.io/library/tool:x, localhost/tool:x. Say which one"
        in done.log
    )
    lab.write_list("name: 'lab/tool:1', image: 'localhost/tool:x'")
    assert lab.do("publish", "--all")["published"][0]["image_id"] == lab.podman.inspect("localhost/tool:x")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("builder: buildkit", "`builder` needs BuildKit, and the engine is podman, which has none"),
        ("secrets: {word: {env: WORD}}", "`secrets` needs BuildKit, and the engine is podman, which has none"),
        ("ssh: [default]", "`ssh` needs BuildKit, and the engine is podman, which has none"),
        ("network: bridge", "podman's API gives a build the host's network or none, and no 'bridge'"),
    ],
)
def test_what_podman_cannot_do_is_said_before_anything_is_built(lab: PodmanLab, fields: str, message: str) -> None:
    lab.write_list(f"name: 'lab/tool:1', dockerfile: tool/Dockerfile, {fields}")
    done = lab.run("build", "lab/tool:1", "--record", "build.json", WORD="open sesame")
    assert (done.code, message in done.log) == (2, True), done.log
    assert "STEP" not in done.log
    assert "open sesame" not in done.log
    assert not (lab.folder / "build.json").exists()
    assert lab.images() == set()


def test_what_podman_cannot_do_is_said_before_other_images_are_built(lab: PodmanLab) -> None:
    lab.write_list(
        "name: 'lab/tool:1', dockerfile: tool/Dockerfile",
        "name: 'lab/other:1', dockerfile: tool/Dockerfile, secrets: {word: {env: WORD}}",
    )
    for more in ([], ["--jobs", "2"]):
        done = lab.run("publish", "--all", *more, WORD="open sesame")
        assert (done.code, "image lab/other:1: `secrets` needs BuildKit" in done.log) == (2, True), done.log
        assert lab.images() == set()


def test_the_fields_of_a_build_reach_podman(lab: PodmanLab) -> None:
    lab.extend("ARG VERSION=none\nRUN echo $VERSION >/version; ls /sys/class/net >/nets\nFROM scratch AS unwanted\n")
    dockerfile = lab.folder / "tool/Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace(f"FROM {PROGRAMS}\n", f"FROM {PROGRAMS} AS wanted\n", 1))
    lab.write_list(
        "name: 'lab/tool:1', dockerfile: tool/Dockerfile, build_args: {VERSION: '2'}, target: wanted, network: none"
    )
    lab.do("build", "lab/tool:1", "--record", "build.json", SOURCE_DATE_EPOCH="1000000000")
    assert lab.podman.podman("run", "--rm", "lab/tool:1", "cat", "/version", "/nets") == "2\nlo"
    assert lab.podman.podman("run", "--rm", "lab/tool:1", "stat", "-c", "%Y", "/version") == "1000000000"
    created = lab.podman.podman("image", "inspect", "--format", "{{.Created}}", "lab/tool:1")
    assert created.startswith("2001-09-09 01:46:40")


def test_one_dockerfile_for_two_platforms(lab: PodmanLab) -> None:
    (lab.folder / "tool/Dockerfile").write_text("FROM scratch\nCOPY data /data\n")
    for platform in ("linux/s390x", platform_arguments(None)["TARGETPLATFORM"]):
        lab.write_list(f"name: 'lab/tool:1', dockerfile: tool/Dockerfile, platform: {platform}")
        lab.do("build", "lab/tool:1", "--record", "build.json")
        found = lab.podman.podman("image", "inspect", "--format", "{{.Os}}/{{.Architecture}}", "lab/tool:1")
        assert found == platform


def test_a_heredoc_is_said_to_need_another_builder(lab: PodmanLab) -> None:
    lab.extend("RUN <<END\necho hi\nEND\n")
    lab.write_list("name: 'lab/tool:1', dockerfile: tool/Dockerfile")
    done = lab.run("build", "lab/tool:1", "--record", "build.json")
    # Podman's own builder knows heredocs from version 5 on.
    if lab.podman.podman("version", "--format", "{{.Client.Version}}") >= "5":
        assert done.code == 0, done.log
    else:
        assert (done.code, "The Dockerfile has a heredoc (<<). That needs BuildKit" in done.log) == (1, True), done.log


@pytest.mark.parametrize(
    ("instruction", "message"),
    [
        (
            "RUN for i in 1 2; do echo line $i; done; exit 3",
            "exit status 3. The last it printed:\n  | line 1\n  | line 2\n",
        ),
        ("COPY missing /", "missing"),
        ("FRUM scratch", 'Unknown instruction: "FRUM"\n'),
    ],
)
def test_a_build_that_fails_says_where_and_why(lab: PodmanLab, instruction: str, message: str) -> None:
    lab.extend(f"{instruction}\n")
    lab.write_list("name: 'lab/tool:1', dockerfile: tool/Dockerfile")
    done = lab.run("build", "lab/tool:1", "--record", "build.json")
    said = done.log.partition("skyport-wf: building lab/tool:1 failed at\n")[2]
    assert (done.code, said.startswith(f"  {instruction}\n")) == (1, True), done.log
    assert message in said
    assert "imagebuilder" not in said
    assert said.count(instruction) == 1
    assert not (lab.folder / "build.json").exists()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "dockerfile: on/Dockerfile",
            "the engine does not have the image test-no-such/image:1, and no registry gave it",
        ),
        (
            "snapshot: {base: 'test-no-such/image:1', script: install.sh}",
            "the engine has no image test-no-such/image:1",
        ),
        ("image: 'test-no-such/image:1'", "image lab/tool:1: the engine has no image test-no-such/image:1"),
        ("container: no-such", "image lab/tool:1: the engine has no container no-such"),
    ],
)
def test_sources_that_are_not_there(lab: PodmanLab, source: str, message: str) -> None:
    write_image_context(lab.folder / "on", base="test-no-such/image:1")
    (lab.folder / "install.sh").write_text("true\n")
    lab.write_list(f"name: 'lab/tool:1', {source}")
    done = lab.run("build", "lab/tool:1", "--record", "build.json")
    assert (done.code, message in done.log) == (1, True), done.log


def test_flattening_keeps_what_podman_does_not_tell(lab: PodmanLab, engine: str, namespace: str) -> None:
    lab.extend(RICH)
    lab.write_list(
        *(
            f"name: '{namespace}/{name}:1', dockerfile: tool/Dockerfile, flatten: {flatten}"
            for name, flatten in {"layered": "false", "flat": "true"}.items()
        )
    )
    lab.do("publish", "--all")
    layered, flat = (inspect_in_docker(lab, f"{namespace}/{name}:1", engine) for name in ("layered", "flat"))
    assert (len(flat["RootFS"]["Layers"]), len(layered["RootFS"]["Layers"]) > 1) == (1, True)
    assert flat["Config"]["Healthcheck"]["Interval"] == 7_000_000_000
    assert flat["Config"]["OnBuild"] == ["RUN echo built on"]
    assert flat["Config"] == layered["Config"]
    assert docker("run", "--rm", f"{namespace}/flat:1") == "kept\n"
    assert docker("run", "--rm", f"{namespace}/flat:1", "stat", "-c", "%u:%g", "/data/kept") == "12:34\n"
    again = lab.do("publish", f"{namespace}/flat:1", SKYPORT_DATA=str(lab.folder / "other"))
    assert again["published"][0]["image_id"] == config_digest(f"{namespace}/flat:1")


def inspect_in_docker(lab: PodmanLab, name: str, engine: str) -> Any:
    lab.do("pull", name, DOCKER_HOST=engine)
    return json.loads(docker("image", "inspect", name))[0]


@pytest.fixture
def base(lab: PodmanLab) -> str:
    """Return the name of an image that podman has."""
    lab.podman.podman("build", "--quiet", "--tag", "lab/base:1", str(lab.folder / "tool"))
    return "lab/base:1"


def write_snapshot(lab: PodmanLab, base: str, script: str, commit: str = "") -> None:
    (lab.folder / "install.sh").write_text(script)
    lab.write_list(f"name: 'lab/tool:1', snapshot: {{base: '{base}', script: install.sh}}, {commit}")


def test_a_commit_sets_what_it_is_told(lab: PodmanLab, base: str) -> None:
    settings = {
        "author": "Anna <anna@example.org>", "message": "by hand", "entrypoint": ["/bin/bash", "-c"],
        "cmd": ['echo "$GREETING" in $PWD'], "env": {"GREETING": 'it costs 5 €, "really" $HOME \\ '}, "workdir": "/tmp",
    }  # fmt: skip
    write_snapshot(lab, base, "mkdir /tmp\n", f"commit: {json.dumps(settings)}")
    lab.do("build", "lab/tool:1", "--record", "build.json")
    assert lab.podman.podman("run", "--rm", "lab/tool:1") == 'it costs 5 €, "really" $HOME \\  in /tmp'
    told = lab.podman.podman("image", "inspect", "--format", "{{.Author}} {{.Comment}}", "lab/tool:1")
    assert told == "Anna <anna@example.org> by hand"


def test_a_variable_that_no_engine_can_set_leaves_nothing(lab: PodmanLab, base: str) -> None:
    write_snapshot(lab, base, "true\n", 'commit: {env: {LINES: "one\\ntwo"}}')
    before = lab.images()
    done = lab.run("build", "lab/tool:1", "--record", "build.json")
    assert (done.code, "the variable LINES has a line break, which no engine can set" in done.log) == (2, True), (
        done.log
    )
    assert lab.images() == before


def test_a_script_that_fails_shows_its_last_lines(lab: PodmanLab, base: str) -> None:
    write_snapshot(lab, base, "echo before; echo the end; exit 4\n")
    done = lab.run("build", "lab/tool:1", "--record", "build.json")
    assert "ended with exit code 4. The last it printed:\n  | before\n  | the end" in done.log
    assert done.code == 1


def wait_for(process: Command, text: str) -> None:
    """Read what the command prints until it says `text`."""
    assert any(text in line for line in process.stderr)


def test_an_interrupted_script_leaves_no_container(lab: PodmanLab, base: str) -> None:
    write_snapshot(lab, base, "echo ready; sleep 600\n")
    with lab.start("build", "lab/tool:1", "--record", "build.json") as process:
        wait_for(process, "ready")
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode == 130
    # That no container is left, the fixture looks at.


def test_what_a_killed_command_left_goes_with_the_next(lab: PodmanLab, base: str) -> None:
    write_snapshot(lab, base, "echo ready; sleep 600\n")
    with lab.start("build", "lab/tool:1", "--record", "build.json") as process:
        wait_for(process, "ready")
        process.kill()
    lab.podman.podman("kill", lab.podman.podman("ps", "--quiet"))
    write_snapshot(lab, base, "true\n")
    lab.do("build", "lab/tool:1", "--record", "build.json")


def test_a_container_whose_program_runs_is_paused_and_goes_on(lab: PodmanLab, base: str) -> None:
    container = lab.podman.podman("run", "--detach", base, "/bin/bash", "-c", "echo x >/made; exec sleep 600")
    try:
        wait_until(lambda: "A /made" in lab.podman.podman("diff", container))
        lab.write_list(f"name: 'lab/tool:1', container: {container}")
        lab.do("publish", "--all", "--record", "receipts/{key}.json")
        assert lab.podman.podman("run", "--rm", "lab/tool:1", "cat", "/made") == "x"
        state = lab.podman.podman("inspect", "--format", "{{.State.Running}} {{.State.Paused}}", container)
        assert state == "true false"
        told = lab.receipt_of("lab/tool:1")["source"]["container"]
        assert (told["image"], "added /made" in told["changes"]) == (base, True)
    finally:
        lab.podman.podman("rm", "--force", "--time", "0", container)


def test_an_interrupted_build_ends_with_its_step(lab: PodmanLab) -> None:
    lab.extend("RUN echo ready; sleep 3\nRUN sleep 600\n")
    lab.write_list("name: 'lab/tool:1', dockerfile: tool/Dockerfile")
    with lab.start("build", "lab/tool:1", "--record", "build.json") as process:
        wait_for(process, "ready")
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode == 130
    wait_until(lambda: not lab.containers())
    assert "lab/tool" not in lab.podman.podman("image", "ls")


def test_a_podman_that_dies_is_a_temporary_trouble(lab: PodmanLab) -> None:
    lab.extend("RUN echo ready; sleep 600\n")
    lab.write_list("name: 'lab/tool:1', dockerfile: tool/Dockerfile")
    try:
        with lab.start("build", "lab/tool:1", "--record", "build.json") as process:
            wait_for(process, "ready")
            lab.podman.kill()
            _, log = process.communicate()
        assert (process.returncode, "went away at building lab/tool:1" in log) == (75, True), log
        assert not (lab.folder / "build.json").exists()
        again = lab.run("build", "lab/tool:1", "--record", "build.json")
        assert (again.code, "no Docker engine answers at unix://" in again.log) == (75, True), again.log
        assert "WRONG  engine: no Docker engine answers" in lab.run("doctor").out
    finally:
        lab.podman.start()
        lab.podman.podman("rm", "--force", "--time", "0", *lab.containers())


def test_the_example_does_what_its_readme_says(podman: PodmanService, tmp_path: Path, engine: str) -> None:
    folder = shutil.copytree(CHECKOUT / "examples/podman", tmp_path / "podman")
    saved = tmp_path / "debian.tar"
    docker("save", "--output", str(saved), "debian:bookworm")
    podman.podman("load", "--quiet", "--input", str(saved))
    example = PodmanLab(folder, podman)
    try:
        first, notes = example.do("publish", "--all")["published"]
        assert podman.podman("run", "--rm", "--interactive", "example/count-notes:1.0", stdin=">a\nACGT\n>b\n") == "2"
        pulled = example.do("pull", "example/count-notes:1.0", DOCKER_HOST=engine)
        assert pulled["image_id"] == notes["image_id"] != first["image_id"]
        read = docker("run", "--rm", "example/count-notes:1.0", "cat", "/usr/share/doc/count/README")
        assert read == "count counts the sequences of FASTA files\n"
    finally:
        docker("image", "rm", "--force", "example/count-notes:1.0")
        example.remove_images()
