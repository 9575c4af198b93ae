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
    assert document.line_of("$.other.x") == 2


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
        ("a: 2024-13-45\n", "images.yaml: not valid YAML: month must be in 1..12"),
        ("a: !!int x\n", "images.yaml: not valid YAML: invalid literal for int() with base 10: 'x'"),
        ("a: !!bool maybe\n", "images.yaml: not valid YAML: a value is not what its `!!` tag says"),
        ("a: !!timestamp now\n", "images.yaml: not valid YAML: a value is not what its `!!` tag says"),
        ("a: !!int ''\n", "images.yaml: not valid YAML: a value is not what its `!!` tag says"),
        (
            "a: !!python/object/apply:os.system [id]\n",
            "images.yaml, line 1: not valid YAML: could not determine a constructor for the tag "
            "'tag:yaml.org,2002:python/object/apply:os.system'",
        ),
        ("a: \x00", "images.yaml: not valid YAML: unacceptable character #x0000: control characters are not allowed"),
    ],
)
def test_what_is_wrong_and_where(text, message):
    assert problem(text) == message


def test_a_number_with_too_many_digits():
    assert problem("a: " + "1" * 5000).startswith("images.yaml: not valid YAML: Exceeds the limit")


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
