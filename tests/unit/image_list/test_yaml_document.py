import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyport_wf.errors import UsageError
from skyport_wf.image_list.yaml_document import parse_yaml
from tests.support.timing import PATIENCE


def problem(text: str) -> str:
    """Return the sentence; the line and carets that may follow are tested with image lists."""
    with pytest.raises(UsageError) as caught:
        parse_yaml(text, name="images.yaml")
    return str(caught.value).splitlines()[0]


def test_values_with_the_lines_and_texts_they_stand_in():
    document = parse_yaml("a: 1.10\nb:\n  - x\n  - c: yes\n", name="f")
    assert document.value == {"a": 1.1, "b": ["x", {"c": True}]}
    places = {path: (place.line, place.column, place.width) for path, place in document.places.items()}
    assert places == {
        "$": (1, 0, 1), "$.a": (1, 0, 1), "$.b": (2, 0, 1), "$.b[0]": (3, 4, 1), "$.b[1]": (4, 4, 1),
        "$.b[1].c": (4, 4, 1),
    }  # fmt: skip
    assert document.texts == {"$.a": "1.10", "$.b[0]": "x", "$.b[1].c": "yes"}


@pytest.mark.parametrize(
    ("path", "line"),
    [("$.b[1].c", 4), ("$.b[1].missing", 4), ("$.b[7]", 2), ("$.z", 1), ("$", 1), ("", 1), ("key` in `$.b", 1)],
)
def test_line_of_something_that_is_not_there_is_that_of_what_is_around_it(path, line):
    document = parse_yaml("a: 1\nb:\n  - x\n  - c: 2\n", name="f")
    assert document.line_of(path) == line


def test_merged_values_are_there():
    document = parse_yaml("base: &base {x: 1}\nother:\n  <<: *base\n  y: 2\n", name="f")
    assert document.value["other"] == {"x": 1, "y": 2}
    assert document.line_of("$.other.x") == 1
    assert (document.line_of("$.other.y"), document.texts["$.other.x"]) == (4, "1")


def test_of_merged_values_the_one_that_counts_is_noted():
    text = (
        "a: &a {x: 1.0, y: 1.1, 3: a}\n"
        "b: &b {<<: *a, x: 2.0, z: [2.10], 4: b}\n"
        "other:\n  <<: [*b, *a, {y: 3, w: {v: 3.0}}]\n  x: 4.0\n  4: c\n"
    )
    document = parse_yaml(text, name="f")
    assert document.value["other"] == {"x": 4.0, "y": 1.1, "z": [2.1], "w": {"v": 3.0}, 3: "a", 4: "c"}
    noted = {path[8:]: (document.line_of(path), text) for path, text in document.texts.items() if "other" in path}
    assert {path: found for path, found in noted.items() if "<<" not in path} == {
        "x": (5, "4.0"), "y": (1, "1.1"), "z[0]": (2, "2.10"), "w.v": (4, "3.0"), "3": (1, "a"), "4": (6, "c")
    }  # fmt: skip
    assert document.other_keys == {"$.a": ["3"], "$.b": ["4", "3"], "$.other": ["4", "3"]}


@pytest.mark.parametrize("text", ["\U0001f600", "a\U0001f600\U0010ffff\\", "\\ud83d\\ude00", "\\\U0001f600", "é\n"])
@pytest.mark.parametrize("indent", [None, 2])
def test_json_may_write_a_character_as_a_pair_of_surrogates(text, indent):
    value = {text: [text, text.upper(), 1]}
    document = parse_yaml(json.dumps(value, indent=indent), name="f")
    assert document.value == value
    assert document.line_of(f"$.{text}[2]") == (5 if indent else 1)


@pytest.mark.parametrize("text", ["'\\ud83d\\ude00'", "a: \\ud83d\\ude00", "{a: '\\ud83d\\ude00'}"])
def test_what_is_no_escape_in_yaml_stays(text):
    assert list(parse_yaml(text, name="f").texts.values()) == ["\\ud83d\\ude00"]


def test_half_a_character_is_none():
    assert "not valid YAML" in problem('{"a": "\\ud83d"}')


@pytest.mark.parametrize("text", ["", "\n", "# nothing but a comment\n"])
def test_an_empty_file(text):
    assert problem(text) == "images.yaml is empty."
    with pytest.raises(UsageError, match=r"^f is empty\. Fill it\.$"):
        parse_yaml(text, name="f", if_empty="Fill it.")


def test_an_empty_document_is_a_document():
    assert parse_yaml("---\n", name="f").value is None


