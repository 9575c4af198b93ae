"""Pulling images from a Shock: manifests, configs and layers are those that `docker load` of the archive gives."""

import gzip
import hashlib
import json
from pathlib import Path

import pytest

from tests.support.docker_archives import Image, layer_tar
from tests.support.registry import DOCKER_MANIFEST, OCI_MANIFEST, publish
from tests.unit.registry.conftest import World

BASE = layer_tar({"bin/bash": b"bash", "etc/os": b"debian"})
TOOL = layer_tar({"usr/bin/tool": bytes(70_000)})
NAME = "my-lab/tool"


def plain(layers: list[bytes]) -> tuple[bytes, ...]:
    """Return the layers as they are in the image: each is one gzip member and no more."""
    return tuple(map(gzip.decompress, layers))


@pytest.mark.parametrize(
    "accept",
    [
        DOCKER_MANIFEST,
        OCI_MANIFEST,
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["canonical", "streamed"])
@pytest.mark.parametrize(
    "layers",
    [
        (BASE, TOOL),
        (BASE, TOOL, BASE),
        (BASE, b"", TOOL),
        (TOOL + bytes(100),),
        (),
        tuple(layer_tar({str(n): b""}) for n in range(127)),
    ],
    ids=["two", "repeated", "empty", "odd length", "none", "many"],
)
def test_an_image_is_pulled_as_it_is(world: World, layers: tuple[bytes, ...], stream: bool, accept: str) -> None:
    image = Image(layers)
    publish(world.alice, world.folder, f"{NAME}:1.0", image, stream=stream)
    config, pulled = world.nobody.pull(NAME, "1.0", accept)
    assert config == image.config
    assert plain(pulled) == layers


def test_a_manifest_is_the_same_by_tag_and_by_digest(world: World) -> None:
    publish(world.alice, world.folder, f"{NAME}:1.0", Image((BASE, TOOL)))
    for accept in (DOCKER_MANIFEST, OCI_MANIFEST):
        by_tag = world.nobody.get(f"/v2/{NAME}/manifests/1.0", Accept=accept)
        digest = by_tag.headers["Docker-Content-Digest"]
        assert digest == f"sha256:{hashlib.sha256(by_tag.data).hexdigest()}"
        # Another server, or this one after a restart, has the same, whatever the client says that it takes.
        for puller in (world.nobody, world.restarted()):
            by_digest = puller.get(f"/v2/{NAME}/manifests/{digest}", Accept="text/html")
            assert (by_digest.data, by_digest.content_type) == (by_tag.data, accept)
            assert by_digest.headers["ETag"] == f'"{digest}"'
            assert by_digest.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert by_tag.headers["Cache-Control"] == "public, no-cache"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, DOCKER_MANIFEST),
        ("*/*", DOCKER_MANIFEST),
        (f"{OCI_MANIFEST}, {DOCKER_MANIFEST}", DOCKER_MANIFEST),
        (f"application/vnd.oci.image.index.v1+json, {OCI_MANIFEST}", OCI_MANIFEST),
        (f"{DOCKER_MANIFEST};q=0.5, {OCI_MANIFEST}", OCI_MANIFEST),
        (f"{DOCKER_MANIFEST};q=0, */*;q=0.1", OCI_MANIFEST),
        (f"{OCI_MANIFEST}; charset=utf-8", OCI_MANIFEST),
        (f"{OCI_MANIFEST.upper()} ; Q=.5, ,application/* ; q=.2", OCI_MANIFEST),
        # What Java's own client sends, which is no HTTP.
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", DOCKER_MANIFEST),
        (f"{OCI_MANIFEST};q=nan", OCI_MANIFEST),
    ],
)
def test_the_client_chooses_the_form_of_the_manifest(world: World, accept: str | None, chosen: str) -> None:
    publish(world.alice, world.folder, f"{NAME}:1.0", Image((BASE,)))
    headers = {} if accept is None else {"Accept": accept}
    answer = world.nobody.get(f"/v2/{NAME}/manifests/1.0", **headers)
    assert (answer.status_code, answer.content_type) == (200, chosen)
    assert answer.headers["Vary"] == "Accept"


