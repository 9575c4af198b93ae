"""Config and history of two images compared, without times and ids, which no two builds have in common.

Source: OCI image-spec, config.md; other fields are the classic builder's and BuildKit's own.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any, Final

import msgspec

from skyport_wf.decoding import convert
from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive.config_check import spell_fields
from skyport_wf.image.archive.go_json import read_like_go

_NOT_COMPARED: Final = frozenset(
    {
        "created", "history", "rootfs", "config",  # times; the others are looked into below
        "id", "parent", "container", "container_config",  # the classic builder's: the last step's, not the image's
        "docker_version", "moby.buildkit.buildinfo.v1", "moby.buildkit.cache.v0",
    }
)  # fmt: skip
_NOT_COMPARED_SETTINGS: Final = frozenset({"Hostname", "Image", "ArgsEscaped"})
"""Of a container that was committed, its id and the id or name of its image; and a field for Windows alone."""
_FLATTENED: Final = re.compile(r"flattened sha256:[0-9a-f]{64}")
_BUILDERS_COMMENT: Final = re.compile(r"buildkit\.dockerfile\.v0|FROM \S+")
"""BuildKit notes the first with each step, podman the second with a step on an image: its id, or one of its names."""


class MetadataChange(msgspec.Struct, frozen=True):
    """Something that the images say differently of themselves."""

    field: str
    """As Docker writes it in a config, such as `Entrypoint`, `Env PATH`, `Labels org.example.x`, `history 3`."""
    published: str | None
    """Texts as they are, anything else as JSON; None if the image does not say it."""
    rebuilt: str | None


def compare_metadata(published: bytes, rebuilt: bytes) -> tuple[MetadataChange, ...]:
    """Return the fields in which the images differ, by name.

    published, rebuilt: the images' config JSON, byte for byte.
    Raises ArchiveError if one cannot be read.
    """
    before, after = _decode(published), _decode(rebuilt)
    ours, theirs = dict(_fields(before)), dict(_fields(after))
    names = sorted({**ours, **theirs})
    changes = [
        MetadataChange(name, ours.get(name), theirs.get(name)) for name in names if ours.get(name) != theirs.get(name)
    ]
    return (*changes, *_compare_history(_steps(before), _steps(after)))


def _decode(config: bytes) -> Mapping[str, Any]:
    try:
        return convert(spell_fields(read_like_go(config)), dict[str, Any])
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"an image's config cannot be read: {error}. Save the image again.") from error


def _fields(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield name and value of each field that says something."""
    for name, value in config.items():
        if name not in _NOT_COMPARED and value:
            yield name, _text(value)
    settings = config.get("config")
    for name, value in settings.items() if isinstance(settings, dict) else ():
        if name not in _NOT_COMPARED_SETTINGS:
            yield from _settings(name, value)
    rootfs = config.get("rootfs")
    yield "layers", str(len(rootfs.get("diff_ids") or ()) if isinstance(rootfs, dict) else 0)


def _settings(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield name and value of a setting: variables and labels one by one, as their order means nothing."""
    if name == "Env" and isinstance(value, list):
        for variable, _, text in (str(entry).partition("=") for entry in value):
            yield f"Env {variable}", text
    elif name == "Labels" and isinstance(value, dict):
        for label, text in value.items():
            yield f"Labels {label}", _text(text)
    # Without a working directory, one builder writes `/` and another nothing, which means the same.
    elif value and (name, value) != ("WorkingDir", "/"):
        yield name, _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value, order="sorted").decode()


def _steps(config: Mapping[str, Any]) -> list[str]:
    history = config.get("history")
    return [_step(entry) for entry in history if isinstance(entry, dict)] if isinstance(history, list) else []


def _step(entry: Mapping[str, Any]) -> str:
    """Return a step of the history as text: its command alone, if it says nothing else that counts."""
    said = {name: value for name, value in entry.items() if name not in ("created", "empty_layer") and value}
    if _BUILDERS_COMMENT.fullmatch(str(said.get("comment", ""))):
        del said["comment"]
    if "created_by" in said:
        # Without the id of the image that was flattened.
        said["created_by"] = _FLATTENED.sub("flattened", str(said["created_by"]))
    return said["created_by"] if said.keys() == {"created_by"} else _text(said)


def _compare_history(published: list[str], rebuilt: list[str]) -> Iterator[MetadataChange]:
    """Yield the steps that differ, between those at the beginning and the end that both have."""
    start, end = _in_common(published, rebuilt), 0
    end = _in_common(published[start:][::-1], rebuilt[start:][::-1])
    before, after = published[start : len(published) - end], rebuilt[start : len(rebuilt) - end]
    for number, (ours, theirs) in enumerate(zip_longest(before, after), start + 1):
        if ours != theirs:
            yield MetadataChange(f"history {number}", ours, theirs)


def _in_common(left: list[str], right: list[str]) -> int:
    """Return how many of the first are the same."""
    differ = (at for at, (ours, theirs) in enumerate(zip(left, right, strict=False)) if ours != theirs)
    return next(differ, min(len(left), len(right)))
