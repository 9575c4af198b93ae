"""A Dockerfile's instructions, as BuildKit reads them, with their lines."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyport_wf.image.instructions import read_instructions


def read(text: str) -> list[tuple[int, int, str, str]]:
    return [(one.line, one.last_line, one.name, one.value) for one in read_instructions(text.encode())]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM a\nrun  b c \n", [(1, 1, "FROM", "a"), (2, 2, "RUN", "b c")]),
        ("\n# x\n  FROM a\n", [(3, 3, "FROM", "a")]),
        ("FROM a\r\nRUN b\r\n", [(1, 1, "FROM", "a"), (2, 2, "RUN", "b")]),
        ("RUN a \\\n  b\\\nc\n", [(1, 3, "RUN", "a   bc")]),
        ("RUN a \\  \n  b\n", [(1, 2, "RUN", "a   b")]),
        ("RUN a \\\n# no\n\n  # no\n b\nUSER x\n", [(1, 5, "RUN", "a  b"), (6, 6, "USER", "x")]),
        ("RUN a \\\\\nUSER x\n", [(1, 1, "RUN", "a \\\\"), (2, 2, "USER", "x")]),
        ("RUN a \\", [(1, 1, "RUN", "a")]),
        ("RUN a \\\n\n\n", [(1, 4, "RUN", "a")]),
        ("# escape=`\nRUN a `\n b\\\nUSER x\n", [(2, 3, "RUN", "a  b\\"), (4, 4, "USER", "x")]),
        ("# syntax=x\n# ESCAPE = `\nRUN a `\n b\n", [(3, 4, "RUN", "a  b")]),
        ("# comment\n# escape=`\nRUN a `\n", [(3, 3, "RUN", "a `")]),
        ("# note=1\n# escape=`\nRUN a `\n", [(3, 3, "RUN", "a `")]),
        ("# Check=skip=all\n# escape = `\nRUN a `\n b", [(3, 4, "RUN", "a  b")]),
        ("RUN", [(1, 1, "RUN", "")]),
        ("RUN \\\n", [(1, 2, "RUN", "")]),
        ("\ufeffFROM a\n", [(1, 1, "FROM", "a")]),
        ("", []),
    ],
)
def test_lines_are_joined(text, expected):
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "name", "body", "line", "after"),
    [
        ("RUN <<EOF\na\n b\nEOF\nUSER x", "EOF", "a\n b", 2, 5),
        ("RUN <<'EOF' cat\na\nEOF\nUSER x", "EOF", "a", 2, 4),
        ('COPY <<"E_1" /x\na\nE_1\nUSER x', "E_1", "a", 2, 4),
        ("RUN <<-EOF\n\ta\n\tEOF\nUSER x", "EOF", "a", 2, 4),
        ("RUN <<EOF\na\n\tEOF\nEOF\nUSER x", "EOF", "a\n\tEOF", 2, 5),
        ("RUN <<EOF\na \\\n# b\n\nEOF\nUSER x", "EOF", "a \\\n# b\n", 2, 6),
        ("RUN a && \\\n  b 3<<EOF >x\nc\nEOF\nUSER x", "EOF", "c", 3, 5),
        ("ONBUILD RUN <<EOF\nc\nEOF\nUSER x", "EOF", "c", 2, 4),
        ("RUN cat <<\\EOF\nc\nEOF\nUSER x", "EOF", "c", 2, 4),
        ("RUN cat <<-\\EOF\n\tc\n\tEOF\nUSER x", "EOF", "c", 2, 4),
        ("RUN cat <<!\nc\n!\nUSER x", "!", "c", 2, 4),
        ("RUN cat <<.EOF\nc\n.EOF\nUSER x", ".EOF", "c", 2, 4),
        ("RUN cat <<E'O'\"F\"\nc\nEOF\nUSER x", "EOF", "c", 2, 4),
        ("RUN cat <<E\\ F\nc\nE F\nUSER x", "E F", "c", 2, 4),
        ("RUN cat <<eo\\'f\nc\neo'f\nUSER x", "eo'f", "c", 2, 4),
        ("RUN cat <<'a\\b'\nc\na\\b\nUSER x", "a\\b", "c", 2, 4),
        ("RUN cat <<$EOF\nc\n$EOF\nUSER x", "$EOF", "c", 2, 4),
        ("RUN cat <<EOF; true\nc\nEOF\nEOF;\nUSER x", "EOF;", "c\nEOF", 2, 5),
    ],
)
def test_heredocs(text, name, body, line, after):
    first, second = read_instructions(text.encode())
    (heredoc,) = first.heredocs
    assert (heredoc.name, heredoc.text, heredoc.line) == (name, body, line)
    assert (second.name, second.line) == ("USER", after)


def test_several_heredocs_stand_below_one_another():
    (copy,) = read_instructions(b"COPY <<one <<two /x/\n1\none\n2\ntwo\n")
    assert [(heredoc.name, heredoc.text, heredoc.line) for heredoc in copy.heredocs] == [
        ("one", "1", 2),
        ("two", "2", 4),
    ]


def test_a_heredoc_keeps_its_carriage_returns_as_in_a_build():
    (run, user) = read_instructions(b"RUN <<EOF\r\na\r\nb\nEOF\r\nUSER x\r\n")
    assert (run.value, run.heredocs[0].text, user.value) == ("<<EOF", "a\r\nb", "x")


def test_a_heredoc_without_an_end_goes_to_the_end():
    (run,) = read_instructions(b"RUN <<EOF\nUSER x\n")
    assert (run.heredocs[0].text, run.last_line) == ("USER x\n", 3)


@pytest.mark.parametrize(
    "value",
    [
        "cat <<<EOF", "echo $((1<<3))", "a<<b", "echo '<<EOF'", 'echo " <<EOF "', "cat < EOF", "cat << EOF", "a <<",
        "a <<-", "a <<''", '["a", "<<EOF"]',
    ],
)  # fmt: skip
def test_what_only_looks_like_a_heredoc(value):
    assert len(read_instructions(f"RUN {value}\nUSER x\n".encode())) == 2


def test_only_some_instructions_have_heredocs():
    assert len(read_instructions(b"ENV a=<<EOF <<EOF\nUSER x\n")) == 2


def test_the_line_of_a_place_in_the_value():
    (run,) = read_instructions(b"# x\n\n  RUN one \\\n# no\n   two \\\n three\n")
    assert [run.line_at(run.value.index(word)) for word in ("one", "two", "three")] == [3, 5, 6]
    (run,) = read_instructions(b"RUN \\\n one\n")
    assert run.line_at(run.value.index("one")) == 2


@given(st.lists(st.sampled_from(["RUN", "COPY", "<<EOF", "EOF", "<<-'a'", "a", "\\", "\n", "\t", " ", "#", "\r", "'"])))
def test_any_text_is_read_and_every_line_is_in_the_file(words):
    text = "".join(words)
    last = 0
    for one in read_instructions(text.encode()):
        assert last < one.line <= one.last_line <= text.count("\n") + 1
        assert all(one.line <= one.line_at(offset) <= one.last_line for offset in range(len(one.value) + 1))
        last = one.last_line


@pytest.mark.slow
@pytest.mark.parametrize("piece", ["a ", "'", "<<E ", "<<\\E ", "\\\n", "RUN <<E\nE\n"])
def test_a_megabyte_of_anything_is_read_in_time(piece):
    begun = time.process_time()
    read_instructions(b"RUN " + piece.encode() * (1_000_000 // len(piece)))
    assert time.process_time() - begun < 20
