"""Values of given types, made of JSON, MessagePack or plain objects; safe in any thread.

Everything here is msgspec's, and raises what that raises.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, overload

import msgspec

if TYPE_CHECKING:
    from msgspec import inspect

_Value = TypeVar("_Value")

_learning = threading.Lock()
_learned: set[Any] = set()


def convert(value: object, kind: type[_Value], *, strict: bool = True) -> _Value:
    """Return a plain value, of dicts and lists, as one of this type. Raises msgspec.ValidationError.

    strict: whether a text with a number in it is no number.
    """
    _learn(kind)
    return msgspec.convert(value, kind, strict=strict)  # noqa: TID251


@overload
def decode_json(content: bytes | str) -> Any: ...
@overload
def decode_json(content: bytes | str, kind: type[_Value]) -> _Value: ...
def decode_json(content: bytes | str, kind: Any = Any) -> Any:
    """Return the value of a JSON document. Raises msgspec.DecodeError, or UnicodeDecodeError."""
    _learn(kind)
    return msgspec.json.decode(content, type=kind)  # noqa: TID251


def decode_msgpack(content: bytes, kind: type[_Value]) -> _Value:
    """Return the value of a MessagePack document. Raises msgspec.DecodeError."""
    _learn(kind)
    return msgspec.msgpack.decode(content, type=kind)  # noqa: TID251


@cache
def parts_of(kind: type) -> inspect.Type:
    """Return what a type is made of; finding that out takes longer than reading a document."""
    from msgspec import inspect

    # msgspec makes a decoder for that, so it meets the type's structs here too.
    _learn(kind)
    with _learning:
        return inspect.type_info(kind)  # noqa: TID251


def _learn(kind: Any) -> None:
    """Let msgspec work out a type, which it does when it first meets one.

    If two threads meet the same type for the first time, one of them reads what the other has half written, and the
    process crashes (msgspec 0.22).
    """
    if kind not in _learned:
        with _learning:
            msgspec.json.Decoder(kind)  # noqa: TID251
            _learned.add(kind)