@pytest.mark.parametrize(
    "accept",
    [
        "application/vnd.docker.distribution.manifest.v1+json",
        "text/html",
        "nonsense",
        f"{DOCKER_MANIFEST};q=0",
    ],
)
def test_a_client_that_takes_no_manifest_of_ours_gets_to_know_why(world: World, accept: str) -> None:
    publish(world.alice, world.folder, f"{NAME}:1.0", Image((BASE,)))
    assert world.nobody.error(f"/v2/{NAME}/manifests/1.0", Accept=accept) == (404, "MANIFEST_UNKNOWN")


def test_head_says_what_get_sends(world: World) -> None:
    publish(world.alice, world.folder, f"{NAME}:1.0", Image((BASE, TOOL)))
    manifest = world.nobody.json(f"/v2/{NAME}/manifests/1.0")
    paths = [f"blobs/{blob['digest']}" for blob in (manifest["config"], *manifest["layers"])]
    for path in ("manifests/1.0", *paths):
        got, headed = (world.nobody.get(f"/v2/{NAME}/{path}", method=method) for method in ("GET", "HEAD"))
        assert headed.data == b""
        assert headed.headers["Content-Length"] == str(len(got.data))
        # But for the second in which each was answered.
        assert {**headed.headers, "Date": ""} == {**got.headers, "Date": ""}
        for etag in (got.headers["ETag"], f"W/{got.headers['ETag']}"):
            again = world.nobody.get(f"/v2/{NAME}/{path}", If_None_Match=etag)
            assert (again.status_code, again.data) == (304, b"")
        for wanted in (got.headers["ETag"], "*"):
            assert world.nobody.get(f"/v2/{NAME}/{path}", If_Match=wanted).data == got.data
        for wanted in ('"another"', f"W/{got.headers['ETag']}"):
            other = world.nobody.get(f"/v2/{NAME}/{path}", If_Match=wanted)
            assert (other.status_code, other.json["errors"][0]["code"]) == (412, "PRECONDITION_FAILED")
        # Ranges are for GET alone (RFC 9110, section 14.2).
        for asked in ("bytes=0-1", "bytes=99999999-"):
            assert world.nobody.get(f"/v2/{NAME}/{path}", method="HEAD", Range=asked).status_code == 200


def test_a_layer_whose_file_is_lost_was_not_deleted(world: World) -> None:
    publish(world.alice, world.folder, f"{NAME}:1.0", Image((BASE, TOOL)))
    layer = world.nobody.json(f"/v2/{NAME}/manifests/1.0")["layers"][0]["digest"]
    (file,) = (path for path in world.shock.store.files if path.parent.parent == world.shock.store.folder.files)
    file.unlink()
    answer = world.nobody.get(f"/v2/{NAME}/blobs/{layer}")
    assert (answer.status_code, answer.json["errors"][0]["message"]) == (
        500, "the file with the blob is damaged, or cannot be read; the server's log says more"
    )  # fmt: skip


def lose_newest_file(world: World, before: set[Path]) -> None:
    (file,) = set(world.shock.store.files) - before
    file.unlink()


