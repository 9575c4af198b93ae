"""`lock` makes one entry of each name, and says so where it cannot be told which."""

from pathlib import Path

import msgspec
import pytest

from skyport_wf.cli.main import main
from skyport_wf.records.files import read_record, write_record
from skyport_wf.records.receipt import LockFile
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