NO_DATE = "looks like a date that there is not"
NO_CHARACTER = "the character U+{}, which no YAML has."
NO_ESCAPE = "a `\\` in double quotes that begins no character's code. Use single quotes, or `/` in a path."
NO_MERGE = "`<<` takes a mapping, such as the alias (`*NAME`) of one, or a list of them"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [\n", "images.yaml, line 2: not valid YAML: a bracket that is not closed"),
        (
            "a: 1\n b: 2\n",
            "images.yaml, line 2: not valid YAML: a `:` that makes no sense here: quote a value that has `: ` in it, "
            "and indent a line as those it belongs with",
        ),
        ("a:\n\t- b", "images.yaml, line 2: not valid YAML: a tab. YAML is indented with spaces."),
        ("a: *b\n", "images.yaml, line 1: not valid YAML: an alias (`*NAME`) whose anchor (`&NAME`) is not there"),
        ("a: 'x\nb: 2\n", "images.yaml, line 1: not valid YAML: a quote that is not closed"),
        ("a: @x\n", "images.yaml, line 1: not valid YAML: a value begins with `@`. Quote it."),
        ("a:\n- b: 1\n  c:2\n  d: 3\n", "images.yaml, line 3: not valid YAML: a key without `: ` behind it"),
        (
            "a:\n  - b: 1\n  c: 2\n",
            "images.yaml, line 3: not valid YAML: a line that belongs to the list item above it, and is indented less. "
            "Indent it more.",
        ),
        (
            "a:\n- b: 1\n c: 2\n",
            "images.yaml, line 3: not valid YAML: a line that is indented otherwise than those before it, or a quote "
            "that "
            "closes too early",
        ),
        ("a: 1\n---\nb: 2\n", "images.yaml, line 2: not valid YAML: a second document (`---`): an image list is one"),
        ("a: 1\nb: 2\na: 3\n", "images.yaml, line 3: 'a' stands here again (first on line 1)"),
        ("x:\n  a: 1\n  'a': 3\n", "images.yaml, line 3: 'a' stands here again (first on line 2)"),
        ("? [a]\n: 1\n", "images.yaml, line 1: a key has to be plain text"),
        ("{a: 1}: 1\n", "images.yaml, line 1: a key has to be plain text"),
        ("a: 2024-13-45\n", f'images.yaml, line 1, field a: {NO_DATE}. Quote it: "2024-13-45"'),
        ("a:\n- b:\n  - 2024-02-30\n", f'images.yaml, line 3, field b[0]: {NO_DATE}. Quote it: "2024-02-30"'),
        (
            "a:\n- 2024-01-01 10:00:00 +99\n",
            f'images.yaml, line 2, field a[0]: {NO_DATE}. Quote it: "2024-01-01 10:00:00 +99"',
        ),
        ("a: 1\n2023-02-29: b\n", f'images.yaml, line 2, field 2023-02-29: {NO_DATE}. Quote it: "2023-02-29"'),
        ("2024-02-30", f'images.yaml, line 1, field the file: {NO_DATE}. Quote it: "2024-02-30"'),
        ("a: &b 2024-02-30\nc: *b\n", f'images.yaml, line 1, field a: {NO_DATE}. Quote it: "2024-02-30"'),
        ("a: 0x_\n", 'images.yaml, line 1, field a: looks like a number that cannot be read. Quote it: "0x_"'),
        (f"a: {'1' * 5000}\n", "images.yaml, line 1, field a: looks like a number that cannot be read. Quote it."),
        ("a: 1\nb: =\n", 'images.yaml, line 2, field b: `=` is no value. Quote it: "="'),
        ("a: <<\n", 'images.yaml, line 1, field a: `<<` is no value. Quote it: "<<"'),
        ("a: !!int x\n", "images.yaml, line 1, field a: not what its `!!` tag says"),
        ("a: !!bool maybe\n", "images.yaml, line 1, field a: not what its `!!` tag says"),
        ("a: !!timestamp now\n", "images.yaml, line 1, field a: not what its `!!` tag says"),
        ("a: !!int ''\n", "images.yaml, line 1, field a: not what its `!!` tag says"),
        ("a: !!int '0x_'\n", "images.yaml, line 1, field a: not what its `!!` tag says"),
        ("a: !!int {=: x}\n", "images.yaml: not valid YAML: a value is not what its `!!` tag says"),
        ("a:\n- <<: 1\n", f"images.yaml, line 2: not valid YAML: {NO_MERGE}"),
        ("a: {<<: [[1]]}\n", f"images.yaml, line 1: not valid YAML: {NO_MERGE}"),
        (
            "a: !!python/object/apply:os.system [id]\n",
            "images.yaml, line 1: not valid YAML: a tag (`!...`) that an image list does not know. Leave it out.",
        ),
        (
            "%YAML 9.9\n---\na: 1\n",
            "images.yaml, line 1: not valid YAML: another version of YAML than 1.1 or 1.2. Leave the `%YAML` out.",
        ),
        ("a: \x00", f"images.yaml, line 1: not valid YAML: {NO_CHARACTER.format('0000')} Save it as UTF-8 text."),
        (
            "ä: é\nb: c\x1b[0m\n",
            f"images.yaml, line 2: not valid YAML: {NO_CHARACTER.format('001B')} Remove it, or write its code in "
            "double quotes.",
        ),
        (
            "images:\n".encode("utf-16-le").decode(),
            f"images.yaml, line 1: not valid YAML: {NO_CHARACTER.format('0000')} Save it as UTF-8 text.",
        ),
        ("a:\n- b: c\n\td: e\n", "images.yaml, line 3: not valid YAML: a tab. YAML is indented with spaces."),
        ("a:\n  b: |\n   x\n\ty\n", "images.yaml, line 4: not valid YAML: a tab. YAML is indented with spaces."),
        ('a: 1\nb: "C:\\Users\\anna"\n', f"images.yaml, line 2: not valid YAML: {NO_ESCAPE}"),
        ('a: "images\\dist\\a.tar"\n', f"images.yaml, line 1: not valid YAML: {NO_ESCAPE}"),
        ('a: "C:\\xray"\n', f"images.yaml, line 1: not valid YAML: {NO_ESCAPE}"),
        ('a: "\\ud83d"\n', f"images.yaml, line 1: not valid YAML: {NO_ESCAPE}"),
    ],
)
def test_what_is_wrong_and_where(text, message):
    assert problem(text) == message


