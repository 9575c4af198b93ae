"""Patterns of `.dockerignore`, with what docker was seen to make of them: 20.10, and 28 with its buildx.

tests/integration/test_dockerignore.py compares with the docker command that is there, on many more.
"""

import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyport_wf.errors import SkyportError
from skyport_wf.image.context import BuildContext, list_context
from skyport_wf.image.ignoring.dockerignore import IgnoreRules, parse_dockerignore, quote

FILES = [
    "a",
    "A",
    "R/count.R",
    "c++",
    "foo",
    "xfoo",
    "d/foo",
    "d/e/foo",
    "d/e/keep",
    "1",
    "x y",
    " lead",
    "#h",
    "[",
    "!n",
]


def kept(ignore: str | bytes, paths: list[str], *, old: bool) -> set[str]:
    """Return the files that stay, walking down to each as a walk through folders does."""
    content = ignore if isinstance(ignore, bytes) else ignore.encode()
    rules = IgnoreRules(parse_dockerignore(content, ".dockerignore"), old=old)
    found = set()
    for path in paths:
        parts = path.split("/")
        above: list[bool] = []
        for depth in range(1, len(parts) + 1):
            step = "/".join(parts[:depth])
            ignored, above = rules.ignores(step, above)
            if ignored and depth < len(parts) and not rules.keeps_below(step):
                break
        if not ignored:
            found.add(path)
    return found


@pytest.mark.parametrize(
    ("ignore", "gone"),
    [
        ("r\n", []),
        ("R\n", ["R/count.R"]),
        ("a\n", ["a"]),
        ("[^a]\n", ["A", "1", "[", "R/count.R", "d/foo", "d/e/foo", "d/e/keep"]),
        ("[^a-zR]*\n", ["A", "1", " lead", "#h", "[", "!n"]),
        ("\\[\n", ["["]),
        ("\\#h\n", ["#h"]),
        ("#h\n", []),
        (" #h\n", ["#h"]),
        ("\\!n\n", ["!n"]),
        ("x\\ y\n", ["x y"]),
        ("/ a\n", ["a"]),
        ("\\d\n", ["1"]),
        ("[[:digit:]]\n", ["1"]),
        ("[[:^alpha:]]*\n", ["1", " lead", "#h", "[", "!n"]),
        ("[\\D]\n", ["a", "A", "[", "R/count.R", "d/foo", "d/e/foo", "d/e/keep"]),
        ("[a*]\n", []),
        ("**/foo\n", ["foo", "d/foo", "d/e/foo"]),
        ("d/**\n", ["d/foo", "d/e/foo", "d/e/keep"]),
        ("./d/../a/\n", ["a"]),
        (b"\xef\xbb\xbfa\n", ["a"]),
        (b"\xff\na\n", ["a"]),
        ("a\r\n1\r\n", ["a", "1"]),
        ("*\n!d\n", [file for file in FILES if not file.startswith("d/")]),
        ("d\n!d/e/keep\n", ["d/foo", "d/e/foo"]),
        ("d\n!d/e\nd/e/foo\n", ["d/foo", "d/e/foo"]),
        ("!a\na\n", ["a"]),
        ("/\n.\n..\n", []),
    ],
)
@pytest.mark.parametrize("old", [False, True])
def test_what_a_pattern_takes_away(ignore, gone, old):
    assert kept(ignore, FILES, old=old) == set(FILES) - set(gone)


@pytest.mark.parametrize(
    ("ignore", "gone_today", "gone_before_23"),
    [
        ("**foo\n", ["foo", "xfoo", "d/foo", "d/e/foo"], ["foo", "d/foo", "d/e/foo"]),
        ("d\n!**/keep\n", ["d/foo", "d/e/foo"], ["d/foo", "d/e/foo", "d/e/keep"]),
        ("d/e\n!d\n", ["d/e/foo", "d/e/keep"], []),
        ("d\n!d/e\nd\n", ["d/foo"], ["d/foo", "d/e/foo", "d/e/keep"]),
    ],
)
def test_docker_23_reads_otherwise(ignore, gone_today, gone_before_23):
    assert kept(ignore, FILES, old=False) == set(FILES) - set(gone_today)
    assert kept(ignore, FILES, old=True) == set(FILES) - set(gone_before_23)


