import io
import json
import os
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcswidth

from skyport_wf.cli.colours import GOOD, Coloured
from skyport_wf.cli.main import main
from skyport_wf.cli.outcome import Outcome, short_id, table
from skyport_wf.formatting import human_size
from skyport_wf.transfer.pull import PulledImage
from tests.support.commands import EXAMPLES
from tests.support.sample_records import receipt


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_499, "999.5 kB"),
        (999_500, "999.5 kB"),
        (999_950, "1.0 MB"),
        (61_300_000, "61.3 MB"),
        (318_000_000, "318.0 MB"),
        (5 * 10**9, "5.0 GB"),
        (10**15, "1000.0 TB"),
    ],
)
def test_sizes_as_people_write_them(size, text):
    assert human_size(size) == text


@given(st.integers(0, 10**14))
def test_a_size_is_short_and_right_to_a_twentieth(size):
    number, unit = human_size(size).split()
    assert len(number) <= 5
    assert abs(float(number) * {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}[unit] - size) <= max(size / 19, 0)


@pytest.mark.parametrize("image_id", ["sha256:" + "ab" * 32, "ab" * 32])
def test_ids_as_docker_shows_them(image_id):
    assert short_id(image_id) == "abababababab"


def test_a_table_shows_numbers_and_texts_as_they_are():
    assert str(table(("A", "B"), [("1.10", 2), ("x", "")])).split("\n") == ["A     B", "1.10  2", "x"]


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("columns", [20, 30, 40, 50, 60, 80, 200])
@pytest.mark.parametrize("head", [(), ("IMAGE", "STATE", "IMAGE ID", "SIZE", "CREATED", "OWNER", "NODE")])
def test_a_table_is_never_wider_than_the_terminal(columns, head, monkeypatch):
    row = ("lab/酵母-tool:1.10", Coloured("published", GOOD), "03be3da50459", "2.1kB", "2026-11-26", "", "b54c" * 9)
    monkeypatch.setattr(sys, "stdout", Screen())
    monkeypatch.setenv("COLUMNS", str(columns))
    plain = str(table(head, [row, row]))
    assert max(map(wcswidth, plain.splitlines())) <= columns
    assert Counter("".join(map(str, row)) * 2) <= Counter(plain)
    assert "\x1b[32m" in table(head, [row, row]).render(colour=True)


def test_where_no_columns_have_room_each_row_is_a_paragraph(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Screen())
    monkeypatch.setenv("COLUMNS", "24")
    rows = [("lab/align:2.1", "published", "0 B", "b54cda58-fbbe"), ("lab/assemble:0.7.62", "retired", "", "78dd")]
    assert str(table(("IMAGE", "STATE", "SIZE", "NODE"), rows)).split("\n") == [
        "IMAGE  lab/align:2.1",
        "STATE  published",
        "SIZE   0 B",
        "NODE   b54cda58-fbbe",
        "",
        "IMAGE  lab/assemble:0.7.",
        "       62",
        "STATE  retired",
        "NODE   78dd",
    ]


def test_text_for_people(capsys):
    Outcome({"a": 1}, "done").write(as_json=False)
    Outcome({"a": 1}, "").write(as_json=False)
    assert capsys.readouterr().out == "done\n"


def test_json_for_programs(capsys):
    Outcome(receipt(), "done").write(as_json=True)
    assert json.loads(capsys.readouterr().out)["record"] == "skyport-wf receipt 2"


def test_names_of_files_that_are_not_utf8_are_made_visible(capsys):
    name = os.fsdecode(b"\xffy\xc3\xa4")
    Outcome({"files": [{name: name, "b": 1, "a": None}], "record": receipt()}, "").write(as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["files"] == [{"\\udcffyä": "\\udcffyä", "b": 1, "a": None}]
    assert told["record"]["record"] == "skyport-wf receipt 2"


def test_an_end_without_a_value_prints_no_json(capsys):
    Outcome(None, "text").write(as_json=True)
    assert capsys.readouterr().out == ""


def test_json_is_utf8_whatever_the_terminal_is(monkeypatch):
    bytes_out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(bytes_out, encoding="ascii"))
    Outcome({"description": "ä 酵母"}, "").write(as_json=True)
    assert json.loads(bytes_out.getvalue().decode("utf-8")) == {"description": "ä 酵母"}


@pytest.mark.parametrize(
    ("bases", "said"),
    [
        (("example/fasta-base:12",), "with its base image example/fasta-base:12"),
        (("lab/a:1", "lab/b:1"), "with its base images lab/a:1, lab/b:1"),
    ],
)
def test_the_bases_that_came_with_a_thin_image_are_told(bases, said, monkeypatch, tmp_path, capsys):
    pulled = PulledImage("example/fasta-lengths:1.0", f"sha256:52968b1ebe3b{'0' * 52}", "n1", 53_500_000, bases)
    monkeypatch.setattr("skyport_wf.engine.connection.connect", lambda: None)
    monkeypatch.setattr("skyport_wf.transfer.pull.pull", lambda *_, **__: pulled)
    monkeypatch.setenv("SKYPORT_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    assert main(["pull", pulled.name]) == 0
    line = f"example/fasta-lengths:1.0 is image 52968b1ebe3b (53.5 MB loaded, {said})\n"
    assert capsys.readouterr().out == line
    if len(bases) == 1:
        assert line in (EXAMPLES / "thin/README.md").read_text()


def test_a_name_of_any_length_makes_no_list_of_its_length(opened, capsys):
    """In a table, each row would be as long: one node of anyone's took all memory."""
    long = "x" * 300_000
    for attributes in ({"name": f"lab/{long}:1"}, {"name": "lab/a:1", "repository": long, "tag": long}):
        made = opened.user.create_empty(attributes={"type": "dockerimage", "id": "a", **attributes}, expiration="1H")
        opened.user.keep(made.id)
    for arguments in (["ls"], ["ls", "--long"], ["du"], ["find", "--package", "x"]):
        assert main(arguments) == 0
        shown = capsys.readouterr().out
        assert f"lab/{long[:500]}" in shown or f"\n{long[:500]}" in shown
        assert max(map(len, shown.splitlines())) < 6000
    assert main(["ls", "--format", "names"]) == 0
    assert f"lab/{long}:1\n" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["resolve", "receipt", "show", "retire"])
def test_a_tag_of_any_length_is_told_by_its_beginning(opened, capsys, verb):
    """Python refuses to read a number of so many digits, and each command that looks for a highest tag failed."""
    name = f"lab/a:{'9' * 100_000}"
    attributes = {"type": "dockerimage", "name": name, "repository": "lab/a", "tag": name.partition(":")[2]}
    opened.user.keep(opened.user.create_empty(attributes=attributes, expiration="1H").id)
    assert main([verb, "lab/a"]) == 1
    said = capsys.readouterr().err
    assert ("has more than 64 bits" in said) == (verb != "retire")
    assert f"lab/a:{'9' * 500}" in said
    assert len(said) < 5000
