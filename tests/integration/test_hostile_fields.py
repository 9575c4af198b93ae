"""Whatever stands in the fields of an image that an engine is to make: a sentence, and never a traceback."""

import json
import os
import random
from typing import Any

import pytest

from skyport_wf.errors import EXIT_BUG
from skyport_wf.formatting import terminal_text
from tests.support.engine import write_image_context
from tests.support.hostile_values import WORDS
from tests.support.lab import Lab

LONG = "x" * 200_000
"""More than the system lets a program be given in one word."""
FIELDS: dict[str, Any] = {
    "build_args": lambda word: {"A": word},
    "build_args of any name": lambda word: {word: "x"},
    "labels": lambda word: {"a": word},
    "labels of any name": lambda word: {word: "x"},
    "secrets": lambda word: {"s": {"file": word}},
    "secrets of any name": lambda word: {word: {"file": "Dockerfile"}},
    "secrets of variables": lambda word: {"s": {"env": word}},
    "ssh": lambda word: [f"default={word}"],
    **{field: lambda word: word for field in ("target", "platform", "network", "context", "dockerfile")},
    **{f"commit {field}": lambda word: word for field in ("author", "message", "workdir")},
    "commit entrypoint": lambda word: [word],
    "commit env": lambda word: {"A": word},
    "commit env of any name": lambda word: {word: "x"},
    "snapshot base": lambda word: word,
    "image": lambda word: word,
    "container": lambda word: word,
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, engine: str) -> Lab:
    made = Lab(tmp_path_factory.mktemp("hostile") / "lab", DOCKER_HOST=engine, SKYPORT_RETRY_SECONDS="0")
    write_image_context(made.folder)
    (made.folder / "script.sh").write_text("#!/bin/bash\ntrue\n")
    return made


def image(field: str, value: Any, namespace: str) -> dict[str, Any]:
    made: dict[str, Any] = {"name": f"{namespace}/tool:1"}
    of, _, name = field.partition(" ")
    snapshot = {"base": f"{namespace}/programs:1", "script": "script.sh"}
    if of == "commit":
        return made | {"snapshot": snapshot, "commit": {name.split()[0]: value}}
    if of == "snapshot":
        return made | {"snapshot": snapshot | {name: value}}
    if of in ("image", "container"):
        return made | {of: value}
    return made | {"dockerfile": "Dockerfile", of: value}


@pytest.mark.parametrize("field", FIELDS)
def test_fields_that_an_engine_gets(lab: Lab, namespace: str, field: str) -> None:
    words = [*WORDS, LONG]
    for word in words if os.environ.get("SKYPORT_TEST_HOSTILE") == "all" else random.sample(words, 3):
        listed = {"images": [image(field, FIELDS[field](word), namespace)]}
        (lab.folder / "images.yaml").write_bytes(
            json.dumps(listed, ensure_ascii=False).encode(errors="surrogateescape")
        )
        done = lab.run("publish", "--all", "--record", "{key}.json")
        assert done.code != EXIT_BUG, (word[:60], done.log[-2000:])
        assert terminal_text(done.log) == done.log, word[:60]
