"""`lock` makes one entry of each name, and says so where it cannot be told which."""

from pathlib import Path

import msgspec
import pytest

from skyport_wf.cli.main import main
from skyport_wf.records.files import read_record, write_record
from skyport_wf.records.receipt import LockFile
from tests.support.docker_archives import Image, canonical, layer_tar
from tests.support.sample_records import receipt


def test_receipts_of_one_name_have_to_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    here = receipt(name="lab/a:1")
    elsewhere = msgspec.structs.replace(here, shock="http://shock.test", node="n2")
    write_record(Path("here.json"), here)
    write_record(Path("again.json"), msgspec.structs.replace(here, readable_by="listed users"))
    write_record(Path("elsewhere.json"), elsewhere)
    assert main(["lock", "here.json", "again.json", "--lock", "images.lock.json"]) == 0
    assert read_record(Path("images.lock.json"), LockFile).images["lab/a:1"].node == "n1"
    before = Path("images.lock.json").read_bytes()
    capsys.readouterr()
    assert main(["lock", "here.json", "elsewhere.json", "--lock", "images.lock.json"]) == 2
    assert "here.json and elsewhere.json are both receipts of lab/a:1" in capsys.readouterr().err
    assert Path("images.lock.json").read_bytes() == before


def test_what_cannot_be_the_lock_file_is_said_before_anything_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("image.tar").write_bytes(canonical(Image((layer_tar({"file": b"x"}),)), "lab/a:1"))
    Path("images.yaml").write_text("images: [{name: 'lab/a:1', archive: image.tar}]\n")
    assert main(["publish", "--all", "--record", "receipt.json"]) == 0
    Path("notes.txt").write_text("notes")
    Path("images.yaml").write_text("images: [{name: 'lab/a:1', archive: image.tar, description: now told}]\n")
    before = Path("receipt.json").read_bytes()
    capsys.readouterr()
    assert main(["lock", "receipt.json", "--lock", "notes.txt", "--images", "images.yaml"]) == 2
    assert "notes.txt is there, and is no `skyport-wf lock` record: it stays as it is." in capsys.readouterr().err
    assert main(["receipt", "lab/a:1", "--record", "second.json", "--lock", "notes.txt"]) == 1
    assert not Path("second.json").exists()
    assert (Path("receipt.json").read_bytes(), Path("notes.txt").read_text()) == (before, "notes")
    assert main(["lock", "receipt.json", "--lock", "images.lock.json", "--images", "images.yaml"]) == 0
    assert "gets its new description" in capsys.readouterr().err
