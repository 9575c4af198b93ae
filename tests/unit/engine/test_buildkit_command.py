"""What the docker command is given, and how: a script stands in for it."""

import tempfile
from pathlib import Path
from typing import Any

import pytest

from skyport_wf.engine.buildkit import build_with_buildkit
from skyport_wf.errors import BuildError
from skyport_wf.image.context import BuildContext
from skyport_wf.image.docker_command import DockerCommand
from skyport_wf.image_list.spec import ImageSpec


class Engine:
    """An engine that answers; the command fails, so nothing more is asked of it."""

    def ping(self) -> None:
        pass


def seen_by_the_command(folder: Path, **build_args: str) -> tuple[list[str], list[str]]:
    """Return the variables and the arguments that the docker command gets for a build."""
    build_with(folder, f'env >{folder}/variables\nprintf "%s\\n" "$@" >{folder}/arguments\nexit 1\n', **build_args)
    return (folder / "variables").read_text().splitlines(), (folder / "arguments").read_text().splitlines()


def build_with(folder: Path, script: str, **build_args: str) -> str:
    """Build with a script in the place of the docker command, and return how that fails."""
    (folder / "Dockerfile").write_text("FROM scratch\n")
    program = folder / "docker"
    program.write_text(f"#!/bin/sh\n{script}")
    program.chmod(0o755)
    image = ImageSpec("lab/a:1", dockerfile="Dockerfile", network="host", build_args=build_args)
    context = BuildContext(folder, folder / "Dockerfile")
    engine: Any = Engine()
    with pytest.raises(BuildError) as failed:
        build_with_buildkit(engine, DockerCommand(str(program), 20), image, context, print)
    return str(failed.value)


@pytest.mark.parametrize(
    "name",
    ["VERSION", "GITHUB_TOKEN", "GIT_TOKEN", "SSH_PRIVATE_KEY", "AWS_SECRET_ACCESS_KEY", "PATHS", "ld", "MY_HOME"],
)
def test_the_value_of_a_build_argument_does_not_stand_on_the_command_line(name: str, tmp_path: Path) -> None:
    variables, arguments = seen_by_the_command(tmp_path, **{name: "va1ue"})
    assert f"{name}=va1ue" in variables
    assert arguments[arguments.index("--build-arg") + 1] == name
    assert "va1ue" not in "".join(arguments)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "HTTP_PROXY",
            "https_proxy",
            "NO_PROXY",
            "all_proxy",
            "LD_LIBRARY_PATH",
            "GLIBC_TUNABLES",
            "MALLOC_ARENA_MAX",
        ),
        *("GODEBUG", "GOMAXPROCS", "SSL_CERT_FILE", "SSH_AUTH_SOCK", "XDG_CONFIG_HOME", "OTEL_SDK_DISABLED", "TMPDIR"),
        *("HOME", "LC_ALL", "LANG", "TZ", "DOCKER_CONFIG", "BUILDX_BUILDER", "BUILDKIT_HOST", "GIT_SSH_COMMAND"),
        *("DBUS_SESSION_BUS_ADDRESS", "GNUPGHOME", "KUBECONFIG", "PYTHONPATH", "BASH_ENV", "ENV", "NO_COLOR"),
    ],
)
def test_a_build_argument_changes_no_program_of_this_machine(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(name, raising=False)
    variables, arguments = seen_by_the_command(tmp_path, **{name: "va1ue"})
    assert not [line for line in variables if "va1ue" in line]
    assert arguments[arguments.index("--build-arg") + 1] == f"{name}=va1ue"


def test_a_variable_that_is_set_here_stays_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_SETTING", "mine")
    variables, arguments = seen_by_the_command(tmp_path, LAB_SETTING="va1ue")
    assert "LAB_SETTING=mine" in variables
    assert "LAB_SETTING=va1ue" in arguments


def test_none_of_a_build_s_own_files_lies_in_its_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    _, arguments = seen_by_the_command(tmp_path)
    assert tmp_path not in Path(arguments[arguments.index("--iidfile") + 1]).parents
    assert tmp_path not in Path(arguments[-1]).parents


def test_no_variable_makes_the_command_build_elsewhere_or_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("DOCKER_DEFAULT_PLATFORM", "DOCKER_API_VERSION", "BUILDX_NO_DEFAULT_LOAD", "BUILDX_GIT_LABELS")
    for name in ("BUILDX_BUILDER", *names):
        monkeypatch.setenv(name, "0ther")
    variables, _ = seen_by_the_command(tmp_path)
    assert not [line for line in variables if "0ther" in line]
    assert "BUILDX_BUILDER=default" in variables


@pytest.mark.parametrize("script", ["", 'while [ "$1" != --iidfile ]; do shift; done; : >"$2"'])
def test_a_command_that_does_not_say_what_it_built_has_failed(script: str, tmp_path: Path) -> None:
    assert "ended without saying which image it built" in build_with(tmp_path, script)


def test_what_buildx_shows_of_the_dockerfile_is_the_instruction_that_failed(tmp_path: Path) -> None:
    """Its picture of the lines was the beginning of the reason, cut off."""
    (tmp_path / "said").write_text(
        '#1 [internal] load build definition from Dockerfile\n#1 DONE 0.0s\nDockerfile:2\n--------------------\n'
        '   1 |     FROM a:1\n   2 | >>> ENV A="b \\\n   3 | >>>   c\n   4 |     \n--------------------\n'
        'ERROR: failed to build: failed to solve: failed to process: unexpected end of statement\n'
    )  # fmt: skip
    failure = build_with(tmp_path, f"cat {tmp_path}/said\nexit 1\n")
    assert failure == (
        'building lab/a:1 failed at\n  ENV A="b \\\n    c\nfailed to process: unexpected end of statement'
    )
