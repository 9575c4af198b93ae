"""What is said of a command that cannot run in a container."""

import os
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from docker.errors import APIError

from skyport_wf.cli.main import main
from skyport_wf.engine.containers import remove_container
from skyport_wf.engine.run import ProgramError, RunSettings, check_settings, run_command
from skyport_wf.errors import EngineError, UsageError

HERE = RunSettings(folder=Path("/data"))


def start(words: str) -> int:
    """Run a command on an engine that says this instead of starting it."""
    client = MagicMock(hooks={"response": []})
    client.attach.side_effect = APIError("500", explanation=words)
    client.inspect_container.return_value = {"Path": "tool"}
    try:
        return run_command(client, "sha256:0", ["tool"], HERE, called="lab/tool:1", output=lambda out, log: None)
    finally:
        client.remove_container.assert_called_once()


def test_a_container_that_ends_as_it_is_to_be_stopped_is_removed_all_the_same():
    """As podman says it; to remove it once more helps."""
    client, words = MagicMock(), "sending SIGKILL to container 01: container state improper: stopped"
    client.remove_container.side_effect = [APIError("500", explanation=words), None]
    remove_container(client, "01", of="lab/tool:1")
    assert client.remove_container.call_count == 2
    client.remove_container.side_effect = APIError("500", explanation="the disk is gone")
    with pytest.raises(EngineError, match=r"failed at removing the container of lab/tool:1: the disk is gone"):
        remove_container(client, "01", of="lab/tool:1")


def test_a_variable_that_is_not_set_here_is_not_set_there(monkeypatch, capsys):
    given, asked = [], ["A=1", "B", "EMPTY", "LACKS"]

    def stop(settings: RunSettings) -> None:
        given.extend(settings.environment)
        raise UsageError("enough is seen")

    monkeypatch.setattr("skyport_wf.engine.run.check_settings", stop)
    for name, value in {"B": "2=3", "EMPTY": ""}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("LACKS", raising=False)
    assert main(["run", *(word for name in asked for word in ("--env", name)), "lab/tool:1"]) == 2
    assert given == ["A=1", "B=2=3", "EMPTY="]
    assert "the variable LACKS is not set here, so --env LACKS sets none" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        'unable to start container process: exec: "tool": executable file not found in $PATH: unknown',
        'unable to start container process: exec: "/a/tool": stat /a/tool: no such file or directory',
        "crun: executable file `tool` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a "
        "command that was not found",
    ],
)
def test_a_program_that_is_not_there(words):
    with pytest.raises(ProgramError, match=r"^lab/tool:1 has no program tool\.") as raised:
        start(words)
    assert raised.value.exit_code == 127


@pytest.mark.parametrize("why", ["permission denied: unknown", "is a directory", "is a directory: permission denied"])
def test_a_file_that_is_no_program(why):
    with pytest.raises(ProgramError, match=r"^tool is not executable in lab/tool:1") as raised:
        start(f'unable to start container process: exec: "tool": {why}')
    assert raised.value.exit_code == 126


@pytest.mark.parametrize(
    "words",
    [
        # In podman's words, of a folder that is not there.
        "crun: cannot stat `/data`: No such file or directory: OCI runtime attempted to invoke a command that was not "
        "found",
        "error mounting /data: permission denied: OCI permission denied",
        "network lab not found",
    ],
)
def test_anything_else_is_told_in_the_engines_words(words):
    with pytest.raises(EngineError) as raised:
        start(words)
    assert str(raised.value) == f"the engine failed at running lab/tool:1: {words}"
    assert raised.value.exit_code == 1


def test_usual_settings_are_right():
    check_settings(RunSettings(folder=Path("/data/ä, b:c"), mounts=(Path("/tmp"),), environment=("A=ä",)))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (RunSettings(folder=Path("/")), "/ cannot be shown to a container: run it in another folder"),
        (RunSettings(folder=Path("/data"), mounts=(Path("/"),)), "/ cannot .*: name another folder"),
        (RunSettings(folder=Path("/data"), mounts=(Path("//"),)), "/ cannot .*: name another folder"),
        (RunSettings(folder=Path("/data"), mounts=(Path("/tmp/.."),)), "/ cannot .*: name another folder"),
        (RunSettings(folder=Path(os.fsdecode(b"/\xff"))), "not UTF-8: run it in another folder"),
        (RunSettings(folder=Path("/data"), mounts=(Path(os.fsdecode(b"/\xff")),)), "not UTF-8: name another folder"),
        (RunSettings(folder=Path("/data"), environment=(os.fsdecode(b"A=\xff"),)), "--env A: .* not UTF-8"),
        (RunSettings(folder=Path("/data"), environment=("A=1", "=x")), "--env '=x' names no variable"),
        # An engine takes its own network for that.
        (RunSettings(folder=Path("/data"), network=""), "--network '' names no network"),
    ],
)
def test_what_no_container_can_have_is_refused(settings, words):
    with pytest.raises(UsageError, match=words):
        check_settings(settings)


def test_the_root_is_refused_before_an_engine_is_asked(monkeypatch, capsys):
    monkeypatch.chdir("/")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    assert main(["run", "lab/tool:1", "--", "ls"]) == 2
    assert capsys.readouterr().err == "skyport-wf: / cannot be shown to a container: run it in another folder\n"