def test_a_plus_is_one_since_docker_23():
    assert kept("c++\n", FILES, old=False) == set(FILES) - {"c++"}
    with pytest.raises(SkyportError, match=r"docker refuses the pattern 'c\+\+'"):
        kept("c++\n", FILES, old=True)


@pytest.mark.parametrize(
    "ignore", ["[", "a/[b", "[]a]", "[^]a]", "[a-]", "[-a]", "[a-b-c]", "a\\", "!", "! ", "!/", "a\x0bb", "a\0b"]
)
def test_what_docker_refuses(ignore):
    with pytest.raises(SkyportError, match=r"^\.dockerignore, line 2: docker refuses the pattern "):
        parse_dockerignore(f"# comment\n{ignore}\n".encode(), ".dockerignore")


@pytest.mark.parametrize("ignore", ["[z-a]", "\\y", "[\\y]", "*\\y", "[[:none:]]"])
def test_what_docker_refuses_once_it_compares(ignore):
    patterns = parse_dockerignore(f"{ignore}\n".encode(), ".dockerignore")
    with pytest.raises(SkyportError, match=r"^\.dockerignore, line 1: docker refuses the pattern "):
        IgnoreRules(patterns).ignores("a", [])


def test_a_line_has_an_end():
    assert len(parse_dockerignore(b"x" * 65535 + b"\na\n", ".dockerignore")) == 2
    with pytest.raises(SkyportError, match=r"line 1 is longer than 65535 bytes"):
        parse_dockerignore(b"x" * 65536, ".dockerignore")


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_with_the_line(content):
    try:
        IgnoreRules(parse_dockerignore(content, "name")).ignores("a/b", [])
    except SkyportError as error:
        assert str(error).startswith("name, line ")


TEXT = st.text(st.sampled_from("aA1*?[]\\^!#+(){}|. -ü\t\n"), min_size=1, max_size=6)
PATHS = TEXT.filter(lambda text: text.strip(".") and "/" not in text)


@given(path=PATHS, other=PATHS, old=st.booleans())
def test_a_quoted_path_matches_itself(path, other, old):
    rules = IgnoreRules(parse_dockerignore(quote(path).encode(), "x"), old=old)
    assert rules.ignores(path, [])[0]
    assert rules.ignores(f"{path}/below", [True])[0] or old
    if not set(" \t\n") & set(path):
        assert rules.ignores(other, [])[0] == (other == path)


@pytest.mark.parametrize("name", [".dockerignore", "Dockerfile.dockerignore"])
def test_a_pipe_of_that_name_is_not_waited_for(tmp_path, name):
    (tmp_path / "Dockerfile").write_text("FROM a\n")
    os.mkfifo(tmp_path / name)
    begun = time.process_time()
    with pytest.raises(SkyportError, match=rf"^cannot read .*/{name}: it is a device or pipe$"):
        list_context(BuildContext(tmp_path, tmp_path / "Dockerfile"))
    assert time.process_time() - begun < 5


def test_a_large_one_is_not_read(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM a\n")
    (tmp_path / ".dockerignore").symlink_to("large")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(SkyportError, match=r"^cannot read .*/\.dockerignore: it has more than 1 MiB$"):
        list_context(BuildContext(tmp_path, tmp_path / "Dockerfile"))


@pytest.mark.parametrize("target", ["/dev/zero", "../secret", "/etc/hostname"])
def test_a_link_does_not_lead_out_of_the_context(tmp_path, target):
    root = tmp_path / "context"
    root.mkdir()
    (tmp_path / "secret").write_text("a\n")
    (root / "a").write_text("")
    (root / ".dockerignore").symlink_to(target)
    assert list_context(BuildContext(root, root / "Dockerfile")) == [".dockerignore", "a"]


def test_a_dockerfile_whose_name_leaves_no_room_for_a_longer_one(tmp_path):
    dockerfile = tmp_path / ("D" * 250)
    dockerfile.write_text("FROM a\n")
    (tmp_path / ".dockerignore").write_text("x\n")
    (tmp_path / "x").write_text("")
    assert list_context(BuildContext(tmp_path, dockerfile)) == [".dockerignore", dockerfile.name]
