"""The schema takes every list that the reader takes, and refuses no other; what it cannot say is listed here."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from skyport_wf.cli.main import main
from skyport_wf.errors import UsageError
from skyport_wf.image_list.images_yaml import parse_image_list
from skyport_wf.image_list.schema import SCHEMA_FILE, make_schema
from skyport_wf.image_list.spec import BuildSecret, CommitSettings, ImageSpec, ShockSettings, Snapshot
from skyport_wf.pipelines.templates import project_files
from tests.support.commands import CHECKOUT
from tests.unit.image_list import test_images_yaml

SCHEMA = jsonschema.Draft202012Validator(make_schema())
ONLY_THE_READER_KNOWS = re.compile(
    # Names, addresses and URLs.
    r"is not a name|cannot be published|tag|name:|URL|address|repository|context|git|stands on line|HOST"
    # Fields that depend on others.
    r"|only an image|only a container|archive is published|with `flatten`|give either"
    # YAML itself: what stands there twice, or is no plain text.
    r"|again|key|YAML|empty|UTF-8|nested|document"
)


def lists() -> Iterator[str]:
    """Yield the lists of the project, of its guide, and of the tests of the reader, right and wrong ones."""
    for path in (CHECKOUT / "images.yaml", *sorted((CHECKOUT / "examples").rglob("images.y*ml"))):
        yield path.read_text()
    for page in sorted((CHECKOUT / "docs/guide").glob("*.md")):
        for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
            if block.lstrip().startswith(("images:", "shock:")):
                yield block
    for test in vars(test_images_yaml).values():
        for mark in getattr(test, "pytestmark", []):
            if mark.name == "parametrize":
                yield from (text for text in texts_in(mark.args[1]) if "images" in text)
    yield project_files()["images.yaml"]


def texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from texts_in(item)


def why_refused(text: str) -> str:
    try:
        parse_image_list(text)
    except UsageError as error:
        # Without the lines that it quotes.
        return "\n".join(line for line in str(error).splitlines() if not line.startswith("  "))
    return ""


def as_json(value: Any) -> Any:
    """Return what JSON has, too. Raises ValueError for a key that is no text."""
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("a key is no text")
        return {key: as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, list) else value


def test_it_agrees_with_the_reader_on_all_lists_of_the_tests():
    seen = {True: 0, False: 0}
    for text in lists():
        try:
            value = as_json(yaml.safe_load(text))
        except (yaml.YAMLError, ValueError):
            assert why_refused(text)
            continue
        refused, valid = why_refused(text), SCHEMA.is_valid(value)
        if valid:
            assert not refused or ONLY_THE_READER_KNOWS.search(refused), (text, refused)
        else:
            assert refused, (text, [error.message for error in SCHEMA.iter_errors(value)])
        seen[not refused] += 1
    assert seen[True] > 15 and seen[False] > 15, seen


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("images: []", "minItems"),
        ("images: [{name: a/b:1, dockerfle: D}]", "additionalProperties"),
        ("images: [{name: a/b:1, dockerfile: 3}]", "type"),
        ("images: [{name: a/b:1, dockerfile: D, archive: a.tar}]", "oneOf"),
        ("images: [{name: a/b:1}]", "oneOf"),
        ("images: [{name: a/b:1, dockerfile: D, builder: kaniko}]", "enum"),
        ("images: [{name: a/b:1, dockerfile: D, secrets: {a: {env: A, file: b}}}]", "oneOf"),
        ("images: [{name: a/b:1, dockerfile: D, build_args: {A B: c}}]", "pattern"),
        ("images: [{name: a/b:1, dockerfile: D, labels: {'': c}}]", "pattern"),
        ("shock: {part_size: 0}\nimages: [{name: a/b:1, dockerfile: D}]", "minimum"),
        ("other: 1\nimages: [{name: a/b:1, dockerfile: D}]", "additionalProperties"),
    ],
)
def test_what_it_says_is_wrong(text, wrong):
    def reasons(errors: Any) -> set[str]:
        return {error.validator for error in errors} | {
            validator for error in errors for validator in reasons(error.context or [])
        }

    assert wrong in reasons(list(SCHEMA.iter_errors(yaml.safe_load(text))))
    assert why_refused(text)


def test_keys_of_the_user_are_left_alone():
    assert SCHEMA.is_valid(yaml.safe_load("x-base: &b {pull: true}\nimages: [{name: a/b:1, dockerfile: D, <<: *b}]"))


def test_it_is_a_schema_and_has_every_field():
    jsonschema.Draft202012Validator.check_schema(make_schema())
    parts = make_schema()["$defs"]
    for kind in (ImageSpec, ShockSettings, Snapshot, CommitSettings, BuildSecret):
        assert set(parts[kind.__name__]["properties"]) == set(kind.__struct_fields__)
    # Editors show the sentence under each field.
    assert parts["ShockSettings"]["properties"]["token_env"]["description"] == (
        "The name of the variable that holds the token; never the token."
    )


def test_it_is_printed_and_lies_beside_the_list_that_names_it(capsysbinary, tmp_path: Path):
    assert main(["schema"]) == 0
    printed = capsysbinary.readouterr().out
    assert json.loads(printed) == json.loads(json.dumps(make_schema()))
    assert main(["schema", "--json"]) == 0
    assert capsysbinary.readouterr().out == printed
    assert main(["init", str(tmp_path / "new")]) == 0
    assert (tmp_path / "new" / SCHEMA_FILE).read_bytes() == printed
    first = (tmp_path / "new/images.yaml").read_text().splitlines()[0]
    assert first == f"# yaml-language-server: $schema={SCHEMA_FILE}"
