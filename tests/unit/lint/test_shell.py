"""What a shell script runs, told without a shell."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyport_wf.lint.shell.grammar import every_pipeline, scan_shell


def scan(text: str) -> list[list[list[str]]]:
    """Return the words of each command of each pipeline, what is nested after what it is nested in."""
    pipelines = every_pipeline(scan_shell(text, lambda offset: text.count("\n", 0, offset) + 1))
    return [[[word.text for word in command.words] for command in pipeline.commands] for pipeline in pipelines]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b; c", [[["a", "b"]], [["c"]]]),
        ("a&&b||c&d\ne", [[["a"]], [["b"]], [["c"]], [["d"]], [["e"]]]),
        ("a|b |& c", [[["a"], ["b"], ["c"]]]),
        ("a 'b c' \"d $e\" f\\ g 'h'\"i\"j", [[["a", "b c", "d $e", "f g", "hij"]]]),
        ('a "b\\"c\\d"', [[["a", 'b"c\\d']]]),
        ("a ${b:-c d} $((1<<3)) $e", [[["a", "${b:-c d}", "$((1<<3))", "$e"]]]),
        ("a >b 2>&1 <c &>d 3>>e f", [[["a", "f"]]]),
        ("a 2 >b", [[["a", "2"]]]),
        ("a <<<b c", [[["a", "c"]]]),
        ("a <<X b\nno\nX\nc", [[["a", "b"]], [["c"]]]),
        ("a <<-'X'\n\tno\n\tX\nc", [[["a"]], [["c"]]]),
        ("a #b\nc#d", [[["a"]], [["c#d"]]]),
        ("a $(b | c) d", [[["a", "$(...)", "d"]], [["b"], ["c"]]]),
        ('a "x $(b "$(c)") y"', [[["a", "x $(...) y"]], [["b", "$(...)"]], [["c"]]]),
        ("a `b 'c'`", [[["a", "$(...)"]], [["b", "c"]]]),
        ("a <(b) >(c)", [[["a", "$(...)", "$(...)"]], [["b"]], [["c"]]]),
        ("a < <(b)", [[["a", "$(...)"]], [["b"]]]),
        ("(a; b) | c", [[[], ["c"]], [["a"]], [["b"]]]),
        ("sh -c 'a | b' x", [[["sh", "-c", "a | b", "x"]], [["a"], ["b"]]]),
        ("sudo bash -ec \"a\"", [[["sudo", "bash", "-ec", "a"]], [["a"]]]),
        ("tar -xc a", [[["tar", "-xc", "a"]]]),
        ("a \\\n b\\\nc", [[["a", "bc"]]]),
        ("case x in a) b;; esac", [[["case", "x", "in", "a"]], [["b"]], [["esac"]]]),
        ("a 'b", [[["a", "b"]]]),
        ('a "b $(c', [[["a", "b $(...)"]], [["c"]]]),
        ("", []),
    ],
)  # fmt: skip
def test_commands(text, expected):
    assert scan(text) == expected


def test_lines():
    text = "a\n\nb \\\n c | \\\n d\ne <<X\nx\nX\n'f\ng' h; i\n$(j\nk)"
    commands = [
        (command.words[0].text, command.line)
        for pipeline in every_pipeline(scan_shell(text, lambda offset: text.count("\n", 0, offset) + 1))
        for command in pipeline.commands
    ]
    assert commands == [
        ("a", 1), ("b", 3), ("d", 5), ("e", 6), ("f\ng", 9), ("i", 10), ("$(...)", 11), ("j", 11), ("k", 12),
    ]  # fmt: skip


_PIECES = (
    "a", " ", "\n", "'", '"', "$(", ")", "`", "|", "&", ";", "<<", "X", "(", "{", "}", "\\", "<(", "${", "$((", "))",
    "#", ">", "2", "sh -c ",
)  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES), max_size=40))
def test_any_text_is_read(words):
    scan("".join(words))


@pytest.mark.slow
@pytest.mark.parametrize("piece", ["a|", "$(", "'", "${", "<<E\n", "sh -c '", '"$('])
def test_a_megabyte_of_anything_is_read_in_time(piece):
    begun = time.process_time()
    text = piece * (1_000_000 // len(piece))
    assert len(list(every_pipeline(scan_shell(text, lambda offset: 1)))) <= 500_001
    assert time.process_time() - begun < 20
