"""Configs that Docker refuses to load: each was tried on Docker 20.10."""

import io
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive.config_check import check_config
from skyport_wf.image.archive.layers import check_archive
from skyport_wf.image.archive.manifest import parse_config
from skyport_wf.image.examination.examine import examine_archive
from tests.support.docker_archives import Image, file_member, layer_tar, manifest_of, tar_of

LAYER = layer_tar({"bin/bash": b"bash"})
CONFIG: dict[str, Any] = {"rootfs": {"type": "layers", "diff_ids": ["sha256:" + "1" * 64]}}
VALUES = (
    'null "x" "" 5 0 1.5 1.0 1e3 -0 true ["x"] [] [5] [null] {} {"a":{}} {"a":null} {"a":"b"} {"a":5} {"a":[]} '
    "9223372036854775808 9223372036854775807 -9223372036854775808 -9223372036854775809"
)
TEXTS, FLAGS = '"x" ""', "true"
INTEGERS = "5 0 -0 9223372036854775807 -9223372036854775808"
LISTS, SETS = '["x"] [] [null]', '{} {"a":{}} {"a":null}'
OBJECTS = f'{SETS} {{"a":"b"}} {{"a":5}} {{"a":[]}}'


def reasons(config: bytes | dict[str, Any]) -> list[str]:
    """Return what is wrong with a config; it may be that it cannot be read at all."""
    document = config if isinstance(config, bytes) else json.dumps(config).encode()
    try:
        parse_config(document)
        return [str(problem) for problem in check_config(document)]
    except ArchiveError as error:
        return [str(error)]


def with_value(path: str, value: str) -> bytes:
    """Return a config with a value, as it is written, at a path with `/` between the names."""
    for name in reversed(path.split("/")):
        value = f"[{value}]" if name == "[]" else json.dumps({name: "?"}).replace('"?"', value)
    base = json.dumps(CONFIG)
    if path.startswith("rootfs/"):
        return json.dumps({"rootfs": {**CONFIG["rootfs"], **json.loads(value)["rootfs"]}}).encode()
    return f"{base[:-1]}, {value[1:]}".encode()


TOP = "id parent comment container docker_version author variant os.version"
SETTINGS = {
    TEXTS: "Hostname Domainname User Image WorkingDir MacAddress StopSignal",
    FLAGS: "AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce ArgsEscaped NetworkDisabled",
    LISTS: "Env OnBuild Healthcheck/Test",
    f"{TEXTS} {LISTS}": "Cmd Entrypoint Shell",
    SETS: "ExposedPorts Volumes",
    INTEGERS: "StopTimeout Healthcheck/Interval Healthcheck/Timeout Healthcheck/StartPeriod Healthcheck/Retries",
    OBJECTS: "Healthcheck",
    '{} {"a":null} {"a":"b"}': "Labels",
    VALUES: "Nonsense",
}


@pytest.mark.parametrize(
    ("path", "takes"),
    [
        *((f"config/{name}", takes) for takes, names in SETTINGS.items() for name in names.split()),
        *((f"container_config/{name}", takes) for name, takes in
          (("User", TEXTS), ("Env", LISTS), ("Volumes", SETS), ("Cmd", f"{TEXTS} {LISTS}"), ("StopTimeout", INTEGERS),
           ("Labels", '{} {"a":null} {"a":"b"}'))),
        *((name, TEXTS) for name in TOP.split()),
        *((name, OBJECTS) for name in ("config", "container_config")),
        ("os.features", LISTS), ("Size", INTEGERS), ("size", INTEGERS), ("ID", TEXTS), ("CONFIG/uSER", TEXTS),
        ("nonsense", VALUES), ("rootfs/type", TEXTS),
        *((f"history/[]/{name}", TEXTS) for name in ("author", "created_by", "comment")),
        ("history/[]/empty_layer", FLAGS), ("history/[]/nonsense", VALUES),
    ],
)  # fmt: skip
def test_types(path: str, takes: str) -> None:
    taken = {value for value in VALUES.split() if not reasons(with_value(path, value))}
    assert taken == {"null", *takes.split()}


@pytest.mark.parametrize(
    "time",
    [
        "2020-01-01T10:00:00Z", "2020-02-29T10:00:00Z", "2000-02-29T10:00:00Z", "0000-02-29T00:00:00Z",
        "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "2020-01-01T1:00:00Z", "2020-01-01T10:00:00,5Z",
        "2020-01-01T10:00:00.123456789012345678901234567890Z", "2020-01-01T10:00:00.5+02:00",
        "2020-01-01T10:00:00-00:00", "2020-01-01T10:00:00+25:00", "2020-01-01T10:00:00+00:61", None,
    ],
)  # fmt: skip
def test_times_that_docker_reads(time: str | None) -> None:
    assert reasons(CONFIG | {"created": time}) == reasons(CONFIG | {"history": [{"created": time}]}) == []


