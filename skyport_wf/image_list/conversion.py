"""Plain values of a YAML document made into values of ours, or all that hinders it."""

import difflib
import re
from typing import Any, TypeVar, get_args

import msgspec

from skyport_wf import decoding
from skyport_wf.image_list.mistakes import Mistake
from skyport_wf.image_list.spec import (
    DEFAULT_TOKEN_VARIABLE,
    Builder,
    BuildSecret,
    CommitSettings,
    ImageSpec,
    ShockSettings,
    Snapshot,
)
from skyport_wf.image_list.yaml_document import YamlDocument

_Kind = TypeVar("_Kind")
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(?P<field>[^`]*)`")
_MISSING_FIELD = re.compile(r"Object missing required field `(?P<field>[^`]*)`")
_ANY_KEY = "[...]"
"""How msgspec names a value of a free mapping, such as one of the build arguments."""
_MOST = 20
"""Mistakes of one part that are looked for."""
_NEVER_SHOWN = {
    # Whatever stands there may be the token itself.
    "$.shock.token_env": (
        f"expected the name of the variable that holds the token, such as {DEFAULT_TOKEN_VARIABLE}; never the token"
    ),
    "$.shock.auth": "expected one word, such as OAuth, Bearer or basic; never the token",
}


def convert(value: Any, kind: type[_Kind], document: YamlDocument, path: str) -> tuple[_Kind | None, list[Mistake]]:
    """Return a part of the document as a value of ours, and all mistakes in it.

    path: where the part stands. The value is what is left without the fields that are wrong; None if that is nothing.
    """
    mistakes: list[Mistake] = []
    gone: set[str] = set()
    while True:
        try:
            return decoding.convert(value, kind), mistakes
        except msgspec.ValidationError as error:
            problem, _, where = str(error).partition(" - at `")
        # Of a mapping's key, msgspec says "at `key` in `PATH`".
        where = where.rpartition(" in `")[2].rstrip("`") or "$"
        missing, unknown = _MISSING_FIELD.match(problem), _UNKNOWN_FIELD.match(problem)
        # It is not missing if it was left out above, or stands there by a misspelt name.
        if missing and any(other.rpartition(".")[0] == where for other in gone):
            return None, mistakes
        if unknown:
            where = f"{where}.{unknown['field']}"
        left = None if missing else _without(value, where)
        gone.add(where)
        if where.endswith(_ANY_KEY):
            where = _first_that_is_not_text(value, where.removesuffix(_ANY_KEY))
        mistakes.append(_explain(problem, path + where.removeprefix("$"), document, unknown=bool(unknown)))
        # msgspec tells the first mistake alone; the next shows without it.
        if left is None or len(mistakes) >= _MOST:
            return None, mistakes
        value = left


def _without(value: Any, path: str) -> Any:
    """Return a copy of the value without the field at `path`, None if that is all of it.

    Of a list and of a free mapping, whose keys may have any signs in them, all is left out.
    """
    path, _, _ = path.partition("[")
    keys = path.split(".")[1:]
    if not keys:
        return None
    copy = place = dict(value)
    for key in keys[:-1]:
        place[key] = place = dict(place[key])
    return copy if place.pop(keys[-1], _without) is not _without else None


def _explain(problem: str, path: str, document: YamlDocument, *, unknown: bool) -> Mistake:
    """Return the mistake in our words."""
    place = document.place_of(path)
    field = path.rpartition(".")[2].removeprefix("$") or "the file"
    if unknown:
        allowed = _fields_allowed_at(path.rpartition(".")[0])
        near = difflib.get_close_matches(field, allowed, n=1)
        instead = f"; did you mean `{near[0]}`?" if near else f". Allowed here: {', '.join(allowed)}."
        return Mistake(place, f", field {field}: unknown{instead}")
    if path in _NEVER_SHOWN:
        return Mistake(place, f", field {field}: {_NEVER_SHOWN[path]}")
    if path.endswith(".builder"):
        problem = f"expected {', '.join(get_args(Builder))}"
    if path.endswith(".platform"):
        problem = "expected text such as linux/amd64 or linux/arm64/v8"
    hint = ""
    if problem.startswith(("Expected `str`, got", "Expected `str | null`, got")) and document.texts.get(path):
        hint = f'. Quote it: "{document.texts[path]}"'
    return Mistake(place, f", field {field}: {in_yaml_words(problem)}{hint}")


def _fields_allowed_at(path: str) -> tuple[str, ...]:
    if path == "$.shock":
        return ShockSettings.__struct_fields__
    if path.endswith(".snapshot"):
        return Snapshot.__struct_fields__
    if path.endswith(".commit"):
        return CommitSettings.__struct_fields__
    if ".secrets." in path or path.endswith(".secrets[...]"):
        return BuildSecret.__struct_fields__
    return ImageSpec.__struct_fields__ if path.startswith("$.images[") else ("images", "shock")


def in_yaml_words(problem: str) -> str:
    """Return what msgspec says of a value, in words for those who write YAML."""
    words = {
        "`str`": "text", "`bool`": "true or false",
        "`int`": "a whole number", "`float`": "a number",
        "`object`": "a mapping", "`array`": "a list", "`null`": "nothing",
        "object missing required field": "the required field is missing:",
    }  # fmt: skip
    problem = problem[:1].lower() + problem[1:].replace(" | null`", "`")
    for python, word in words.items():
        problem = problem.replace(python, word)
    return problem


def _first_that_is_not_text(value: Any, path: str) -> str:
    """Return the path of the value that msgspec refused in the free mapping at `path`."""
    for key, index in re.findall(r"\.([^.\[\]]+)|\[(\d+)\]", path):
        value = value[int(index)] if index else value[key]
    wrong = next((key for key, item in value.items() if not isinstance(item, str)), "")
    return f"{path}.{wrong}"
