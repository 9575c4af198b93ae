import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyport_wf.cli.outcome import Outcome, short_id, table
from skyport_wf.formatting import human_size
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


def test_text_for_people(capsys):
    Outcome({"a": 1}, "done").write(as_json=False)
    Outcome({"a": 1}, "").write(as_json=False)
    assert capsys.readouterr().out == "done\n"


def test_json_for_programs(capsys):
    Outcome(receipt(), "done").write(as_json=True)
    assert json.loads(capsys.readouterr().out)["record"] == "skyport-wf receipt 2"


def test_an_end_without_a_value_prints_no_json(capsys):
    Outcome(None, "text").write(as_json=True)
    assert capsys.readouterr().out == ""


def test_json_is_utf8_whatever_the_terminal_is(monkeypatch):
    bytes_out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(bytes_out, encoding="ascii"))
    Outcome({"description": "ä 酵母"}, "").write(as_json=True)
    assert json.loads(bytes_out.getvalue().decode("utf-8")) == {"description": "ä 酵母"}
