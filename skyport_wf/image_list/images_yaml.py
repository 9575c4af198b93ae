"""Reading `images.yaml`, and saying what is wrong with it: which line, which field, what is allowed."""

import difflib
import re
from pathlib import Path
from typing import Any, get_args

import msgspec

from skyport_wf.child_environment import hide_from_children
from skyport_wf.errors import UsageError
from skyport_wf.image_list.addresses import find_wrong_address
from skyport_wf.image_list.reference import parse_reference
from skyport_wf.image_list.spec import (
    DEFAULT_TOKEN_VARIABLE,
    SOURCES,
    Builder,
    BuildSecret,
    CommitSettings,
    ImageList,
    ImageSpec,
    ShockSettings,
    Snapshot,
    check_shock_url,
)
from skyport_wf.image_list.yaml_document import YamlDocument, parse_yaml
from skyport_wf.input_file import read_bounded

_ONLY_OF_A_BUILD = (
    "context", "build_args", "target", "platform", "network", "pull", "no_cache", "labels", "secrets", "ssh",
)  # fmt: skip
_LARGEST = 2 << 20
"""Bytes of an image list that are read: that of ten thousand images has less."""
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(?P<field>[^`]*)`")
_ANY_KEY = "[...]"
"""How msgspec names a value of a free mapping, such as one of the build arguments."""


def read_image_list(path: Path) -> ImageList:
    """Return the image list in the file `path`.

    Raises UsageError, with the line and the field, if it cannot be read or is wrong.
    """
    try:
        text = read_bounded(path, _LARGEST).decode()
    except FileNotFoundError as error:
        raise UsageError(f"there is no {path}. `skyport-wf init` writes one, or name another with --images.") from error
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UsageError(f"{path}, line {line}: not UTF-8. Save it as UTF-8 text.") from error
    images = parse_image_list(text, name=str(path))
    if images.shock.ca_bundle is None:
        return images
    # Seen from the list, like its other paths; the settings travel on, in records, to where the list is not known.
    bundle = str((path.parent / images.shock.ca_bundle).absolute())
    return msgspec.structs.replace(images, shock=msgspec.structs.replace(images.shock, ca_bundle=bundle))


def parse_image_list(text: str, *, name: str = "images.yaml") -> ImageList:
    """Return the image list that `text` spells; `name` is what messages call it.

    Raises UsageError, with the line and the field, if anything is wrong.
    """
    document = parse_yaml(text, name=name)
    try:
        images = msgspec.convert(document.value, ImageList)
    except msgspec.ValidationError as error:
        raise _explain(error, document, name) from error
    _check(images, document, name)
    hide_from_children(images.shock.token_env)
    return images


def _check(images: ImageList, document: YamlDocument, name: str) -> None:
    """Raise UsageError for what the types alone cannot say."""
    taken: dict[str, tuple[str, int]] = {}
    for index, image in enumerate(images.images):
        path = f"$.images[{index}]"
        line = document.line_of(f"{path}.name")
        try:
            key = image.reference.key
        except UsageError as error:
            raise UsageError(f"{name}, line {line}, field name: {error}") from error
        if key in taken:
            other, first = taken[key]
            what = "stands" if other == image.name else f"makes the same file name {key!r} as {other!r}, which stands"
            raise UsageError(f"{name}, line {line}, field name: {image.name!r} {what} on line {first} already")
        taken[key] = (image.name, line)
        _check_fields(image, path, document, name)
    for field in ("url", "public_url"):
        if url := getattr(images.shock, field):
            check_shock_url(url, where=f"{name}, line {document.line_of(f'$.shock.{field}')}, field {field}")


def _check_fields(image: ImageSpec, path: str, document: YamlDocument, name: str) -> None:
    if len(image.sources) != 1:
        said = f"has {' and '.join(image.sources)}" if image.sources else "says nothing of where it comes from"
        line = document.line_of(path)
        raise UsageError(f"{name}, line {line}, image {image.name}: {said}. Give exactly one of {', '.join(SOURCES)}.")

    def refuse(field: str, why: str) -> UsageError:
        return UsageError(f"{name}, line {document.line_of(f'{path}.{field}')}, field {field}: {why}")

    if image.base:
        try:
            parse_reference(image.base)
        except UsageError as error:
            raise refuse("base", str(error)) from error
        if image.flatten:
            why = f"with `flatten`, {image.name} has one layer, and none of its base's. Remove one of the two fields."
            raise refuse("base", why)
        if image.source == "archive":
            why = f"an archive is published as it is, and {image.name} comes from one. Remove the field."
            raise refuse("base", why)
    for field in _ONLY_OF_A_BUILD:
        if getattr(image, field) and image.source != "dockerfile":
            why = f"only an image with a `dockerfile` is built, {image.name} has `{image.source}`. Remove the field."
            raise refuse(field, why)
    if image.commit != CommitSettings() and image.source not in ("snapshot", "container"):
        raise refuse("commit", f"only a container is committed, {image.name} has `{image.source}`. Remove the field.")
    if image.flatten and image.source == "archive":
        raise refuse("flatten", f"an archive is published as it is, and {image.name} comes from one. Remove the field.")
    for secret, place in image.secrets.items():
        if bool(place.env) == bool(place.file):
            raise refuse(f"secrets.{secret}", "give either `env`, a variable, or `file`")
    if wrong := find_wrong_address(image.dockerfile, image.context):
        raise refuse(*wrong)


def _explain(error: msgspec.ValidationError, document: YamlDocument, name: str) -> UsageError:
    """Return a message of ours for one of msgspec's."""
    problem, _, path = str(error).partition(" - at `")
    # Of a mapping's key, msgspec says "at `key` in `PATH`".
    path = path.rpartition(" in `")[2].rstrip("`") or "$"
    if path == "$.shock.token_env":
        # Whatever stands there may be the token itself, so it is not shown.
        why = f"expected the name of the variable that holds the token, such as {DEFAULT_TOKEN_VARIABLE}"
        return UsageError(f"{name}, line {document.line_of(path)}, field token_env: {why}; never the token")
    if unknown := _UNKNOWN_FIELD.match(problem):
        return _explain_unknown_field(unknown["field"], path, document, name)
    if path.endswith(_ANY_KEY):
        path = _first_that_is_not_text(document.value, path.removesuffix(_ANY_KEY))
    if path == "$.shock.auth":
        why = "expected one word, such as OAuth, Bearer or basic"
        return UsageError(f"{name}, line {document.line_of(path)}, field auth: {why}; never the token")
    if path.endswith(".builder"):
        problem = f"expected {', '.join(get_args(Builder))}"
    field = path.rpartition(".")[2].removeprefix("$") or "the file"
    hint = ""
    if problem.startswith(("Expected `str`, got", "Expected `str | null`, got")) and document.texts.get(path):
        hint = f'. Quote it: "{document.texts[path]}"'
    line = document.line_of(path)
    return UsageError(f"{name}, line {line}, field {field}: {_in_yaml_words(problem)}{hint}")


def _explain_unknown_field(field: str, path: str, document: YamlDocument, name: str) -> UsageError:
    allowed = _fields_allowed_at(path)
    near = difflib.get_close_matches(field, allowed, n=1)
    suggestion = f"; did you mean `{near[0]}`?" if near else "."
    line = document.line_of(f"{path}.{field}")
    return UsageError(f"{name}, line {line}, field {field}: unknown{suggestion} Allowed here: {', '.join(allowed)}.")


def _fields_allowed_at(path: str) -> tuple[str, ...]:
    if path == "$.shock":
        return ShockSettings.__struct_fields__
    if path.endswith(".snapshot"):
        return Snapshot.__struct_fields__
    if path.endswith(".commit"):
        return CommitSettings.__struct_fields__
    if ".secrets." in path or path.endswith(".secrets[...]"):
        return BuildSecret.__struct_fields__
    return ImageSpec.__struct_fields__ if path.startswith("$.images[") else ImageList.__struct_fields__


def _in_yaml_words(problem: str) -> str:
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
