"""What is in the way of the rules is told when a workflow is parsed."""

import re
from pathlib import Path

import msgspec
import pytest

from skyport_wf.errors import UsageError
from skyport_wf.pipelines.checks import (
    FILES_OF_IMAGE,
    check_archives,
    check_folders,
    check_lock,
    check_settings_files,
    is_writable,
)
from skyport_wf.records.plan import PlannedImage
from tests.support.commands import CHECKOUT

KEYS = ("lab_a_1", "lab_b_1")
PATHVARS = ("results", "logs", "benchmarks")
FOLDERS = {name: f"{name}/skyport" for name in PATHVARS}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def publish(*keys: str) -> None:
    for key in keys:
        Path(f"results/skyport/{key}").mkdir(parents=True)
        Path(f"results/skyport/{key}/receipt.json").touch()


def test_the_files_of_an_image_are_those_of_the_rules() -> None:
    rules = "".join(path.read_text() for path in (CHECKOUT / "rules").rglob("*.smk"))
    assert {*re.findall(r'_skyport\.output\("([\w.]+)"\)', rules)} == FILES_OF_IMAGE


@pytest.mark.parametrize("pathvar", PATHVARS)
def test_a_file_where_a_folder_of_the_rules_goes(pathvar: str) -> None:
    Path(pathvar).touch(mode=0o755)
    said = f"^the folder {pathvar} cannot be written to. Name another in the pathvar `{pathvar}`.$"
    with pytest.raises(UsageError, match=said):
        check_folders(FOLDERS, KEYS)
    if pathvar != "results":
        publish(*KEYS)
        check_folders(FOLDERS, KEYS)


@pytest.mark.parametrize("pathvar", PATHVARS)
@pytest.mark.parametrize("to", [None, "nowhere", "lab_a_1"])
def test_a_file_where_the_folder_of_an_image_goes(pathvar: str, to: str | None) -> None:
    publish("lab_b_1")
    folder = Path(f"{pathvar}/skyport")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lab_c_1").touch()
    check_folders(FOLDERS, KEYS)
    if to:
        (folder / "lab_a_1").symlink_to(to)
    else:
        (folder / "lab_a_1").touch()
    said = f"^{pathvar}/skyport/lab_a_1 is where the rules write other files. Move it away, .* pathvar `{pathvar}`.$"
    with pytest.raises(UsageError, match=said):
        check_folders(FOLDERS, KEYS)


def test_a_folder_where_a_file_of_an_image_goes(here: Path) -> None:
    publish("lab_b_1")
    (here / "elsewhere").mkdir()
    Path("results/skyport/lab_a_1").symlink_to(here / "elsewhere")
    (here / "elsewhere/mine").mkdir()
    check_folders(FOLDERS, KEYS)
    (here / "elsewhere/receipt.json").mkdir()
    with pytest.raises(UsageError, match=r"^results/skyport/lab_a_1/receipt.json is where the rules write"):
        check_folders(FOLDERS, KEYS)


def test_a_link_to_nothing_is_no_folder_that_can_be_made(here: Path) -> None:
    (here / "gone").symlink_to(here / "nowhere")
    (here / "there").symlink_to(here)
    assert not is_writable(here / "gone")
    assert not is_writable(here / "gone/skyport")
    assert is_writable(here / "there/new/skyport")


def test_a_path_of_the_settings_that_nobody_can_look_at(here: Path) -> None:
    (here / "loop").symlink_to(here / "loop")
    for name, reason in {"x" * 300: "File name too long", "loop": "Too many levels of symbolic links"}.items():
        check_settings_files(name, f"/{name}" if name != "loop" else None)
        with pytest.raises(UsageError, match=f"^cannot read {name}: {reason}$"):
            check_lock(name, (), ())


@pytest.mark.parametrize(("archive", "words"), [("a{b}.tar", "braces"), ("<results>/a.tar", "`<name>`")])
def test_an_archive_that_snakemake_would_look_for_elsewhere(archive: str, words: str) -> None:
    image = PlannedImage("lab/a:1", "lab_a_1", "archive", "", "", (), None, "a<b.tar")
    check_archives([image])
    said = f"^image lab/a:1: the archive is '{archive}'. Name it without {words}, Snakemake's"
    with pytest.raises(UsageError, match=said):
        check_archives([image, msgspec.structs.replace(image, archive=archive)])
