"""Images that are made of Dockerfiles: of the files that were read before, with what the list names beside them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from skyport_wf.engine import builders
from skyport_wf.engine.connection import connect
from skyport_wf.errors import TemporaryError
from skyport_wf.image_list.spec import BuildSecret, ImageSpec
from skyport_wf.sources.dockerfile import DockerfileSource
from skyport_wf.sources.remote_files import RemoteFiles

SPEC = ImageSpec("a/tool:1", dockerfile="tool/Dockerfile")
CHANGED = r"^image a/tool:1: its Dockerfile .*/tool/Dockerfile or its build context .*/tool has changed .* Run the "
EDITS: list[Callable[[Path], object]] = [
    lambda root: (root / "Dockerfile").write_text("FROM scratch\nCOPY . /2\n"),
    lambda root: (root / "data/file").write_text("2"),
    lambda root: (root / "data/file").chmod(0o755),
    lambda root: (root / "new").write_text(""),
    shutil.rmtree,
]


@pytest.fixture
def source(tmp_path: Path) -> DockerfileSource:
    (tmp_path / "tool/data").mkdir(parents=True)
    (tmp_path / "tool/data/file").write_text("1")
    (tmp_path / "tool/notes").write_text("1")
    (tmp_path / "tool/.dockerignore").write_text("Dockerfile\nnotes\n")
    (tmp_path / "tool/Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    opened = DockerfileSource(SPEC, tmp_path, RemoteFiles())
    opened.describe({}, connect)
    return opened


def make(
    source: DockerfileSource, monkeypatch: pytest.MonkeyPatch, build: Callable[[], object], spec: ImageSpec = SPEC
) -> ImageSpec:
    """Make the image with a function in the place of the builder, and return what a builder is asked for."""
    asked = []

    def build_image(engine: object, spec: ImageSpec, *_arguments: object, **_options: object) -> str:
        asked.append(spec)
        build()
        return "sha256:1"

    monkeypatch.setattr(builders, "build_image", build_image)
    source.make(None, spec, {}, print)  # type: ignore[arg-type] - nobody asks the engine
    (found,) = asked
    return found


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_while_it_is_built_ends_in_no_image(source, tmp_path, monkeypatch, edit):
    with pytest.raises(TemporaryError, match=CHANGED):
        make(source, monkeypatch, lambda: edit(tmp_path / "tool"))


@pytest.mark.parametrize("edit", EDITS)
def test_what_was_edited_while_others_were_built_is_not_built(source, tmp_path, monkeypatch, edit):
    edit(tmp_path / "tool")
    with pytest.raises(TemporaryError, match=CHANGED):
        make(source, monkeypatch, lambda: pytest.fail("it is built"))


def test_what_does_not_count_may_be_edited(source, tmp_path, monkeypatch):
    def edit() -> None:
        (tmp_path / "tool/notes").write_text("2")
        (tmp_path / "tool/data/file").touch()

    assert make(source, monkeypatch, edit) == SPEC


def test_secrets_and_keys_are_looked_for_from_the_list(source, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    spec = msgspec.structs.replace(
        SPEC,
        secrets={"a": BuildSecret(file="key"), "b": BuildSecret(file="~/key"), "c": BuildSecret(env="KEY")},
        ssh=("default", "one=key", "two=~/key,/etc/key,agent"),
    )
    asked = make(source, monkeypatch, lambda: None, spec)
    assert [secret.file for secret in asked.secrets.values()] == [f"{tmp_path}/key", "/home/anna/key", None]
    assert asked.ssh == ("default", f"one={tmp_path}/key", f"two=/home/anna/key,/etc/key,{tmp_path}/agent")