def test_all_that_has_no_value_is_told_at_once_without_what_stands_behind():
    with pytest.raises(UsageError) as caught:
        parse_yaml('a: 2024-02-30\nb: "fine"\nc: !!int secret\n', name="images.yaml")
    assert str(caught.value).splitlines() == [
        "images.yaml has 2 mistakes:",
        f'images.yaml, line 1, field a: {NO_DATE}. Quote it: "2024-02-30"',
        "     1 | a: ...",
        "       | ^",
        "images.yaml, line 3, field c: not what its `!!` tag says",
        "     3 | c: ...",
        "       | ^",
    ]


def test_a_path_with_backslashes_is_shown_up_to_its_quote():
    with pytest.raises(UsageError) as caught:
        parse_yaml('a: 1\nb: "C:\\secret"\n', name="images.yaml")
    assert str(caught.value).splitlines()[1:] == ['     2 | b: " ...', "       |    ^"]


def aliases(levels: int, item: str) -> str:
    first = "a0: &a0 {x: 1}\n"
    return first + "".join(f"a{n}: &a{n} {item.format(f'*a{n - 1}')}\n" for n in range(1, levels))


@pytest.mark.parametrize(
    "text",
    [
        "&a [*a]",
        "a: &a\n  b: *a\n",
        aliases(15, "[{0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}]"),
        aliases(35, "{{<<: {0}, k: {0}}}"),
        aliases(35, "{{<<: [{0}, {0}]}}"),
        # Both have the path $...k.k, so paths that are noted do not tell how many values there are.
        aliases(18, "{{k.k: {0}, k: {{k: {0}}}}}"),
        "[" * 41 + "]" * 41,
        "\n".join(" " * depth + "a:" for depth in range(100)),
        "- " * 1000,
    ],
)
def test_what_would_take_forever_is_refused_at_once(text):
    assert problem(text).endswith("nested too deeply to be an image list")


def test_a_bomb_of_repeated_merge_keys_is_refused_at_once():
    assert (
        problem(aliases(35, "{{<<: {0}, <<: {0}}}")) == "images.yaml, line 2: '<<' stands here again (first on line 2)"
    )


def test_forty_levels_are_fine():
    assert parse_yaml("[" * 40 + "]" * 40, name="f").places


@pytest.mark.slow
@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_a_million_levels_do_not_crash_the_process(opening):
    # libyaml composes by recursion on the C stack: without a check before it, this is a segmentation fault.
    program = (
        "from skyport_wf.image_list.yaml_document import parse_yaml; from skyport_wf.errors import UsageError\n"
        f"try: parse_yaml({opening!r} * 1_000_000, name='f')\n"
        "except UsageError as error: print(error)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (run.returncode, run.stdout) == (0, "f, line 1: nested too deeply to be an image list\n")


@given(st.text(max_size=60))
def test_any_text_is_a_document_or_a_usage_error(text):
    try:
        document = parse_yaml(text, name="f")
    except UsageError as error:
        assert str(error).startswith("f")
    else:
        assert document.line_of("$.images[0].name") >= 1


@given(st.lists(st.sampled_from(list("[]{}:,-&*!|>'\"?#%@`<\n\t ab1.~=_")), max_size=25).map("".join))
def test_any_row_of_yaml_signs_is_a_document_or_a_usage_error(text):
    try:
        parse_yaml(text, name="f")
    except UsageError as error:
        assert str(error).startswith("f")
