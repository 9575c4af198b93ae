"""What a command needs it reads once: files of images, the Shock; and it leaves nothing open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skyport_wf.cli.main import main
from skyport_wf.sources import dockerfile as dockerfile_source
from skyport_wf.store import opening
from tests.support.docker_archives import Image, canonical, layer_tar

IMAGES = 20


class Counted:
    """A function that counts its calls, and does what it did before."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.calls = 0
        self._function = function

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.calls += 1
        return self._function(*arguments, **options)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str], Counted]:
    def count(module: Any, name: str) -> Counted:
        counting = Counted(getattr(module, name))
        monkeypatch.setattr(module, name, counting)
        return counting

    return count


def chain(folder: Path) -> Path:
    """Write a list of images, each built on the one before."""
    lines = ["images:"]
    for number in range(IMAGES):
        (folder / f"i{number}").mkdir()
        base = f"lab/i{number - 1}:1" if number else "debian:bookworm"
        (folder / f"i{number}/Dockerfile").write_text(f"FROM {base}\nCOPY . /{number}\n")
        lines.append(f"- {{name: 'lab/i{number}:1', dockerfile: i{number}/Dockerfile}}")
    (folder / "images.yaml").write_text("\n".join(lines))
    return folder / "images.yaml"


def archives(folder: Path, names: list[str]) -> Path:
    lines = ["images:"]
    for number, name in enumerate(names):
        (folder / f"{number}.tar").write_bytes(canonical(Image((layer_tar({f"{number}": b"content"}),)), name))
        lines.append(f"- {{name: '{name}', archive: {number}.tar}}")
    (folder / "images.yaml").write_text("\n".join(lines))
    return folder / "images.yaml"


@pytest.mark.parametrize("verb", [["status"], ["plan"], ["publish", "--all", "--dry-run"]], ids=lambda verb: verb[0])
def test_each_image_is_read_and_digested_once(tmp_path, counted, capsys, verb):
    images = chain(tmp_path)
    read = counted(dockerfile_source, "parse_dockerfile")
    digested = counted(dockerfile_source, "digest_context")
    main([*verb, "--images", str(images), "--json"])
    assert f"lab/i{IMAGES - 1}:1" in capsys.readouterr().out
    assert (read.calls, digested.calls) == (IMAGES, IMAGES)


def test_of_one_image_only_those_below_it_are_read(tmp_path, counted, capsys):
    images = chain(tmp_path)
    read = counted(dockerfile_source, "parse_dockerfile")
    assert main(["publish", "lab/i4:1", "--dry-run", "--images", str(images)]) == 0
    assert "lab/i4:1" in capsys.readouterr().out
    assert read.calls == 5


def test_the_shock_is_opened_once_and_closed(tmp_path, counted, capsys):
    images = archives(tmp_path, ["lab/a:1"])
    opened = counted(opening, "open_store")
    assert main(["publish", "--all", "--images", str(images)]) == 0
    assert opened.calls == 1


def test_of_an_address_that_cannot_be_reached_a_dry_run_tells_and_goes_on(tmp_path, capsys):
    images = archives(tmp_path, ["lab/a:1"])
    with images.open("a") as file:
        file.write("\n- {name: 'lab/b:1', dockerfile: 'http://127.0.0.1:1/Dockerfile'}\n")
    assert main(["publish", "--all", "--dry-run", "--images", str(images)]) == 1
    out = capsys.readouterr().out
    assert "lab/a:1  publish it" in out
    assert "lab/b:1  fail: image lab/b:1: http://127.0.0.1:1/Dockerfile cannot be reached" in out


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.slow
def test_nothing_stays_open(tmp_path, capsys):
    names = ["lab/a:1", "lab/b:1", "lab/c:1"]
    images = archives(tmp_path, names)
    # What is imported, and kept, at the first time.
    assert main(["status", "--images", str(images)]) == 3
    before = open_files()
    for name in names:
        assert main(["publish", name, "--images", str(images)]) == 0
    assert open_files() == before
