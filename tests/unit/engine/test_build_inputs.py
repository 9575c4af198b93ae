"""Build secrets do not get into what is kept of a build's output, and a build's own files not into its context."""

import tempfile
from pathlib import Path

import pytest

from skyport_wf.engine.build_inputs import (
    build_arguments,
    folder_outside,
    place_agent,
    secret_mask,
    secret_options,
    ssh_options,
)
from skyport_wf.errors import UsageError
from skyport_wf.image.context import BuildContext
from skyport_wf.image_list.spec import BuildSecret, ImageSpec


def test_a_secret_is_masked_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_KEY", "s3cr.t")
    mask = secret_mask({"key": BuildSecret(env="LAB_KEY")})
    assert mask("get https://s3cr.t@host/s3cr.t") == "get https://***@host/***"
    assert mask("s3crat") == "s3crat"


def test_a_secret_of_several_lines_is_masked_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"-----BEGIN KEY-----\r\nMIIEabc\nMIIE\nab\n\xff\n")
    mask = secret_mask({"key": BuildSecret(file=str(tmp_path / "key"))})
    assert mask("#5 0.1 MIIEabc\n#5 0.1 MIIE, ab\n") == "#5 0.1 ***\n#5 0.1 ***, ab\n"


@pytest.mark.parametrize("secret", [BuildSecret(env="LAB_KEY"), BuildSecret(file="nowhere/key")])
def test_a_secret_that_is_not_there(monkeypatch: pytest.MonkeyPatch, secret: BuildSecret) -> None:
    monkeypatch.delenv("LAB_KEY", raising=False)
    assert secret_mask({"key": secret})("text") == "text"
    with pytest.raises(UsageError, match=r"LAB_KEY of the build secret 'key' is not set|no file nowhere/key"):
        list(secret_options({"key": secret}))


def test_an_empty_secret_masks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_KEY", "\n")
    assert secret_mask({"key": BuildSecret(env="LAB_KEY")})("a b") == "a b"


def test_a_comma_or_a_quote_in_a_name_does_not_begin_another_field(tmp_path: Path) -> None:
    (tmp_path / 'a,src="b').write_text("secret")
    options = list(secret_options({"one,env=HOME": BuildSecret(file=f'{tmp_path}/a,src="b')}))
    assert options == ["--secret", f'"id=one,env=HOME","src={tmp_path}/a,src=""b"']


def test_the_paths_of_an_ssh_agent_are_placed() -> None:
    def place(path: str) -> str:
        return f"/lab/{path}"

    assert place_agent("default", place) == "default"
    assert place_agent("default=", place) == "default="
    assert place_agent("one=a=b,c,raw=true", place) == "one=/lab/a=b,/lab/c,raw=true"
    with pytest.raises(UsageError, match="docker cannot be given /a,b/c as SSH agent or key: its path has a comma"):
        place_agent("one=c,key", lambda path: f"/a,b/{path}")


def test_an_ssh_agent_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, agent = tmp_path / "key", tmp_path / "agent"
    key.touch()
    agent.touch()
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
    given = ["default", f"one={key}", f"two={key},{agent},raw=true"]
    assert list(ssh_options(given)) == ["--ssh", given[0], "--ssh", given[1], "--ssh", given[2]]


@pytest.mark.parametrize("agent", ["default", "default=", "one"])
def test_an_ssh_agent_that_is_not_there(agent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "gone"))
    with pytest.raises(UsageError, match=r"there is no .*/gone, the agent or key of `ssh` '(default|one)'"):
        list(ssh_options([agent]))
    monkeypatch.delenv("SSH_AUTH_SOCK")
    with pytest.raises(UsageError, match=r"SSH_AUTH_SOCK, which names the SSH agent of `ssh: \[.*\]`, is not set"):
        list(ssh_options([agent]))


def test_a_key_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "key").touch()
    with pytest.raises(UsageError, match=r"there is no nowhere/key, the agent or key of `ssh` 'one'"):
        list(ssh_options([f"one={tmp_path}/key,nowhere/key"]))


@pytest.mark.parametrize("epoch", ["abc", "-1", "1.5", " 1", "1e9", "٣", "253402300800", "9" * 500])
def test_a_source_date_that_is_no_time(epoch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines differ in what they do with it: one passes over it, another one fails when all is built."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    with pytest.raises(
        UsageError, match=r"image lab/a:1: SOURCE_DATE_EPOCH is .*\. Set it to a whole number"
    ) as caught:
        build_arguments(ImageSpec("lab/a:1"))
    assert len(str(caught.value)) < 450
    given = ImageSpec("lab/a:1", build_args={"SOURCE_DATE_EPOCH": "5"})
    assert build_arguments(given) == {"SOURCE_DATE_EPOCH": "5"}


def test_a_source_date_of_the_list_that_is_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "5")
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH is ''"):
        build_arguments(ImageSpec("lab/a:1", build_args={"SOURCE_DATE_EPOCH": ""}))


@pytest.mark.parametrize("epoch", ["0", "1700000000", "253402300799"])
def test_a_source_date(epoch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    assert build_arguments(ImageSpec("lab/a:1")) == {"SOURCE_DATE_EPOCH": epoch}
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "")
    assert build_arguments(ImageSpec("lab/a:1")) == {}


def test_a_folder_for_temporary_files_outside_of_the_context_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    root = tmp_path / "tool"
    with folder_outside(BuildContext(root, root / "Dockerfile")) as folder:
        assert folder.parent == tmp_path
        assert folder.is_dir()
    assert not folder.exists()


def test_a_context_with_all_folders_for_temporary_files(tmp_path: Path) -> None:
    (tmp_path / "all").symlink_to("/")
    context = BuildContext(tmp_path / "all", tmp_path / "Dockerfile")
    with pytest.raises(UsageError, match=r"is part of the build context .*Set TMPDIR"), folder_outside(context):
        pass
