import json

import msgspec

from skyport_wf.publication.attributes import describe_image, read_attributes, to_json_values
from skyport_wf.publication.receipts import make_receipt
from skyport_wf.records.encoding import decode_record, encode_json
from skyport_wf.records.receipt import LockFile, Receipt, lock_image, merge_into_lock
from tests.support.sample_records import ARCHIVE, IMAGE_ID, NAME, SOURCE_DIGEST, build_record, receipt, saved_archive

URL = "http://127.0.0.1:7445/node/n1?download"


def receipt_of_another_tools_node(*, public: bool = True) -> Receipt:
    attributes = read_attributes({"type": "dockerimage", "name": "a/b:1", "id": "4f1c"})
    assert attributes is not None
    return make_receipt(attributes, node="n2", size=5, md5="e" * 32, shock="embedded", download_url=URL, public=public)


def test_what_a_receipt_says():
    made = receipt()
    assert (made.name, made.image_id, made.node, made.size) == (NAME, IMAGE_ID, "n1", len(ARCHIVE))
    assert made.archive_sha256 == "sha256:" + "3" * 64
    assert made.canonical is True
    assert made.base is not None
    assert made.base.name == "debian:bookworm"
    assert made.layers is not None
    assert [layer.created_by for layer in made.layers] == ["/bin/sh -c apt-get install velvet"]
    assert made.source is not None
    assert (made.source.kind, made.source.digest) == ("dockerfile", SOURCE_DIGEST)
    assert made.source.dockerfile_digest == "sha256:" + "6" * 64
    assert made.source.context_digest == "sha256:" + "7" * 64
    assert made.engine.version == "20.10.24"
    assert made.registered == "2024-02-03T04:05:06Z"
    assert made.readable_by == "everyone"


def test_what_is_ready_to_paste():
    use = json.loads(encode_json(receipt()))["use"]
    assert use == {
        "cwl": {"DockerRequirement": {"dockerLoad": URL, "dockerImageId": NAME}},
        "awe": {"Dockerimage": NAME},
    }


def test_a_registry_has_it_by_digest_where_the_node_tells_it():
    attributes = read_attributes(
        {"type": "dockerimage", "name": "a/b:1", "id": "sha256:4f1c"}
        | {"skyport_wf": to_json_values(describe_image(build_record(), saved_archive(), registered=""))["skyport_wf"]}
    )
    assert attributes is not None
    made = make_receipt(
        attributes, node="n", size=5, md5="e" * 32, shock="x", download_url=URL, public=True, registry="r.org:5000"
    )
    # The file has no ranges, so that a registry makes layers of its own.
    assert made.use.oci == "r.org:5000/a/b:1"
    assert made.manifest_digest is msgspec.UNSET
    assert json.loads(encode_json(made))["use"]["cwl_pull"] == {"DockerRequirement": {"dockerPull": made.use.oci}}
    assert (lock_image(made).registry, lock_image(made).manifest_digest) == ("r.org:5000", msgspec.UNSET)


def test_receipts_and_lock_files_of_before_registries_are_read():
    made = receipt()
    assert b"oci" not in encode_json(made) + encode_json(lock_image(made))
    assert decode_record(encode_json(made), Receipt, name="x") == made
    lock = merge_into_lock(None, [made])
    assert decode_record(encode_json(lock), LockFile, name="x") == lock


def test_the_same_node_makes_the_same_bytes():
    assert encode_json(receipt()) == encode_json(receipt())


def test_a_private_image():
    assert receipt_of_another_tools_node(public=False).readable_by == "listed users"


def test_a_node_that_another_tool_made_tells_less():
    made = receipt_of_another_tools_node()
    assert (made.name, made.image_id, made.node, made.size, made.md5) == ("a/b:1", "4f1c", "n2", 5, "e" * 32)
    assert made.archive_sha256 is made.canonical is made.base is made.layers is made.source is made.registered is None


def test_a_lock_entry_is_taken_from_the_receipt():
    entry = lock_image(receipt())
    assert (entry.image_id, entry.shock, entry.node) == (IMAGE_ID, "embedded", "n1")
    assert (entry.size, entry.md5) == (len(ARCHIVE), "d" * 32)
    assert (entry.archive_sha256, entry.source_digest) == ("sha256:" + "3" * 64, SOURCE_DIGEST)


def test_entries_are_put_in_by_name_and_replaced():
    lock = merge_into_lock(None, [receipt(name="z/z:1"), receipt_of_another_tools_node()])
    assert list(lock.images) == ["a/b:1", "z/z:1"]
    again = merge_into_lock(lock, [receipt(name="a/b:1"), receipt(name="m/m:1")])
    assert list(again.images) == ["a/b:1", "m/m:1", "z/z:1"]
    assert again.images["a/b:1"].node == "n1"
    assert lock.images["a/b:1"].node == "n2"


def test_a_lock_of_nothing():
    assert merge_into_lock(None, []) == LockFile({})
