import json

import msgspec
import pytest

from skyport_wf.publication.attributes import describe_image, describe_upload, read_attributes, to_json_values
from skyport_wf.publication.awe_lookup import choose, plan_lookup
from skyport_wf.publication.manifest import told_manifest, told_reference
from tests.support.sample_records import IMAGE_ID, NAME, SOURCE_DIGEST, build_record, saved_archive

REGISTERED = "2024-02-03T04:05:06Z"


def described(**changes):
    return describe_image(build_record(**changes), saved_archive(), registered=REGISTERED)


def keys_of(values):
    if isinstance(values, dict):
        yield from values
        for value in values.values():
            yield from keys_of(value)
    elif isinstance(values, list | tuple):
        for value in values:
            yield from keys_of(value)


def test_what_awe_reads():
    values = to_json_values(described())
    assert {key: values[key] for key in ("type", "name", "repository", "tag", "id")} == {
        "type": "dockerimage",
        "name": NAME,
        "repository": "skyport/velvet",
        "tag": "1.2.10",
        "id": IMAGE_ID,
    }
    assert values["base_image_id"] == values["base_image_tag"] == ""
    assert values["dockerfile"] == "RlJPTSBkZWJpYW46Ym9va3dvcm0K"
    assert set(values["docker_version"]) == {
        "ApiVersion", "Arch", "GitCommit", "GoVersion", "KernelVersion", "Os", "Version",
    }  # fmt: skip


def test_a_worker_chooses_it_by_name_and_as_latest():
    values = to_json_values(described())
    assert choose(plan_lookup(NAME), [values]) == choose(plan_lookup("skyport/velvet"), [values]) == 0


def test_what_a_receipt_is_made_from():
    known = described().skyport_wf
    assert known is not None
    assert (known.source.kind, known.source.digest, known.registered) == ("dockerfile", SOURCE_DIGEST, REGISTERED)
    assert known.platform == "linux/amd64"
    assert [(label.name, label.value) for label in known.labels] == [("org.example.tool", "velvet")]
    assert known.engine_image_id is None


def test_half_a_character_in_the_pushed_manifest_is_passed_over():
    values = to_json_values(described())
    expected = told_manifest(read_attributes(values))
    values["skyport_wf"]["pushed_manifest"] = '{"subject": "\ud800"}'
    attributes = read_attributes(values)
    assert attributes.skyport_wf.pushed_manifest
    assert told_reference(attributes) is None
    assert told_manifest(attributes) == expected


def test_an_engine_that_has_an_id_of_its_own_is_noted():
    known = described(image="sha256:" + "9" * 64).skyport_wf
    assert known is not None
    assert known.engine_image_id == "sha256:" + "9" * 64


def test_no_key_is_one_that_mongodb_refuses():
    keys = list(keys_of(to_json_values(described())))
    assert "org.example.tool" not in keys
    assert not [key for key in keys if "." in key or key.startswith("$")]


def test_an_upload_is_not_found_by_awe_but_can_be_known():
    assert describe_upload(build_record()) == {
        "type": "dockerimage-upload",
        "name": NAME,
        "source_digest": SOURCE_DIGEST,
    }


def test_attributes_are_read_back_from_json():
    attributes = described()
    assert read_attributes(json.loads(json.dumps(to_json_values(attributes)))) == attributes


def test_a_node_of_another_tool_needs_little():
    attributes = read_attributes({"type": "dockerimage", "name": "a/b:1", "id": "abc", "base_image_id": None, "x.y": 1})
    assert attributes is not None
    assert (attributes.name, attributes.id, attributes.repository, attributes.tag) == ("a/b:1", "abc", "", "")
    assert attributes.skyport_wf is None


@pytest.mark.parametrize("own", ["text", {"source": "magic"}, [], 5])
def test_what_stands_under_our_key_but_is_not_ours_is_passed_over(own):
    attributes = read_attributes({**to_json_values(described()), "skyport_wf": own})
    assert attributes is not None
    assert attributes.skyport_wf is None
    assert attributes.id == IMAGE_ID


@pytest.mark.parametrize("version", ["20.10", {"Version": 20}, None])
def test_a_docker_version_of_another_form_is_passed_over(version):
    attributes = read_attributes({"type": "dockerimage", "name": "a/b:1", "id": "x", "docker_version": version})
    assert attributes is not None
    assert attributes.docker_version.version == ""


@pytest.mark.parametrize(
    "attributes",
    [None, {}, {"type": "dockerimage"}, {"type": "dockerimage", "name": 5}, {"name": "a/b:1"}],
)
def test_what_is_not_an_image(attributes):
    assert read_attributes(attributes) is None


def test_they_are_frozen():
    with pytest.raises(AttributeError):
        described().id = "x"
    assert msgspec.structs.replace(described(), id="x").id == "x"
