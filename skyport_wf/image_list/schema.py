"""The JSON Schema of `images.yaml`, made from the types that read it: editors complete and check with it."""

import ast
import inspect
from typing import Any

import msgspec

from skyport_wf.image_list import spec
from skyport_wf.image_list.spec import NAME_OF_A_VALUE, NAMED_VALUES, SOURCES, ImageSpec, ShockSettings

SCHEMA_FILE = "images.schema.json"
"""Its name beside an image list."""
_REF = "#/$defs/{name}"


def make_schema() -> dict[str, Any]:
    """Return the schema. What depends on several fields, on names and on files only the reader can tell."""
    _, parts = msgspec.json.schema_components([ImageSpec, ShockSettings], ref_template=_REF)
    texts = _field_texts()
    for name, part in parts.items():
        for field, described in part.get("properties", {}).items():
            if text := texts.get((name, field)):
                described["description"] = text
    # One of them, and a field that is there without a value is not set.
    parts["ImageSpec"]["oneOf"] = [_has(source) for source in SOURCES]
    for field in NAMED_VALUES:
        parts["ImageSpec"]["properties"][field]["propertyNames"] = {"pattern": NAME_OF_A_VALUE}
    parts["BuildSecret"]["oneOf"] = [_has("env"), _has("file")]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Image list of skyport-wf",
        "description": "Images to publish, and the Shock that they go to. Top-level keys that begin with x- are yours.",
        "type": "object",
        "properties": {
            "images": {
                "type": "array", "minItems": 1, "items": {"$ref": _REF.format(name="ImageSpec")},
                "description": "The images, in any order.",
            },
            "shock": {"$ref": _REF.format(name="ShockSettings")},
        },
        "required": ["images"],
        "patternProperties": {"^x-": True},
        "additionalProperties": False,
        "$defs": parts,
    }  # fmt: skip


def _has(field: str) -> dict[str, Any]:
    return {"required": [field], "properties": {field: {"not": {"type": "null"}}}}


def _field_texts() -> dict[tuple[str, str], str]:
    """Return the docstring under each field, by class and field: Python itself does not keep them."""
    texts = {}
    for kind in ast.parse(inspect.getsource(spec)).body:
        if not isinstance(kind, ast.ClassDef):
            continue
        for field, below in zip(kind.body, kind.body[1:], strict=False):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    texts[kind.name, name] = inspect.cleandoc(text).replace("\n", " ")
    return texts
