"""What a build says when it fails, and what it keeps to itself: each builder, with a real engine."""

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from operator import methodcaller
from pathlib import Path

import pytest

from tests.support.commands import SKYPORT
from tests.support.engine import write_image_context
from tests.support.small_disk import small_disk

MESSAGE_START = "\nskyport-wf: "


class Build:
    """One image of a list in a folder of its own; its Dockerfile is `steps` on an image with a shell."""

    def __init__(self, folder: Path, namespace: str, builder: str) -> None:
        self.folder = folder
        self.name = f"{namespace}/tool:1"
        self._builder = builder
        write_image_context(folder / "tool")

    def run(self, *steps: str, dockerfile: str = "", fields: str = "", **variables: str) -> "tuple[int, str, str]":
        """Publish the image; return the exit code, all that was printed, and the error at its end."""
        path = self.folder / "tool/Dockerfile"
        whole = path.read_text()
        path.write_text(dockerfile or "\n".join((whole, *steps, "")))
        (self.folder / "images.yaml").write_text(
            f"shock: {{url: embedded, token_env: LAB_TOKEN}}\nimages:\n  - name: {self.name}\n"
            f"    dockerfile: tool/Dockerfile\n    builder: {self._builder}\n{fields}"
        )
        done = subprocess.run(
            [SKYPORT, "publish", self.name], cwd=self.folder, capture_output=True, text=True, check=False,
            env={**os.environ, "SKYPORT_DATA": str(self.folder / "store"), **variables},
        )  # fmt: skip
        path.write_text(whole)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stderr, done.stderr.rpartition(MESSAGE_START)[2]


@pytest.fixture(params=["classic", "buildkit"])
def build(request: pytest.FixtureRequest, tmp_path: Path, namespace: str) -> Build:
    return Build(tmp_path, namespace, request.param)


@pytest.fixture
def buildkit(tmp_path: Path, namespace: str) -> Build:
    return Build(tmp_path, namespace, "buildkit")


def test_a_failing_step_that_prints_a_huge_line_makes_a_short_message(build: Build) -> None:
    code, _, message = build.run(
        "RUN head -c 30000000 /dev/zero | tr '\\0' x; printf '\\033[31mred\\033]0;t\\007'; exit 3"
    )
    assert code == 1
    assert f"building {build.name} failed at\n  RUN head -c 30000000" in message
    assert "\x1b" not in message
    assert 300 < len(message) < 10_000


def test_builds_that_fail_at_the_same_step_at_one_time(tmp_path: Path, namespace: str) -> None:
    builds = [Build(tmp_path / str(number), f"{namespace}-{number}", "buildkit") for number in range(4)]
    step = f"RUN echo before the end of {namespace}; sleep 1; exit 3"
    # Of a long one, the engine's own reason is cut.
    long_step = f"{step} # {'long ' * 100}"
    with ThreadPoolExecutor(len(builds)) as pool:
        failures = list(pool.map(methodcaller("run", long_step), builds))
    for code, _, message in failures:
        assert code == 1
        assert step.removeprefix("RUN ") in message
        assert (f"| before the end of {namespace}\n" in message) != ("Build it again" in message)


def test_an_unknown_base_image_is_named_with_the_way_to_get_it(build: Build) -> None:
    for text in ("FROM lab.invalid/nothere:1\n", "FROM scratch\nCOPY --from=lab.invalid/nothere:1 /x /x\n"):
        code, _, message = build.run(dockerfile=text)
        assert code == 1
        assert message.startswith(
            f"building {build.name} failed: the engine does not have the image lab.invalid/nothere:1"
        )
        assert "`docker pull lab.invalid/nothere:1`" in message
    mistyped = "FROM scratch AS builder-of-tools\nFROM scratch\nCOPY --from=biulder-of-tools /x /x\n"
    assert "If the stage `builder-of-tools` is meant, write that" in build.run(dockerfile=mistyped)[2]


def test_a_mistake_in_the_commands_arguments_comes_with_its_reason(buildkit: Build) -> None:
    (buildkit.folder / "key").write_text("no key")
    code, _, message = buildkit.run(fields="    ssh: [one=key]\n")
    assert code == 1
    assert "failed to parse key: ssh: no key found" in message
    assert "--help" not in message


def test_an_image_without_files_says_so(build: Build) -> None:
    code, _, message = build.run(dockerfile="FROM scratch\nLABEL a=b\n")
    assert code == 1
    assert "the image has no files. Give its Dockerfile a COPY, or a base image" in message


