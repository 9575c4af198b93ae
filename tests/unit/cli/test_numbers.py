"""Numbers on the command line: digits 0 to 9 as many as anybody means, and one sentence for whatever else."""

import argparse

import pytest

from skyport_wf.cli.arguments import whole_number
from skyport_wf.cli.main import main

OPTIONS = [
    (["build", "lab/a:1", "--record", "r.json", "--wait"], "a whole number of seconds, below a million"),
    (["diff", "lab/a:1", "lab/b:1", "--paths"], "a number of files"),
    (["copy", "lab/a:1", "--to", "embedded", "--jobs"], "a number from 1 to 16"),
    (["publish", "lab/a:1", "--jobs"], "a number from 1 to 100"),
    (["delete", "lab/a:1", "--keep"], "a number of nodes, such as 3"),
    (["delete", "lab/a:1", "--older"], "a number of days, such as 90"),
    (["serve", "--port"], "a port. Give a number from 0 to 65535"),
]


@pytest.mark.parametrize(
    "number", ["٣", "²", pytest.param("9" * 5000, id="thousands of digits"), "-1", "1.5", "", " 1", "1_0"]
)
@pytest.mark.parametrize(("words", "what"), OPTIONS)
def test_what_is_no_number(words, what, number, capsys):
    *verb, option = words
    assert main([*verb, f"{option}={number}"]) == 2
    said = capsys.readouterr().err
    assert f"argument {option}" in said
    assert f": {number[:100]!r} is not {what}" in said


def test_a_number_lies_between_two_others():
    read = whole_number("so", least=1, most=16)
    assert [read(text) for text in ("1", "16", "007")] == [1, 16, 7]
    for wrong in ("0", "17", "1d"):
        with pytest.raises(argparse.ArgumentTypeError, match=f"^'{wrong}' is not so$"):
            read(wrong)


def test_a_unit_may_stand_behind_a_number():
    read = whole_number("so", unit="d")
    assert read("90d") == read("90") == 90
    for wrong in ("d", "90dd", "90w"):
        with pytest.raises(argparse.ArgumentTypeError):
            read(wrong)
