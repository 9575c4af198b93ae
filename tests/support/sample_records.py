"""Records of an image that is as real as values can be."""

import gzip
import hashlib
from typing import Any

from skyport_wf.image.contents import ArchiveDigests, ImageContents, Layer, SavedArchive
from skyport_wf.image_list.spec import ShockSettings
from skyport_wf.publication.attributes import describe_image
from skyport_wf.publication.receipts import make_receipt
from skyport_wf.records.receipt import Receipt
from skyport_wf.records.records import BuildRecord, SaveRecord, UploadRecord
from skyport_wf.records.source import BaseImage, EngineVersion, Source

NAME = "skyport/velvet:1.2.10"
IMAGE_ID = "sha256:" + "1" * 64
SOURCE_DIGEST = "sha256:" + "5" * 64
ARCHIVE = gzip.compress(b"a gzipped archive", mtime=0)


def build_record(**changes: Any) -> BuildRecord:
    values: dict[str, Any] = {
        "name": NAME,
        "source": Source(
            kind="dockerfile",
            digest=SOURCE_DIGEST,
            dockerfile_digest="sha256:" + "6" * 64,
            context_digest="sha256:" + "7" * 64,
        ),
        "dockerfile": "RlJPTSBkZWJpYW46Ym9va3dvcm0K",
        "shock": ShockSettings(),
        "description": "Velvet, ä genome assembler",
        "engine": EngineVersion(api_version="1.41", arch="amd64", os="linux", version="20.10.24"),
        "image": IMAGE_ID,
        "base": BaseImage("debian:bookworm", "sha256:" + "8" * 64),
    }
    return BuildRecord(**(values | changes))


def saved_archive(content: bytes = ARCHIVE, *, image_id: str = IMAGE_ID) -> SavedArchive:
    return SavedArchive(
        ImageContents(
            image_id=image_id,
            architecture="amd64",
            os="linux",
            created="2024-02-03T00:00:00Z",
            repo_tags=(NAME,),
            labels=(("org.example.tool", "velvet"),),
            layers=(Layer("sha256:" + "2" * 64, 1000, "/bin/sh -c apt-get install velvet"),),
        ),
        ArchiveDigests(
            size=len(content),
            md5=hashlib.md5(content).hexdigest(),
            sha256="sha256:" + hashlib.sha256(content).hexdigest(),
            archive_size=2000,
            archive_sha256="sha256:" + "3" * 64,
            canonical=True,
        ),
    )


def save_record(**changes: Any) -> SaveRecord:
    return SaveRecord(build=build_record(**changes), archive="image.tar.gz", saved=saved_archive())


def upload_record(node: str = "n1", **changes: Any) -> UploadRecord:
    return UploadRecord(build=build_record(**changes), saved=saved_archive(), node=node, url="embedded")


def receipt(**changes: Any) -> Receipt:
    build = build_record(**changes)
    attributes = describe_image(build, saved_archive(), registered="2024-02-03T04:05:06Z")
    return make_receipt(
        attributes,
        node="n1",
        size=len(ARCHIVE),
        md5="d" * 32,
        shock="embedded",
        download_url="http://127.0.0.1:7445/node/n1?download",
        public=True,
    )