@pytest.mark.parametrize(
    "time",
    [
        "", "now", "2020-01-01", "2020-01-01T10:00:00", "2020-01-01 10:00:00Z", "2020-01-01t10:00:00Z",
        "2020-01-01T10:00:00z", "2020-02-30T10:00:00Z", "2019-02-29T10:00:00Z", "1900-02-29T10:00:00Z",
        "2020-01-01T10:00:60Z", "2020-01-01T24:00:00Z", "10000-01-01T10:00:00Z", "2020-01-01T10:0:00Z",
        "2020-1-01T10:00:00Z", "2020-01-1T10:00:00Z", "2020-01-01T10:00Z", "2020-01-01T10:00:00.Z",
        "2020-01-01T10:00:00-0200", "2020-01-01T10:00:00-02", "2020-01-01T10:00:00Z ", "2020-01-01T10:00:00ZZ",
        "2020-01-01T10:00:00Z\n", "2020-00-01T10:00:00Z", "2020-13-01T10:00:00Z", "2020-01-00T10:00:00Z",
        "2020-01-01T10:60:00Z", "-001-01-01T10:00:00Z", "٢٠٢٠-01-01T10:00:00Z", "2020-01-01T 1:00:00Z",
        "2020-01-01T10:00:00.5", "2020-01-01T10:00:00+2:00", "2020-01-01T10:00:00 +02:00", 5, {}, 1.5, True,
    ],
)  # fmt: skip
def test_times_that_docker_does_not_read(time: object) -> None:
    assert reasons(CONFIG | {"created": time})
    assert reasons(CONFIG | {"history": [{"created": time}]})


@given(
    st.datetimes(
        timezones=st.just(UTC) | st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
    )
)
def test_any_time_with_a_zone_is_read(time: datetime) -> None:
    assert reasons(CONFIG | {"created": time.isoformat()}) == []
    assert reasons(CONFIG | {"created": time.replace(tzinfo=None).isoformat() + "Z"}) == []
    assert len(reasons(CONFIG | {"created": time.replace(tzinfo=None).isoformat()})) == 1


@pytest.mark.parametrize(
    ("history", "loads"),
    [
        ([], True), ([{}], True), ([None], True), ([{"empty_layer": True}] * 5, True),
        ([{"empty_layer": True}, {}, {"empty_layer": True}], True),
        ([{}, {}], False), ([None, None], False), ([{}, {"empty_layer": None}], False),
        ([{}, {"empty_layer": False}], False),
    ],
)  # fmt: skip
def test_steps_and_layers(history: list[Any], loads: bool) -> None:
    assert (reasons(CONFIG | {"history": history}) == []) == loads


def test_bytes_that_are_no_text_and_keys_that_come_twice() -> None:
    base = json.dumps(CONFIG).encode()[:-1]
    assert reasons(base + b', "author": "\xff"}') == []
    (reason,) = reasons(base + b', "history": [{}], "History": 5}')
    assert "history" in reason.lower()
    assert "is [5], and" in reasons(base + b', "history": [], "config": {"Env": [5]}}')[0]


def test_so_many_are_named() -> None:
    assert len(reasons(CONFIG | {"history": [{"author": 5, "empty_layer": True}] * 1000})) == 20


def archive(**changes: Any) -> bytes:
    config = json.dumps(json.loads(Image((LAYER,)).config) | changes).encode()
    manifest = file_member("manifest.json", manifest_of("config.json", ["0.tar"]))
    return tar_of([file_member("0.tar", LAYER), file_member("config.json", config), manifest])


def test_an_archive_whose_config_docker_cannot_read_is_refused() -> None:
    check_archive(io.BytesIO(archive(author="anna")))
    with pytest.raises(ArchiveError) as caught:
        check_archive(io.BytesIO(archive(created="2020-01-01", id=["x" * 100])))
    assert str(caught.value) == (
        'the archive cannot be loaded by Docker: `created` in its config is "2020-01-01", and Docker takes only a time '
        "such as 2024-02-03T04:05:06Z there (and 1 more of its kind). Build the image with another tool."
    )
    with pytest.raises(ArchiveError, match="its config tells of 2 steps that made a layer, and has 1 layer"):
        check_archive(io.BytesIO(archive(history=[{}, {}])))


def test_an_image_that_is_published_already_is_shown_with_a_note() -> None:
    found = examine_archive(io.BytesIO(archive(author=5)))
    note = "Docker cannot load it: `author` in its config is 5, and Docker takes only a text there"
    assert found.notes[0] == note
    assert examine_archive(io.BytesIO(archive())).problems == ()
