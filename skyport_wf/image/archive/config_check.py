"""An image's config as Docker reads it, which is stricter than what this package needs of it.

Docker decodes all of it into Go's types when it loads an image, and refuses the image for one value that does not fit.
Each type was tried on Docker 20.10 (types `image.Image` and `container.Config`; package encoding/json).
"""

import json
import re
from calendar import monthrange
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple

from skyport_wf.formatting import count, shortened
from skyport_wf.image.archive.go_json import read_like_go
from skyport_wf.image.archive.manifest import parse_config
from skyport_wf.image.layers.loading import LoadProblem

_MOST: Final = 20
"""Problems that are named."""
_SHOWN: Final = 60
"""Letters of a value that are shown."""
_RFC_3339: Final = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})T"
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})([.,][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})"
)
"""RFC 3339 as Go's `time.Parse` takes it: an hour of one digit, too, but no small letters."""


class _Kind(NamedTuple):
    """What a value has to be, if it is not null."""

    name: str
    fits: Callable[[Any], bool]


def _is_integer(value: Any) -> bool:
    # 1.0 and 1e3 are numbers with a point to Go.
    return isinstance(value, int) and not isinstance(value, bool) and -(1 << 63) <= value < 1 << 63


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and all(one is None or isinstance(one, str) for one in value)


def _is_set(value: Any) -> bool:
    return isinstance(value, dict) and all(one is None or isinstance(one, dict) for one in value.values())


def _is_object_of_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(one is None or isinstance(one, str) for one in value.values())


def _is_time(value: Any) -> bool:
    found = _RFC_3339.fullmatch(value) if isinstance(value, str) else None
    if not found:
        return False
    year, month, day, hour, minute, second = (
        int(found[part]) for part in ("year", "month", "day", "hour", "minute", "second")
    )
    is_day = 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]
    return is_day and hour < 24 and minute < 60 and second < 60


_TEXT: Final = _Kind("a text", lambda value: isinstance(value, str))
_FLAG: Final = _Kind("true or false", lambda value: isinstance(value, bool))
_INTEGER: Final = _Kind("an integer", _is_integer)
_LIST: Final = _Kind("a list of texts", _is_list)
_COMMAND: Final = _Kind("a text or a list of texts", lambda value: isinstance(value, str) or _is_list(value))
_SET: Final = _Kind("an object of objects", _is_set)
_TEXTS: Final = _Kind("an object of texts", _is_object_of_texts)
_TIME: Final = _Kind("a time such as 2024-02-03T04:05:06Z", _is_time)

_Fields = Mapping[str, "_Kind | _Fields | list[_Fields]"]

_HEALTH_CHECK: Final[_Fields] = {
    "Test": _LIST, "Interval": _INTEGER, "Timeout": _INTEGER, "StartPeriod": _INTEGER, "Retries": _INTEGER
}  # fmt: skip
_SETTINGS: Final[_Fields] = {
    **dict.fromkeys(("Hostname", "Domainname", "User", "Image", "WorkingDir", "MacAddress", "StopSignal"), _TEXT),
    **dict.fromkeys(("AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce"), _FLAG),
    **dict.fromkeys(("ArgsEscaped", "NetworkDisabled"), _FLAG),
    **dict.fromkeys(("Env", "OnBuild"), _LIST),
    **dict.fromkeys(("Cmd", "Entrypoint", "Shell"), _COMMAND),
    **dict.fromkeys(("ExposedPorts", "Volumes"), _SET),
    "Labels": _TEXTS,
    "StopTimeout": _INTEGER,
    "Healthcheck": _HEALTH_CHECK,
}
_CONFIG: Final[_Fields] = {
    **dict.fromkeys(("id", "parent", "comment", "container", "docker_version", "author"), _TEXT),
    **dict.fromkeys(("architecture", "variant", "os", "os.version"), _TEXT),
    "os.features": _LIST,
    "Size": _INTEGER,
    "created": _TIME,
    "config": _SETTINGS,
    "container_config": _SETTINGS,
    "rootfs": {"type": _TEXT, "diff_ids": _LIST},
    "history": [{"created": _TIME, "created_by": _TEXT, "author": _TEXT, "comment": _TEXT, "empty_layer": _FLAG}],
}


def check_config(document: bytes) -> list[LoadProblem]:
    """Return the reasons in an image's config why no Docker loads the image, the first of them.

    document: one that `parse_config` reads.
    """
    found = [
        f"`{path}` in its config is {_shown(value)}, and Docker takes only {wanted} there"
        for path, value, wanted in islice(_misfits(read_like_go(document), _CONFIG, ""), _MOST)
    ]
    config = parse_config(document)
    layers = len(config.rootfs.diff_ids or ())
    steps = sum(not step.empty_layer for step in config.history or ())
    # Fewer are no problem: some builders write none.
    if steps > layers:
        found.append(f"its config tells of {count(steps, 'step')} that made a layer, and has {count(layers, 'layer')}")
    return [LoadProblem(0, "", reason) for reason in found]


def spell_fields(value: Any, fields: _Fields = _CONFIG) -> Any:
    """Return an image's config with each field's name as Docker writes it, which reads them whatever their case.

    value: as `read_like_go` returns it. Of several keys that are one field, the last that is not null counts.
    """
    if not isinstance(value, dict):
        return value
    names = {name.lower(): name for name in fields}
    spelled: dict[str, Any] = {}
    for key, found in value.items():
        name = names.get(key.lower()) or key
        kind = fields.get(name)
        if isinstance(kind, list) and isinstance(found, list):
            spelled[name] = [spell_fields(one, kind[0]) for one in found]
        elif found is not None:
            spelled[name] = spell_fields(found, kind) if isinstance(kind, Mapping) else found
    return spelled


def _misfits(value: Any, fields: _Fields, above: str) -> Iterator[tuple[str, Any, str]]:
    """Yield path and value of what does not fit, and what it should be."""
    if not isinstance(value, dict):
        yield above, value, "an object"
        return
    kinds = {name.lower(): kind for name, kind in fields.items()}
    for key, found in value.items():
        kind = kinds.get(key.lower())
        path = f"{above}.{key}" if above else key
        if kind is None or found is None:
            continue
        if isinstance(kind, _Kind):
            if not kind.fits(found):
                yield path, found, kind.name
        elif isinstance(kind, list):
            if not isinstance(found, list):
                yield path, found, "a list"
                continue
            for number, one in enumerate(found):
                if one is not None:
                    yield from _misfits(one, kind[0], f"{path}[{number}]")
        else:
            yield from _misfits(found, kind, path)


def _shown(value: Any) -> str:
    return shortened(json.dumps(value, ensure_ascii=False), _SHOWN)