def test_an_image_whose_file_is_lost_is_not_unknown(world: World) -> None:
    publish(world.alice, world.folder, f"{NAME}:1.0", Image((TOOL,)))
    whole = set(world.shock.store.files)
    node = publish(world.alice, world.folder, f"{NAME}:2.0", Image((BASE, TOOL)))
    old, new = (world.nobody.get(f"/v2/{NAME}/manifests/{tag}") for tag in ("1.0", "2.0"))
    lose_newest_file(world, whole)
    asked = world.restarted()
    config, base = new.json["config"]["digest"], new.json["layers"][0]["digest"]
    manifest = f"manifests/{new.headers['Docker-Content-Digest']}"
    for path in ("manifests/2.0", manifest, f"blobs/{config}", f"blobs/{base}"):
        refused = asked.get(f"/v2/{NAME}/{path}")
        assert (refused.status_code, refused.json["errors"][0]["message"]) == (
            500,
            f"{NAME}:2.0 is there, and cannot be read: the embedded Shock refuses GET /node/{node}?download: "
            "the node is damaged: the file is missing",
        )
    # It hides no other image, and whoever pushes has to send its blobs again.
    assert asked.get(f"/v2/{NAME}/manifests/{old.headers['Docker-Content-Digest']}").data == old.data
    assert asked.get(f"/v2/{NAME}/blobs/{base}", method="HEAD").status_code == 404
    assert asked.error(f"/v2/{NAME}/manifests/sha256:{'0' * 64}") == (404, "MANIFEST_UNKNOWN")


def test_a_manifest_is_taken_from_another_node_where_the_newest_file_is_lost(world: World) -> None:
    publish(world.alice, world.folder, f"{NAME}:1.0", Image((BASE, TOOL)))
    whole = set(world.shock.store.files)
    publish(world.alice, world.folder, f"{NAME}:1.1", Image((BASE, TOOL)))
    sent = world.nobody.get(f"/v2/{NAME}/manifests/1.0")
    lose_newest_file(world, whole)
    digest = sent.headers["Docker-Content-Digest"]
    asked = world.restarted()
    assert asked.get(f"/v2/{NAME}/manifests/1.1").status_code == 500
    assert asked.get(f"/v2/{NAME}/manifests/{digest}").data == sent.data
    assert asked.pull(NAME, digest)[0] == Image((BASE, TOOL)).config


def test_a_lost_file_without_ranges_is_not_unknown(world: World) -> None:
    publish(world.alice, world.folder, f"{NAME}:1.0", Image((BASE, TOOL)), ranges=False)
    lose_newest_file(world, set())
    assert world.nobody.error(f"/v2/{NAME}/manifests/1.0") == (500, "UNKNOWN")


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-9", 5, 10),
        ("bytes=7-", 7, None),
        ("bytes=-3", -3, None),
        ("bytes=2-999999999", 2, None),
    ],
)
def test_a_range_of_a_blob(world: World, asked: str, start: int, stop: int | None) -> None:
    publish(world.alice, world.folder, f"{NAME}:1.0", Image((BASE, TOOL)))
    manifest = world.nobody.json(f"/v2/{NAME}/manifests/1.0")
    for blob in (manifest["config"], *manifest["layers"]):
        whole = world.nobody.blob(NAME, blob)
        path = f"/v2/{NAME}/blobs/{blob['digest']}"
        answer = world.nobody.get(path, Range=asked)
        assert (answer.status_code, answer.data) == (206, whole[start:stop])
        first = start % len(whole)
        assert answer.headers["Content-Range"] == f"bytes {first}-{first + len(answer.data) - 1}/{len(whole)}"
        # A part of another blob than the one that the client has the rest of is of no use to it.
        assert world.nobody.get(path, Range=asked, If_Range='"other"').data == whole
        assert world.nobody.get(path, Range=asked, If_Range=f'"{blob["digest"]}"').data == whole[start:stop]


