"""Plain values of a YAML document made into values of ours, or all that hinders it."""

import bisect
import functools
import operator
import re
from collections.abc import Collection
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
from skyport_wf.image_list.yaml_document import YamlDocument, field_of
from skyport_wf.near_words import near_words

_Kind = TypeVar("_Kind")
_TOLD = re.compile(r"(?P<problem>.*?)(?: - at `(?P<of_key>key` in `)?(?P<where>\$[^`]*)`)?", re.DOTALL)
"""What msgspec tells: what is wrong, and where, or in which mapping a key is."""
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(?P<field>[^`]*)`")
_MISSING_FIELD = re.compile(r"Object missing required field `(?P<field>[^`]*)`")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
"""A step on msgspec's way to a value: a field, the number of an item, or `...` for a key of a free mapping, such as the
build arguments are."""
_Steps = tuple[str | int, ...]
"""The way to a part of a value, by keys and numbers."""
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
    if not _refusal(value, kind):
        return decoding.convert(value, kind), []
    mistakes: list[Mistake] = []
    gone: set[_Steps] = set()
    value = _with_other_quotes(value)
    while (told := _refusal(value, kind)) and (parts := _TOLD.fullmatch(told)) and len(mistakes) < _MOST:
        problem, of_key, where = parts.groups(default="")
        steps = _steps_to(where, value, kind, told)
        missing, unknown = _MISSING_FIELD.match(problem), _UNKNOWN_FIELD.match(problem)
        if unknown:
            steps = (*steps, unknown["field"])
        written = _as_written(steps, gone)
        # It is not missing if it was left out above, or stands there by a misspelt name.
        if not (missing and any(other[:-1] == written for other in gone)):
            at = path + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in written)
            if of_key and (keys := document.other_keys.get(at)):
                # Of a key in a mapping with any names, msgspec tells what kind it is.
                mistakes += [_explain_key(key, at, document, of_struct="got" not in problem) for key in keys]
            else:
                mistakes.append(_explain(problem, at, document, unknown=bool(unknown)))
        # msgspec tells the first mistake alone; the next shows without it.
        if of_key:
            value = _put(value, steps, {key: item for key, item in _at(value, steps).items() if isinstance(key, str)})
        elif steps:
            value = _without(value, steps)
            gone.add(written)
        else:
            return None, mistakes
    return (None if told else decoding.convert(value, kind)), mistakes


def _with_other_quotes(value: Any) -> Any:
    """Return a copy of the value without "`" in keys: in what msgspec tells, those could not be told from its own."""
    if isinstance(value, dict):
        return {
            key.replace("`", "'") if isinstance(key, str) else key: _with_other_quotes(item)
            for key, item in value.items()
        }
    return list(map(_with_other_quotes, value)) if isinstance(value, list) else value


def _refusal(value: Any, kind: type[Any]) -> str:
    """Return what msgspec says against the value, or an empty text."""
    try:
        decoding.convert(value, kind)
    except msgspec.ValidationError as error:
        return str(error)
    return ""


def _steps_to(where: str, value: Any, kind: type[Any], told: str) -> _Steps:
    """Return the way to the place in the value that msgspec calls `where` in what it told."""
    steps: _Steps = ()
    for field, index in _STEP.findall(where):
        step = field or (int(index) if index.isdigit() else _first_refused(value, steps, kind, told))
        steps = (*steps, step)
    return steps


def _first_refused(value: Any, steps: _Steps, kind: type[Any], told: str) -> str:
    """Return the key of what msgspec refuses in the free mapping to which the steps lead, as it told without the key.

    Beside it, other parts of the value may be wrong.
    """
    entries = list(_at(value, steps).items())

    def is_refused(last: int) -> bool:
        return _refusal(_put(value, steps, dict(entries[: last + 1])), kind) == told

    return str(entries[bisect.bisect_left(range(len(entries)), True, key=is_refused)][0])


def _as_written(steps: _Steps, gone: Collection[_Steps]) -> _Steps:
    """Return the steps as they were in the whole value: what is gone from a list counts there, too."""
    if not steps or not isinstance(steps[-1], int):
        return steps
    above, last = steps[:-1], steps[-1]
    for index in sorted(int(other[-1]) for other in gone if other[:-1] == above):
        last += index <= last
    return (*above, last)


def _at(value: Any, steps: _Steps) -> Any:
    return functools.reduce(operator.getitem, steps, value)


def _put(value: Any, steps: _Steps, part: Any) -> Any:
    """Return a copy of the value with `part` in the place to which the steps lead."""
    if not steps:
        return part
    copy = value.copy()
    copy[steps[0]] = _put(value[steps[0]], steps[1:], part)
    return copy


def _without(value: Any, steps: _Steps) -> Any:
    """Return a copy of the value without the field, entry or item to which the steps lead."""
    above, last = steps[:-1], steps[-1]
    part = _at(value, above)
    if isinstance(last, int):
        return _put(value, above, [item for index, item in enumerate(part) if index != last])
    return _put(value, above, {key: item for key, item in part.items() if key != last})


def _explain_key(key: str, path: str, document: YamlDocument, *, of_struct: bool) -> Mistake:
    """Return what to do about a key that is no text, as it was written in the mapping of this path."""
    at = f"{path}.{key}"
    # With quotes, it would be no field either.
    if of_struct:
        return _explain("", at, document, unknown=True)
    return Mistake(document.place_of(at), f', field {field_of(path)}: the key `{key}` is no text. Quote it: "{key}"')


def _explain(problem: str, path: str, document: YamlDocument, *, unknown: bool) -> Mistake:
    """Return the mistake in our words."""
    place = document.place_of(path)
    field = field_of(path)
    if unknown:
        allowed = _fields_allowed_at(path.rpartition(".")[0])
        near = near_words(field, allowed)
        instead = f"; did you mean `{near[0]}`?" if near else f". Allowed here: {', '.join(allowed)}."
        return Mistake(place, f", field {field}: unknown{instead}")
    if path in _NEVER_SHOWN:
        return Mistake(place, f", field {field}: {_NEVER_SHOWN[path]}")
    if re.fullmatch(r"\$\.images\[\d+\]\.builder", path):
        problem = f"expected {', '.join(get_args(Builder))}"
    if re.fullmatch(r"\$\.images\[\d+\]\.platform", path):
        problem = "expected text such as linux/amd64 or linux/arm64/v8"
    hint = ""
    if problem.startswith(("Expected `str`, got", "Expected `str | null`, got")) and document.texts.get(path):
        hint = f'. Quote it: "{document.texts[path]}"'
    return Mistake(place, f", field {field}: {in_yaml_words(problem)}{hint}")


def _fields_allowed_at(path: str) -> tuple[str, ...]:
    if ".secrets." in path:
        return BuildSecret.__struct_fields__
    if path == "$.shock":
        return ShockSettings.__struct_fields__
    if path.endswith(".snapshot"):
        return Snapshot.__struct_fields__
    if path.endswith(".commit"):
        return CommitSettings.__struct_fields__
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
