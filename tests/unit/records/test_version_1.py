"""Records, receipts, locks and nodes as version 0.1.0 wrote them for two images, one built and one a snapshot."""

import json
from pathlib import Path

import msgspec
import pytest

from skyport_wf.publication.attributes import read_attributes
from skyport_wf.publication.receipts import make_receipt
from skyport_wf.records.encoding import encode_json
from skyport_wf.records.files import read_record
from skyport_wf.records.receipt import LockFile, Receipt, lock_image
from skyport_wf.records.records import BuildRecord, SaveRecord, UploadRecord

FOLDER = Path(__file__).parent / "version_1"
IMAGES = ("lab_hello_1.0", "lab_hi_1")


def written(image: str, record: str) -> dict[str, object]:
    document: dict[str, object] = json.loads((FOLDER / image / f"{record}.json").read_text())
    return document


@pytest.mark.parametrize("image", IMAGES)
def test_the_steps_go_on_from_them(image):
    build = read_record(FOLDER / image / "build.json", BuildRecord)
    save = read_record(FOLDER / image / "save.json", SaveRecord)
    upload = read_record(FOLDER / image / "upload.json", UploadRecord)
    assert save.build == upload.build == build
    assert save.saved == upload.saved is not None
    source = written(image, "build")["source"]
    assert isinstance(source, dict)
    assert (build.source.kind, build.source.digest) == (source["kind"], source["digest"])
    assert (build.source.script, build.source.context_digest) == (source["script"], source["context_digest"])
    assert build.dockerfile == source["dockerfile"]


def test_a_dockerfile_is_still_known():
    assert read_record(FOLDER / "lab_hello_1.0/build.json", BuildRecord).dockerfile.startswith("RlJPTSBzY3JhdGNo")


@pytest.mark.parametrize("image", IMAGES)
def test_a_node_makes_the_receipt_that_it_made_then(image):
    receipt = read_record(FOLDER / image / "receipt.json", Receipt)
    attributes = read_attributes(written(image, "attributes"))
    assert attributes is not None
    assert attributes.skyport_wf is not None
    made = make_receipt(
        attributes, node=receipt.node, size=receipt.size, md5=receipt.md5, shock="embedded",
        download_url=receipt.download_url, public=True,
    )  # fmt: skip
    # How an image is used has become better advice since.
    assert encode_json(msgspec.structs.replace(made, use=receipt.use)) == encode_json(receipt)
    old = written(image, "receipt")
    assert receipt.source is not None
    assert (receipt.source.kind, receipt.source.digest) == (old["source"], old["source_digest"])
    assert receipt.source.script == old["script"]
    kept = {"name", "image_id", "node", "size", "md5", "archive_sha256", "canonical", "registered", "use", "layers"}
    now = json.loads(encode_json(receipt))
    assert {key: now[key] for key in kept} == {key: old[key] for key in kept}


def test_the_lock_file_has_the_entries_of_the_receipts():
    lock = read_record(FOLDER / "images.lock.json", LockFile)
    receipts = [read_record(FOLDER / image / "receipt.json", Receipt) for image in IMAGES]
    assert lock.images == {receipt.name: lock_image(receipt) for receipt in receipts}