def test_more_last_bytes_than_there_are(world: World) -> None:
    publish(world.alice, world.folder, f"{NAME}:1.0", Image((BASE, TOOL)))
    manifest = world.nobody.json(f"/v2/{NAME}/manifests/1.0")
    for blob in (manifest["config"], *manifest["layers"]):
        for more in (0, 1, 10**12):
            answer = world.nobody.get(f"/v2/{NAME}/blobs/{blob['digest']}", Range=f"bytes=-{blob['size'] + more}")
            assert (answer.status_code, len(answer.data)) == (200, blob["size"])


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=9-3",
        "bytes=abc",
        "bytes=1-2,4-5",
        "lines=1-2",
        "bytes=--1",
        "bytes=",
        "=",
        "bytes=0x1-2",
        "bytes=" + "9" * 400 + "-",
    ],
)
def test_a_range_that_makes_no_sense_is_the_whole_or_refused(world: World, asked: str) -> None:
    publish(world.alice, world.folder, f"{NAME}:1.0", Image((BASE,)))
    manifest = world.nobody.json(f"/v2/{NAME}/manifests/1.0")
    answer = world.nobody.get(f"/v2/{NAME}/blobs/{manifest['config']['digest']}", Range=asked)
    assert (answer.status_code, len(answer.data)) == (200, manifest["config"]["size"]) or answer.status_code == 416


def test_a_range_behind_the_end_is_refused(world: World) -> None:
    publish(world.alice, world.folder, f"{NAME}:1.0", Image((BASE,)))
    (layer,) = world.nobody.json(f"/v2/{NAME}/manifests/1.0")["layers"]
    path = f"/v2/{NAME}/blobs/{layer['digest']}"
    assert world.nobody.error(path, Range=f"bytes={layer['size']}-") == (416, "RANGE_INVALID")
    answer = world.nobody.get(path, Range=f"bytes={layer['size']}-")
    assert answer.headers["Content-Range"] == f"bytes */{layer['size']}"


def test_the_name_of_latest_may_be_odd(world: World) -> None:
    publish(world.alice, world.folder, f"{NAME}:9", Image((BASE,)), name=f"{NAME}:9\n")
    answer = world.nobody.get(f"/v2/{NAME}/manifests/latest")
    assert (answer.status_code, answer.headers["Warning"][: len(NAME) + 29]) == (
        200, f'299 - "{NAME}:latest is {NAME}:9\\\\n now'[: len(NAME) + 29],
    )  # fmt: skip


def test_latest_is_the_highest_tag_by_awes_order(world: World) -> None:
    images = {tag: Image((layer_tar({tag: b""}),)) for tag in ("1.9", "1.10", "1.10-beta", "0.5")}
    for tag, image in images.items():
        publish(world.alice, world.folder, f"{NAME}:{tag}", image)
    assert world.nobody.pull(NAME, "latest")[0] == images["1.10-beta"].config
    answer = world.nobody.get(f"/v2/{NAME}/manifests/latest")
    assert (
        answer.headers["Warning"] == f'299 - "{NAME}:latest is {NAME}:1.10-beta now, the highest tag by AWE\'s order"'
    )
    assert world.nobody.json(f"/v2/{NAME}/tags/list")["tags"] == ["0.5", "1.10", "1.10-beta", "1.9"]


def test_an_image_that_lost_its_name_is_still_there_by_digest(world: World) -> None:
    old, new = Image((BASE,)), Image((TOOL,))
    node = publish(world.alice, world.folder, f"{NAME}:1.0", old)
    digest = world.nobody.get(f"/v2/{NAME}/manifests/1.0").headers["Docker-Content-Digest"]
    attributes = world.alice.get(f"/node/{node}").json()["data"]["attributes"]
    retired = json.dumps({**attributes, "type": "dockerimage-retired"})
    world.alice.put(f"/node/{node}", files={"attributes": ("attributes.json", retired)})
    publish(world.alice, world.folder, f"{NAME}:1.0", new)
    assert world.nobody.pull(NAME, "1.0")[0] == new.config
    for puller in (world.nobody, world.restarted()):
        assert puller.pull(NAME, digest)[0] == old.config


def test_a_thin_image_is_pulled_whole(world: World) -> None:
    base, tool = Image((BASE, b"")), Image((BASE, b"", TOOL, BASE))
    publish(world.alice, world.folder, "my-lab/base:12", base)
    publish(world.alice, world.folder, f"{NAME}:1.0", tool, thin_on=("my-lab/base:12", base))
    config, layers = world.nobody.pull(NAME, "1.0")
    assert (config, plain(layers)) == (tool.config, tool.layers)
    for blob in world.nobody.json(f"/v2/{NAME}/manifests/1.0")["layers"]:
        world.restarted().blob(NAME, blob)