def test_what_a_step_writes_to_stderr_has_no_colour_but_its_own(build: Build) -> None:
    code, log, _ = build.run(
        "RUN echo 'a warning' >&2; printf '\\033[32mdone\\033[0m\\n'; exit 3", fields="    no_cache: true\n"
    )
    assert (code, "a warning" in log, r"\x1b[32mdone\x1b[0m" in log) == (1, True, True), log
    assert "[91m" not in log


def test_a_context_for_which_there_is_no_room_names_the_disk(tmp_path: Path, namespace: str) -> None:
    build = Build(tmp_path, namespace, "classic")
    (tmp_path / "tool/data/large").write_bytes(os.urandom(2 << 20))
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk", size=1 << 20) as disk:
        code, _, message = build.run(TMPDIR=str(disk))
    assert (code, message) == (
        1,
        f"cannot write {disk}: No space left on device. Make room there, or write to another disk.\n",
    )


@pytest.mark.parametrize("fields", ['    build_args: {X: "a\\0b"}\n', '    labels: {X: "a\\0b"}\n'])
def test_a_nul_character_is_refused_before_anything_is_built(build: Build, fields: str) -> None:
    code, log, message = build.run("ARG X", fields=fields)
    assert code == 2
    assert "'X' has a NUL character" in message
    assert "Step 1" not in log
    assert "#1 " not in log


def test_a_build_argument_that_no_command_can_be_given(buildkit: Build) -> None:
    code, _, message = buildkit.run("ARG X", fields=f"    build_args: {{X: {'y' * 200_000}}}\n")
    assert code == 2
    assert message.startswith(
        f"image {buildkit.name}: the value of X has 200,000 bytes, more than a command may be given"
    )
    assert len(message) < 500


def test_a_comma_in_a_secrets_name_is_no_docker_option(buildkit: Build) -> None:
    (buildkit.folder / "a,src=other").write_text("right")
    (buildkit.folder / "other").write_text("wrong")
    secrets = "    secrets: {key: {file: 'a,src=other'}}\n"
    code, log, _ = buildkit.run('RUN --mount=type=secret,id=key,target=/s [ "$(cat /s)" = right ]', fields=secrets)
    assert code == 0, log


def test_the_docker_command_has_no_shock_token(buildkit: Build) -> None:
    docker = shutil.which("docker", path=os.environ["PATH"])
    wrapper = buildkit.folder / "bin/docker"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nenv >>{buildkit.folder}/seen\nexec {docker} "$@"\n')
    wrapper.chmod(0o755)
    variables = {
        "LAB_TOKEN": "t0ken-1", "KB_AUTH_TOKEN": "t0ken-2", "LAB_OTHER": "0ther",
        "PATH": f"{wrapper.parent}:{os.environ['PATH']}",
    }  # fmt: skip
    code, log, _ = buildkit.run(**variables)
    assert code == 0, log
    seen = (buildkit.folder / "seen").read_text()
    assert "LAB_OTHER=0ther" in seen
    assert "t0ken" not in seen


def test_the_helper_that_keeps_passwords_of_registries_has_no_shock_token(tmp_path: Path, namespace: str) -> None:
    """It is started for the classic builder, which takes all passwords along."""
    helper = tmp_path / "bin/docker-credential-probe"
    helper.parent.mkdir()
    helper.write_text(f"#!/bin/sh\nenv >>{tmp_path}/seen\necho '{{}}'\n")
    helper.chmod(0o755)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.json").write_text('{"credsStore": "probe"}')
    build = Build(tmp_path / "lab", namespace, "classic")
    variables = {
        "LAB_TOKEN": "t0ken-1", "KB_AUTH_TOKEN": "t0ken-2", "LAB_OTHER": "0ther",
        "DOCKER_CONFIG": str(tmp_path / "config"), "PATH": f"{helper.parent}:{os.environ['PATH']}",
    }  # fmt: skip
    code, log, _ = build.run(**variables)
    assert code == 0, log
    seen = (tmp_path / "seen").read_text()
    assert "LAB_OTHER=0ther" in seen
    assert "t0ken" not in seen


def test_a_password_in_docker_host_is_never_shown(buildkit: Build) -> None:
    for password in ("s3cret", "s3c/ret", "s3c ret", "s3c@ret"):
        code, log, message = buildkit.run(DOCKER_HOST=f"tcp://ann:{password}@127.0.0.1:9")
        assert code == 2
        assert "DOCKER_HOST='tcp://127.0.0.1:9' is not an engine's address" in message
        assert "s3c" not in log
        assert "ret@" not in log
