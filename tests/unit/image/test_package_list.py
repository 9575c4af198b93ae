"""The list of packages that is kept with an image: packed and unpacked, small, and harmless whatever it holds."""

import base64
import io
import json
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyport_wf.image.examination.package_list import PackageList, pack, unpack
from skyport_wf.image.examination.packages.operating_system import OperatingSystem
from skyport_wf.image.examination.packages.package import Package
from skyport_wf.image.examination.surveyed_stream import SurveyedStream
from tests.support.docker_archives import Image, layer_tar, legacy, tar_of

ID = "sha256:" + "1" * 64
STATUS = "".join(f"Package: lib{number}\nVersion: 1.{number}-1\nArchitecture: amd64\n\n" for number in range(700))
IMAGE = Image((layer_tar({"var/lib/dpkg/status": STATUS.encode(), "bin/bash": b"#!"}),))

words = st.text(max_size=20)
packages = st.builds(Package, st.sampled_from(["deb", "pypi", "conda"]), words, words, words, words, words)
lists = st.builds(
    PackageList,
    st.just(ID),
    st.lists(packages, max_size=5).map(tuple),
    st.none() | st.builds(OperatingSystem, words, words, words),
    st.lists(words, max_size=2).map(tuple),
    st.booleans(),
)


@pytest.mark.slow
@given(lists)
def test_what_is_unpacked_is_what_was_packed(listed: PackageList) -> None:
    assert unpack(pack(listed), image_id=ID) == listed


def test_it_is_small() -> None:
    listed = PackageList(ID, tuple(Package("deb", f"lib{n}", f"1.{n}-1", "amd64") for n in range(2000)))
    assert len(pack(listed)) < 20 * 2000


def test_a_list_that_is_too_long_is_not_kept() -> None:
    noise = random.Random(1)
    listed = PackageList(ID, tuple(Package("deb", noise.randbytes(150).hex(), "1") for _ in range(6000)))
    assert pack(listed) == ""


def packed(document: object) -> str:
    return base64.b64encode(zlib.compress(json.dumps(document).encode())).decode()


@pytest.mark.parametrize(
    "text",
    [
        "", "no base64", base64.b64encode(b"no zlib").decode(), packed([]), packed({"image_id": ID}),
        packed({"image_id": ID, "packages": [["deb", "x"]]}), packed({"image_id": ID, "packages": [["exe"] * 6]}),
        packed({"image_id": "sha256:" + "2" * 64, "packages": []}), packed({"image_id": ID, "packages": []})[:-4],
        "A" * (2 << 20), base64.b64encode(zlib.compress(bytes(200 << 20))).decode(),
    ],
)  # fmt: skip
def test_what_is_no_list_is_none(text: str) -> None:
    assert unpack(text, image_id=ID) is None


def test_fields_of_later_versions_are_passed_over() -> None:
    text = packed({"image_id": ID, "packages": [["deb", "a", "1", "", "", "", "later"]], "later": 1})
    assert unpack(text, image_id=ID) == PackageList(ID, (Package("deb", "a", "1"),))


def test_an_archive_is_listed_while_it_is_read_for_something_else() -> None:
    archive = tar_of(legacy(IMAGE, tags=("lab/a:1",)))
    with SurveyedStream(io.BytesIO(archive), wanted="lab/a:1") as stream:
        assert stream.read(10)
        listed = unpack(stream.packages(), image_id=IMAGE.image_id)
    assert listed
    assert len(listed.packages) == 700
    assert not listed.has_bash


@pytest.mark.parametrize("cut", [0, 100, 5000])
def test_an_archive_that_cannot_be_listed_is_passed_on_all_the_same(cut: int) -> None:
    archive = tar_of(legacy(IMAGE, tags=("lab/a:1",)))[:cut]
    with SurveyedStream(io.BytesIO(archive), wanted="lab/a:1") as stream:
        assert b"".join(iter(lambda: stream.read(512), b"")) == archive
        assert stream.packages() == ""
