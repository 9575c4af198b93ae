"""Whatever is given to an option, a field, a record or a variable: a sentence, an exit code, and no file touched.

The options are those of the parser and the fields those of the types, so a new one is tested by being there.
"""

import argparse
import copy
import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from skyport_wf.cli.parser import make_parser
from skyport_wf.cli.verbs import VERBS
from skyport_wf.errors import EXIT_BUG, EXIT_INTERRUPTED
from skyport_wf.formatting import terminal_text
from skyport_wf.image_list.spec import BuildSecret, CommitSettings, ImageSpec, ShockSettings, Snapshot
from tests.support.hostile_values import (
    NAME,
    OTHER_THAN_WORDS,
    WORDS,
    copy_project,
    inside,
    kept,
    make_project,
    run_command,
)

pytestmark = pytest.mark.slow

EACH = 6
"""Values that each option, field and variable gets, others each and the same in each run; all of them if the variable
SKYPORT_TEST_HOSTILE is `all`."""
GOOD = {
    "name": NAME, "names": NAME, "new_name": "lab/new:1", "folder": "new", "to": "embedded",
    "build": "build.json", "save": "save.json", "upload": "upload.json", "receipt": "receipt.json",
    "receipts": "receipt.json", "shell": "bash", "record": "new.json", "archive": "new.tar.gz", "lock": "new.lock.json",
}  # fmt: skip
"""Values of what a verb cannot be without, by the name in its namespace."""
OF_THE_VERB = {
    "lint": ["--dockerfile=tool/Dockerfile"],
    "publish": ["--all"],
    "serve": ["--port=1", "--host=192.0.2.1"],
}
"""What else gets a verb to do its work; `serve` is to end, at an address that this machine does not have."""
VARIABLES = (
    *("SHOCK_URL", "SHOCK_TOKEN_FILE", "KB_AUTH_TOKEN", "SKYPORT_DATA", "SKYPORT_CACHE", "SKYPORT_RETRY_SECONDS"),
    *("REQUESTS_CA_BUNDLE", "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"),
    *("SOURCE_DATE_EPOCH", "TMPDIR", "HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "HTTP_PROXY", "USER", "COLUMNS"),
)


def drawn(values: tuple[Any, ...], what: object) -> list[Any]:
    """Return some of the values, for what is tested with them."""
    if os.environ.get("SKYPORT_TEST_HOSTILE") == "all":
        return list(values)
    return random.Random(repr(what)).sample(values, EACH)


class Option(NamedTuple):
    """An option or argument of a verb, and the words before it."""

    verb: tuple[str, ...]
    action: argparse.Action
    required: tuple[argparse.Action, ...]

    def command(self, value: str) -> list[str]:
        """Return the command line with this value, and good ones for all else that is required."""
        others = [action for action in self.required if action is not self.action]
        given = [(self.action, value), *((action, GOOD.get(action.dest, "x")) for action in others)]
        options = [f"{action.option_strings[0]}={text}" for action, text in given if action.option_strings]
        arguments = [text for action, text in given if not action.option_strings]
        extra = [word for word in OF_THE_VERB.get(self.verb[0], ()) if self.may_have(word)]
        return [*self.verb, *extra, *options, *(["--", *arguments] if arguments else [])]

    def may_have(self, word: str) -> bool:
        """Whether this may be given beside the option."""
        name = word.partition("=")[0]
        return name not in self.action.option_strings and not (
            (name == "--all" and self.action.dest == "names")
            or (name == "--dockerfile" and self.action.dest in ("names", "cwl", "packed"))
        )


def options() -> Iterator[Option]:
    for verb in VERBS:
        yield from options_of((verb,), make_parser([verb])[1][verb])


def options_of(verb: tuple[str, ...], parser: argparse.ArgumentParser) -> Iterator[Option]:
    required = tuple(a for a in parser._actions if a.required or (not a.option_strings and a.nargs is None))
    subparsers = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for action in subparsers:
        for name, below in action.choices.items():
            yield from options_of((*verb, name), below)
    if not subparsers:
        yield from (Option(verb, action, required) for action in parser._actions if action.nargs != 0)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("project") / "made")


class Trial:
    """Runs commands in a copy of the project, and notes those that do not end as commands should."""

    def __init__(self, project: Path, folder: Path, printed: Callable[[], tuple[str, str]]) -> None:
        self.problems: list[str] = []
        self._project = project
        self._copies = folder / "copies"
        self._printed = printed
        self._anew()

    def run(self, what: object, *arguments: str) -> None:
        """Run a command; `what` is what is wrong with it."""
        self._printed()
        before = kept(self.folder)
        with inside(self.folder):
            done = run_command([*arguments], self._printed)
        problem = ""
        if done.code in (EXIT_BUG, EXIT_INTERRUPTED) or "Traceback" in done.log:
            problem = f"exit code {done.code}: {done.log[-1500:]}"
        elif any(terminal_text(text) != text for text in (done.log, done.out)):
            problem = f"raw: {done.log!r}"
        elif kept(self.folder) != before:
            problem = "a file was touched"
        if problem:
            self.problems.append(f"{str(what)[:60]!r}: {arguments[0]}: {problem}")
            self._anew()

    def _anew(self) -> None:
        self.folder = copy_project(self._project, self._copies / str(len(self.problems)))