def test_a_thin_image_without_its_base_is_refused_in_words(world: World) -> None:
    base, tool = Image((BASE,)), Image((BASE, TOOL))
    publish(world.alice, world.folder, f"{NAME}:1.0", tool, thin_on=("my-lab/base:12", base))
    answer = world.nobody.get(f"/v2/{NAME}/manifests/1.0")
    assert answer.status_code == 404
    assert "is a thin image built on my-lab/base:12" in answer.text


def test_names_that_no_registry_can_have_are_left_out_and_said(world: World) -> None:
    publish(world.alice, world.folder, f"{NAME}:1.0", Image((BASE,)))
    publish(world.alice, world.folder, "x:1", Image((TOOL,)), name="Lab/Tool:1", repository="Lab/Tool")
    answer = world.nobody.get("/v2/_catalog")
    assert json.loads(answer.data) == {"repositories": [NAME]}
    assert answer.headers["Warning"] == '299 - "1 name that no registry can have left out: Lab/Tool"'
    publish(world.alice, world.folder, "y:1", Image((TOOL,)), name=f"lab/{'y' * 300_000}:1", repository="y")
    assert len(world.nobody.get("/v2/_catalog").headers["Warning"]) < 1100
    assert world.nobody.error("/v2/Lab/Tool/manifests/1") == (400, "NAME_INVALID")
    assert "255 characters at most" in world.nobody.get(f"/v2/{'a' * 256}/manifests/1").text


@pytest.mark.parametrize("stream", [False, True])
def test_images_without_ranges_are_pulled_from_a_copy(world: World, stream: bool) -> None:
    image = Image((BASE, TOOL, BASE))
    publish(world.alice, world.folder, f"{NAME}:1.0", image, ranges=False, stream=stream)
    config, layers = world.nobody.pull(NAME, "1.0")
    assert (config, plain(layers)) == (image.config, image.layers)
    digest = world.nobody.get(f"/v2/{NAME}/manifests/1.0").headers["Docker-Content-Digest"]
    again = world.restarted()
    assert again.pull(NAME, digest) == (config, layers)
    blob = again.json(f"/v2/{NAME}/manifests/1.0")["layers"][1]
    part = again.get(f"/v2/{NAME}/blobs/{blob['digest']}", Range="bytes=3-7")
    assert (part.status_code, part.data) == (206, layers[1][3:8])


def test_a_copy_that_went_is_made_again(world: World) -> None:
    publish(world.alice, world.folder, f"{NAME}:1.0", Image((BASE, TOOL)), ranges=False)
    pulled = world.nobody.pull(NAME, "1.0")
    copies = list((world.folder / "cache/registry/copies").iterdir())
    assert len(copies) == 2
    for path in copies:
        path.unlink()
    manifest = world.nobody.get(f"/v2/{NAME}/manifests/1.0")
    assert world.nobody.pull(NAME, "1.0") == pulled
    assert world.nobody.get(f"/v2/{NAME}/manifests/1.0").data == manifest.data


def test_copies_make_room_for_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skyport_wf.registry.made_files.LARGEST", 2000)
    for number in range(3):
        image = Image((layer_tar({f"{number}": b""}),))
        publish(world.alice, world.folder, f"{NAME}:{number}", image, ranges=False)
        assert world.nobody.pull(NAME, str(number))[0] == image.config
    kept = [path for path in (world.folder / "cache/registry/copies").iterdir() if path.suffix == ".gz"]
    assert 0 < sum(path.stat().st_size for path in kept) <= 2000


