"""Outside words become words for a terminal in one place."""

import pytest

from skyport_wf.cli.outcome import table
from skyport_wf.formatting import terminal_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("ä 中 é", "ä 中 é"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\rb", "a\\rb"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("\x00\x7f\x08", "\\x00\\x7f\\x08"),
    ],
)
def test_what_a_terminal_would_act_upon_is_made_visible(text, shown):
    assert terminal_text(text) == shown


def test_a_name_stays_in_its_row():
    assert str(table(("A", "B"), [("x\ny\x1b[2J", "z")])).splitlines()[1:] == ["xy[2J  z"]