@pytest.fixture
def trial(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Trial]:
    trial = Trial(project, tmp_path, lambda: tuple(capsys.readouterr()))
    yield trial
    assert not trial.problems, "\n".join(trial.problems)


def option_name(option: Option) -> str:
    return " ".join((*option.verb, option.action.dest))


@pytest.mark.parametrize("option", [*options()], ids=option_name)
def test_options(trial, option):
    for word in drawn(WORDS, option_name(option)):
        trial.run(word, *option.command(word))


@pytest.mark.parametrize("variable", VARIABLES)
def test_variables(trial, monkeypatch, variable):
    for word in drawn(tuple(word for word in WORDS if "\0" not in word), variable):
        monkeypatch.setenv(variable, word)
        for command in (["status"], ["publish", "--all", "--record={key}.json"], ["serve", *OF_THE_VERB["serve"]]):
            trial.run(word, *command)


def image_with(path: tuple[str, ...], value: object) -> dict[str, Any]:
    """Return an image list's image whose field at the path has the value."""
    image: dict[str, Any] = {"name": NAME}
    sources = {"snapshot": {"base": "debian:bookworm", "script": "notes.txt"}, "container": "c", "image": "i:1"}
    if path[0] in ("snapshot", "container", "image"):
        image[path[0]] = copy.copy(sources[path[0]])
    elif path[0] == "commit":
        image |= {"container": "c", "commit": {}}
    elif path[0] == "archive":
        image["archive"] = "image.tar"
    else:
        image["dockerfile"] = "tool/Dockerfile"
    at = image
    for field in path[:-1]:
        at = at.setdefault(field, {})
    at[path[-1]] = value
    return image


def image_fields() -> Iterator[tuple[str, ...]]:
    for field in ImageSpec.__struct_fields__:
        below = {"snapshot": Snapshot, "commit": CommitSettings}.get(field)
        yield from ((field, name) for name in below.__struct_fields__) if below else ((field,),)
    yield from (("secrets", "s", name) for name in BuildSecret.__struct_fields__)


def values(field: object) -> list[Any]:
    """Return what a field gets: words, lists and mappings of words, and what is no text at all."""
    words = drawn(WORDS, field)
    listed = [[word] for word in words[::3]]
    mapped = [{word: "x"} for word in words[1::3]] + [{"x": word} for word in words[2::3]]
    return [*words, *listed, *mapped, *drawn(OTHER_THAN_WORDS, field)]


@pytest.mark.parametrize("field", [*image_fields()], ids=".".join)
def test_fields_of_images(trial, field):
    for value in values(field):
        (trial.folder / "images.yaml").write_bytes(as_yaml({"images": [image_with(field, value)]}))
        for command in (["plan"], ["status"], ["publish", "--all"], ["lint"]):
            trial.run(value, *command)


@pytest.mark.parametrize("field", ShockSettings.__struct_fields__)
def test_fields_of_the_shock(trial, field):
    for value in values(field):
        images = [{"name": NAME, "archive": "image.tar"}]
        (trial.folder / "images.yaml").write_bytes(as_yaml({"shock": {field: value}, "images": images}))
        for command in (["plan"], ["status"], ["publish", "--all"], ["ls"]):
            trial.run(value, *command)


def as_yaml(value: object) -> bytes:
    """Return YAML of the value: JSON is some. Halves of surrogate pairs become the bytes that they stand for."""
    return json.dumps(value, ensure_ascii=False).encode(errors="surrogateescape")


RECORDS = {
    "build.json": ["save", "build.json", "--archive=new.tar.gz", "--record=new.json"],
    "save.json": ["upload", "save.json", "--record=new.json"],
    "upload.json": ["register", "upload.json", "--record=new.json"],
    "receipt.json": ["sbom", "receipt.json", "--record=new.cdx.json"],
    "images.lock.json": ["verify"],
}


def places(document: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of everything that is in a JSON document."""
    if path:
        yield path
    if isinstance(document, dict | list):
        for key, value in document.items() if isinstance(document, dict) else enumerate(document):
            yield from places(value, (*path, key))


@pytest.mark.parametrize("record", RECORDS)
def test_records(trial, record):
    whole = json.loads((trial.folder / record).read_text())
    for path in places(whole):
        for value in drawn((*WORDS, *OTHER_THAN_WORDS), path)[:2]:
            document = copy.deepcopy(whole)
            at = document
            for key in path[:-1]:
                at = at[key]
            at[path[-1]] = value
            (trial.folder / record).write_bytes(as_yaml(document))
            trial.run((path, value), *RECORDS[record])
