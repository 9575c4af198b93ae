import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyport_wf.errors import SkyportError
from skyport_wf.image_list.spec import ShockSettings
from skyport_wf.records.encoding import decode_record, encode_json
from skyport_wf.records.receipt import LockFile, Receipt, merge_into_lock
from skyport_wf.records.records import BuildRecord, SaveRecord, UploadRecord
from skyport_wf.records.source import EngineVersion
from tests.support.sample_records import build_record, receipt, save_record, upload_record

RECORDS = [build_record(), save_record(), upload_record(), receipt(), merge_into_lock(None, [receipt()])]
TAGS = {
    BuildRecord: "skyport-wf build 2",
    SaveRecord: "skyport-wf save 2",
    UploadRecord: "skyport-wf upload 2",
    Receipt: "skyport-wf receipt 2",
    LockFile: "skyport-wf lock 1",
}


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_every_record_is_read_back_as_it_was(record):
    assert decode_record(encode_json(record), type(record), name="f") == record


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_every_record_says_what_it_is(record):
    assert json.loads(encode_json(record))["record"] == TAGS[type(record)]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_bytes_are_stable(record):
    content = encode_json(record)
    assert encode_json(decode_record(content, type(record), name="f")) == content
    assert content == (json.dumps(json.loads(content), indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def test_an_image_that_is_published_already_has_nothing_saved():
    record = SaveRecord(build=build_record(published="n1", image=None), archive="image.tar.gz", saved=None)
    assert decode_record(encode_json(record), SaveRecord, name="f") == record


def test_the_reference_of_a_build_record():
    assert build_record().reference.key == "skyport_velvet_1.2.10"


def test_the_order_of_a_mapping_does_not_show():
    assert encode_json({"b": 1, "a": {"d": 1, "c": 2}}) == encode_json({"a": {"c": 2, "d": 1}, "b": 1})


def test_engine_versions_have_the_keys_of_docker_version():
    encoded = json.loads(encode_json(EngineVersion()))
    assert set(encoded) == {"ApiVersion", "Arch", "GitCommit", "GoVersion", "KernelVersion", "Os", "Version"}


def test_no_record_has_room_for_a_token():
    assert set(json.loads(encode_json(build_record(shock=ShockSettings(token_env="X"))))["shock"]) == {"token_env"}


@pytest.mark.parametrize("given_record", RECORDS, ids=lambda record: type(record).__name__)
@pytest.mark.parametrize("wanted", TAGS, ids=lambda kind: kind.__name__)
def test_the_wrong_record_is_named(given_record, wanted):
    if type(given_record) is wanted:
        return
    with pytest.raises(SkyportError) as caught:
        decode_record(encode_json(given_record), wanted, name="x.json")
    assert str(caught.value) == (
        f"x.json is not a `{TAGS[wanted]}` record: it is a `{TAGS[type(given_record)]}` record. "
        + ("Take it anew from version control, or from whoever publishes the images." if wanted is LockFile else
           "Give the file that the step before this one wrote.")
    )  # fmt: skip


def test_a_lock_file_with_the_marks_of_a_merge():
    with pytest.raises(SkyportError, match=r"`skyport-wf lock 1` record: it has the marks of a merge that has confl"):
        decode_record(b'{\n<<<<<<< HEAD\n"images": {}', LockFile, name="images.lock.json")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"{", "Input data was truncated"),
        (b"yaml: 1", "JSON is malformed: invalid character (byte 0)"),
        (b"[]", "it has no field `record`"),
        (b"null", "it has no field `record`"),
        (b"{}", "it has no field `record`"),
        (b'{"record": "skyport-wf build 2"}', "Object missing required field `name`"),
        (b'{"record": "skyport-wf build 1"}', "Object missing required field `name`"),
        (b'{"record": "skyport-wf save 1", "build": 7}', "it is a `skyport-wf save 2` record"),
        (b'{"record": 5}', "it has no field `record`"),
        (b'{"images": {}}', "it has no field `record`"),
        (b'{"record": "\xff"}', "it is not UTF-8"),
        (b"\xff\xfe", "JSON is malformed: invalid character (byte 0)"),
    ],
)
def test_what_is_no_record(content, reason):
    with pytest.raises(SkyportError) as caught:
        decode_record(content, BuildRecord, name="build.json")
    assert str(caught.value) == (
        f"build.json is not a `skyport-wf build 2` record: {reason}. Give the file that the step before this one wrote."
    )
    assert caught.value.__cause__ is not None


def test_a_record_of_a_newer_version():
    with pytest.raises(SkyportError) as caught:
        decode_record(b'{"record": "skyport-wf build 3"}', BuildRecord, name="build.json")
    assert str(caught.value) == "build.json is a `skyport-wf build 3` record, of a newer skyport-wf. Upgrade this one."


def test_a_file_that_was_cut_off_anywhere_is_no_record():
    content = encode_json(receipt()).rstrip()
    for end in range(len(content)):
        with pytest.raises(SkyportError, match="is not a `skyport-wf receipt 2` record"):
            decode_record(content[:end], Receipt, name="f")


@given(st.binary(max_size=60))
def test_any_bytes_are_a_record_or_an_error_of_ours(content):
    with pytest.raises(SkyportError, match=r"^f is not a"):
        decode_record(content, LockFile, name="f")


TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)


@given(st.dictionaries(TEXTS, TEXTS, max_size=4), TEXTS)
def test_any_text_survives(values, description):
    assert json.loads(encode_json(values)) == values
    record = msgspec.structs.replace(build_record(), description=description)
    assert decode_record(encode_json(record), BuildRecord, name="f") == record
