"""JSON as programs in Go read it, docker among them.

Keys match whatever their case, null is as if it were not there, and bytes that are no UTF-8 become replacement
characters, as does one half of a surrogate pair without the other. Source: the documentation of Go's package
encoding/json, "Unmarshal".
"""

import re
from typing import Any, Final, TypeVar

from msgspec import inspect

from skyport_wf.decoding import convert, decode_json, parts_of

Document = TypeVar("Document")

_MAX_VALUES: Final = 1_000_000
"""Values in a document, as each takes memory: the config of a real image has a few thousand."""
_ESCAPE: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)
"""What a backslash begins; both halves of a pair are one."""


def decode_like_go(document: bytes, kind: type[Document]) -> Document:
    """Return the document as a value of `kind`. Raises ValueError or RecursionError if it is none."""
    # mypy takes a type variable's type for one that has no hash.
    fitting = _fit(read_like_go(document), parts_of(kind))  # type: ignore[arg-type]
    return convert(fitting, kind)


def read_like_go(document: bytes) -> Any:
    """Return the document as plain values, its keys as they are. Raises ValueError or RecursionError if it is none."""
    if document.count(b",") > _MAX_VALUES:
        raise ValueError(f"it has more than {_MAX_VALUES:,} values")
    text = document.decode(errors="replace")
    # Few documents have any, and to look at each escape takes a while.
    if "\\ud" in text or "\\uD" in text:
        text = _ESCAPE.sub(lambda match: "\ufffd" if match["half"] else match[0], text)
    return decode_json(text)


def _fit(value: Any, kind: inspect.Type) -> Any:
    """Return the value with the keys that `kind` has, and something empty for each null."""
    if isinstance(kind, inspect.UnionType):
        kind = next(other for other in kind.types if not isinstance(other, inspect.NoneType))
    if isinstance(kind, inspect.StructType) and isinstance(value, dict):
        fields = {field.encode_name.lower(): field for field in kind.fields}
        return {
            field.encode_name: _fit(found, field.type)
            for key, found in value.items()
            if found is not None and (field := fields.get(key.lower()))
        }
    if isinstance(kind, inspect.DictType) and isinstance(value, dict):
        return {key: "" if found is None else _fit(found, kind.value_type) for key, found in value.items()}
    if isinstance(kind, inspect.VarTupleType) and isinstance(value, list):
        empty = {} if isinstance(kind.item_type, inspect.StructType) else ""
        return [empty if found is None else _fit(found, kind.item_type) for found in value]
    return value