def test_an_image_that_is_too_large_for_a_copy_is_refused_in_words(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skyport_wf.registry.copies.LARGEST", 10)
    publish(world.alice, world.folder, f"{NAME}:1.0", Image((BASE,)), ranges=False)
    answer = world.nobody.get(f"/v2/{NAME}/manifests/1.0")
    assert answer.status_code == 404
    assert "was published without ranges" in answer.text


@pytest.mark.parametrize("cache", ["/proc/nowhere", "relative"])
def test_images_are_pulled_where_no_cache_can_be(world: World, monkeypatch: pytest.MonkeyPatch, cache: str) -> None:
    image = Image((BASE, TOOL))
    publish(world.alice, world.folder, f"{NAME}:1.0", image)
    publish(world.alice, world.folder, f"{NAME}:0.1", image, ranges=False)
    monkeypatch.setenv("SKYPORT_CACHE", cache)
    for puller in (world.nobody, world.puller("alice")):
        assert puller.pull(NAME, "1.0")[0] == image.config
        assert puller.get(f"/v2/{NAME}/blobs/sha256:{'7' * 64}").status_code == 404
    # What needs one is refused in words.
    answer = world.nobody.get(f"/v2/{NAME}/manifests/0.1")
    assert answer.status_code in (404, 500)
    assert "SKYPORT_CACHE" in answer.text


@pytest.mark.parametrize("cache", ["/proc/nowhere", "relative"])
def test_lists_of_packages_are_made_anew_where_none_can_be_kept(
    world: World, monkeypatch: pytest.MonkeyPatch, cache: str
) -> None:
    status = layer_tar({"var/lib/dpkg/status": b"Package: tool\nVersion: 1\nArchitecture: all\n\n"})
    # A pushed image has its list on its node, unlike one of another tool, which is read for it.
    world.pusher("alice").push(f"{NAME}:1.0", Image((status,)))
    publish(world.alice, world.folder, f"{NAME}:0.1", Image((BASE, status)))
    monkeypatch.setenv("SKYPORT_CACHE", cache)
    subjects = {
        tag: world.nobody.get(f"/v2/{NAME}/manifests/{tag}").headers["Docker-Content-Digest"] for tag in ("1.0", "0.1")
    }
    for subject in subjects.values():
        assert len(world.nobody.json(f"/v2/{NAME}/referrers/{subject}")["manifests"]) == 1
    (listed,) = world.nobody.json(f"/v2/{NAME}/referrers/{subjects['1.0']}")["manifests"]
    (layer,) = world.restarted().json(f"/v2/{NAME}/manifests/{listed['digest']}")["layers"]
    assert b"pkg:deb/tool@1" in world.nobody.blob(NAME, layer)
    unknown = f"sha256:{'7' * 64}"
    assert world.nobody.error(f"/v2/{NAME}/manifests/{unknown}") == (404, "MANIFEST_UNKNOWN")
    assert world.nobody.error(f"/v2/{NAME}/blobs/{unknown}") == (404, "BLOB_UNKNOWN")
    assert world.nobody.json(f"/v2/{NAME}/referrers/{unknown}")["manifests"] == []


def test_who_only_pulls_leaves_nothing(world: World) -> None:
    publish(world.alice, world.folder, f"{NAME}:1.0", Image((BASE,)))
    for name in ("alice", "bob", "admin"):
        world.puller(name).pull(NAME, "1.0")
    assert [path for path in (world.folder / "cache").rglob("*") if not path.is_dir()] == []
    assert list((world.folder / "cache/registry/pushed").iterdir()) == []


@pytest.mark.slow
def test_a_large_config_is_read_whole(world: World) -> None:
    noise = "".join(hashlib.sha256(str(number).encode()).hexdigest() for number in range(20_000))
    image = Image((BASE,), labels={"noise": noise})
    publish(world.alice, world.folder, f"{NAME}:1.0", image)
    assert len(image.config) > 1_000_000
    assert world.nobody.pull(NAME, "1.0")[0] == image.config
    assert not (world.folder / "cache/registry/copies").exists() or not list(
        (world.folder / "cache/registry/copies").iterdir()
    )
