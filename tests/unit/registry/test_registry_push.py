"""Pushing images to a registry: they are published as by any other way, or not at all."""

import dataclasses
import gzip
import hashlib
import io
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from backports.zstd import compress as zstd_compress

from skyport_wf.image.archive.canonical import save_canonical
from skyport_wf.image.archive.reader import inspect_archive
from skyport_wf.image.archive.stream import ArchiveStream
from skyport_wf.image.archive.strict_gzip import decompressed_strictly
from skyport_wf.image.examination.package_list import unpack
from skyport_wf.image_list.reference import parse_reference
from skyport_wf.registry.app import RegistryApp, ShockWithRegistry
from skyport_wf.registry.backend import EmbeddedBackend
from skyport_wf.registry.pushed_layers import find_layers
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.docker_archives import Image, layer_tar, legacy, tar_of
from tests.support.registry import DOCKER_MANIFEST, OCI_MANIFEST, Pusher, publish
from tests.support.timing import PATIENCE
from tests.unit.registry.conftest import BASE, IMAGE, NAME, TOOL, World


def test_an_image_under_a_second_name_is_a_copy(world: World) -> None:
    alice = world.pusher("alice")
    sent = alice.push(f"{NAME}:1.0", IMAGE)
    assert alice.push(f"{NAME}:1", IMAGE, skip={BASE, TOOL}) == sent
    # Another user's node may say of its file what he likes; other layers are not those of the manifest.
    world.pusher("bob").push("bob/tool:1", IMAGE)
    other = alice.push(f"{NAME}:small", IMAGE, compress=lambda layer: gzip.compress(layer, 1, mtime=0))
    found = {node["attributes"]["name"]: node for node in world.nodes()}
    names = {name: node["attributes"]["skyport_wf"]["archive_name"] for name, node in found.items()}
    assert names == {f"{NAME}:1.0": "", f"{NAME}:1": f"{NAME}:1.0", "bob/tool:1": "", f"{NAME}:small": ""}
    sums = {name: node["file"]["checksum"]["md5"] for name, node in found.items()}
    assert sums[f"{NAME}:1"] == sums[f"{NAME}:1.0"]
    assert len(set(sums.values())) == 3
    for tag, manifest in (("1", sent), ("small", other)):
        assert world.nobody.get(f"/v2/{NAME}/manifests/{tag}", Accept=OCI_MANIFEST).data == manifest
        assert world.nobody.pull(NAME, tag)[0] == IMAGE.config
    assert world.leftovers() == []


def test_a_private_image_that_is_pushed_again_stays_private(world: World) -> None:
    node = publish(world.alice, world.folder, f"{NAME}:1.0", IMAGE, public=False)
    world.alice.put(f"/node/{node}/acl/read?users=bob")
    for name in ("alice", "bob"):
        world.pusher(name).push(f"{NAME}:1.0", IMAGE)
        assert [one["id"] for one in world.nodes()] == [node]
        assert world.nobody.get(f"/v2/{NAME}/manifests/1.0").status_code == 404
    # Another image does not take the tag.
    answer = world.pusher("bob").try_push(f"{NAME}:1.0", Image((TOOL,)))
    assert answer.status_code == 409


def test_a_push_mends_no_image_whose_file_is_lost_and_says_so(world: World) -> None:
    alice = world.pusher("alice")
    alice.push(f"{NAME}:1.0", IMAGE)
    (node,) = world.nodes()
    (file,) = world.shock.store.files
    file.unlink()
    answer = alice.try_push(f"{NAME}:1.0", IMAGE)
    assert (answer.status_code, answer.json["errors"][0]["message"]) == (
        409,
        f"{NAME}:1.0 is published already, and cannot be read: the embedded Shock refuses GET /node/{node['id']}"
        "?download: the node is damaged: the file is missing. Restore the file from a backup, or take the name off it "
        f"with `skyport-wf retire {NAME}:1.0 --node {node['id']}` and publish the image again.",
    )
    theirs = world.pusher("bob").try_push(f"{NAME}:1.0", IMAGE)
    assert theirs.status_code == 409
    assert theirs.json["errors"][0]["message"].endswith(
        "the file is missing. It is another user's: ask its owner to mend it, or use another tag."
    )
    # The advice is one that helps.
    retired = {**node["attributes"], "type": "dockerimage-retired"}
    assert world.alice.put(f"/node/{node['id']}", files={"attributes": ("a", json.dumps(retired))}).status_code == 200
    assert alice.try_push(f"{NAME}:1.0", IMAGE).status_code == 201


@pytest.mark.parametrize("media_type", [DOCKER_MANIFEST, OCI_MANIFEST])
@pytest.mark.parametrize(
    "layers",
    [(BASE, TOOL), (BASE, TOOL, BASE), (BASE, b"", TOOL), (TOOL + bytes(100),), ()],
    ids=["two", "repeated", "empty", "odd length", "none"],
)
def test_what_is_pushed_is_published_and_pulled_as_it_was(
    world: World, layers: tuple[bytes, ...], media_type: str
) -> None:
    image = Image(layers)
    pusher = world.pusher("alice")
    sent = pusher.push(f"{NAME}:1.0", image, media_type=media_type)
    (node,) = world.nodes("name=my-lab/tool:1.0")
    assert node["attributes"]["id"] == image.image_id
    assert node["expiration"].startswith("0001")
    with world.shock.store.files.open(node_file(world, node)) as file:
        stored = file.read()
    assert inspect_archive(ArchiveStream(io.BytesIO(stored), name="archive")).image_id == image.image_id
    digests = node["attributes"]["skyport_wf"]["archive"]
    assert digests["canonical"] is True
    assert digests["archive_sha256"] == f"sha256:{hashlib.sha256(gzip.decompress(stored)).hexdigest()}"
    assert digests["sha256"] == f"sha256:{hashlib.sha256(stored).hexdigest()}"
    assert digests["md5"] == hashlib.md5(stored, usedforsecurity=False).hexdigest()
    # The same bytes as of the same image that is published otherwise, but for how they are compressed.
    reference = parse_reference(f"{NAME}:1.0")
    other = save_canonical(io.BytesIO(tar_of(legacy(image))), reference, world.folder / "canonical.tar.gz")
    assert other.digests.archive_sha256 == digests["archive_sha256"]
    # Everyone pulls it, by the digest that the client was told, byte for byte as it was pushed.
    for puller in (world.nobody, world.restarted()):
        answer = puller.get(f"/v2/{NAME}/manifests/1.0", Accept=media_type)
        assert answer.data == sent
        # Also for a client that takes any form.
        assert puller.get(f"/v2/{NAME}/manifests/1.0").data == sent
        config, pulled = puller.pull(NAME, f"sha256:{hashlib.sha256(sent).hexdigest()}", media_type)
        assert (config, tuple(map(gzip.decompress, pulled))) == (image.config, layers)
    # And in the other form, too.
    other = OCI_MANIFEST if media_type == DOCKER_MANIFEST else DOCKER_MANIFEST
    assert world.nobody.pull(NAME, "1.0", other)[0] == image.config
    assert world.leftovers() == []


def test_a_layer_that_is_known_is_taken_from_where_it_is(world: World) -> None:
    """The second time, what it unpacks to is known, and only its compressed bytes are compared."""
    alice = world.pusher("alice")
    alice.push(f"{NAME}:1.0", IMAGE)
    for number in range(3):
        changed = Image((BASE, layer_tar({"usr/bin/tool": b"%d" % number})))
        alice.push(f"{NAME}:1.0.{number}", changed, skip={BASE})
        config, layers = world.restarted().pull(NAME, f"1.0.{number}")
        assert (config, tuple(map(gzip.decompress, layers))) == (changed.config, changed.layers)
        # Its layers swapped, it is another image, also to who knows them.
        manifest = json.loads(alice.send_image(NAME, Image((TOOL, BASE)), skip={BASE, TOOL}))
        manifest["layers"].reverse()
        answer = alice.send("PUT", f"/v2/{NAME}/manifests/swapped", json.dumps(manifest).encode())
        assert (answer.status_code, "the layers are not those of the config" in answer.text) == (400, True)


def node_file(world: World, node: Any) -> str:
    from skyport_wf.store.access import OURSELVES

    content = world.shock.store.read(node["id"], OURSELVES).content
    assert content
    return content.id


def with_zeros(layer: bytes) -> bytes:
    """Return a gzip file with what Docker does not read behind it."""
    return gzip.compress(layer, mtime=0) + bytes(300)


def with_long_name(layer: bytes) -> bytes:
    """Return a gzip file whose header has more than Docker reads."""
    stored = gzip.compress(layer, mtime=0)
    return stored[:3] + b"\x08" + stored[4:10] + b"n" * 600 + b"\0" + stored[10:]


@pytest.mark.parametrize(
    "compress",
    [zstd_compress, lambda layer: layer, with_zeros, with_long_name],
    ids=["zstd", "plain", "zeros", "long name"],
)
def test_other_layers_are_compressed_once(world: World, compress: Callable[[bytes], bytes]) -> None:
    world.pusher("alice").push(f"{NAME}:1.0", IMAGE, compress=compress)
    config, layers = world.nobody.pull(NAME, "1.0")
    assert (config, tuple(map(gzip.decompress, layers))) == (IMAGE.config, IMAGE.layers)
    (node,) = world.nodes()
    stored = world.alice.get(f"/node/{node['id']}?download").content
    assert b"".join(decompressed_strictly(io.BytesIO(stored))) == gzip.decompress(stored)


@pytest.mark.slow
def test_gzip_layers_stay_as_they_are(world: World) -> None:
    def compress(layer: bytes) -> bytes:
        # In two members, as parallel compressors write them.
        return gzip.compress(layer[:100], 9, mtime=0) + gzip.compress(layer[100:], 1, mtime=0)

    world.pusher("alice").push(f"{NAME}:1.0", IMAGE, compress=compress)
    assert world.nobody.pull(NAME, "1.0")[1] == [compress(layer) for layer in IMAGE.layers]


def test_what_is_published_need_not_be_pushed(world: World) -> None:
    publish(world.alice, world.folder, "other/base:1", Image((BASE,)))
    (layer,) = world.nobody.json("/v2/other/base/manifests/1")["layers"]
    pusher = world.pusher("bob")
    assert pusher.get(f"/v2/{NAME}/blobs/{layer['digest']}", method="HEAD").status_code == 200
    mounted = pusher.send("POST", f"/v2/{NAME}/blobs/uploads/?mount={layer['digest']}&from=other/base")
    assert mounted.status_code == 201
    unknown = pusher.send("POST", f"/v2/{NAME}/blobs/uploads/?mount=sha256:{'7' * 64}&from=other/base")
    assert unknown.status_code == 202
    blobs = {BASE: world.nobody.blob("other/base", layer)}
    pusher.push(f"{NAME}:1.0", IMAGE, compress=lambda plain: blobs.get(plain) or gzip.compress(plain), skip={BASE})
    config, layers = world.nobody.pull(NAME, "1.0")
    assert config == IMAGE.config
    assert layers[0] == blobs[BASE]


def test_a_layer_of_a_copy_need_not_be_pushed_either(world: World) -> None:
    publish(world.alice, world.folder, "other/base:1", Image((BASE,)), ranges=False)
    (layer,) = world.nobody.json("/v2/other/base/manifests/1")["layers"]
    stored = world.nobody.blob("other/base", layer)
    blobs = {BASE: stored}
    compress = lambda plain: blobs.get(plain) or gzip.compress(plain)  # noqa: E731
    world.pusher("bob").push(f"{NAME}:1.0", IMAGE, compress=compress, skip={BASE})
    assert world.nobody.pull(NAME, "1.0")[1][0] == stored


def test_a_private_layer_of_others_has_to_be_pushed(world: World) -> None:
    publish(world.alice, world.folder, "other/secret:1", Image((BASE,)), public=False)
    (layer,) = world.puller("alice").json("/v2/other/secret/manifests/1")["layers"]
    pusher = world.pusher("bob")
    assert pusher.send("POST", f"/v2/{NAME}/blobs/uploads/?mount={layer['digest']}&from=x").status_code == 202
    blobs = {BASE: world.puller("alice").blob("other/secret", layer)}
    answer = pusher.try_push(
        f"{NAME}:1.0", IMAGE, compress=lambda plain: blobs.get(plain) or gzip.compress(plain), skip={BASE}
    )
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (404, "MANIFEST_BLOB_UNKNOWN")


def test_a_name_is_pushed_to_once(world: World) -> None:
    alice = world.pusher("alice")
    sent = alice.push(f"{NAME}:1.0", IMAGE)
    # The same again is no change, for nobody.
    for name in ("alice", "bob", "admin"):
        world.pusher(name).push(f"{NAME}:1.0", IMAGE)
    other = Image((TOOL,))
    for name in ("alice", "bob", "admin"):
        answer = world.pusher(name).try_push(f"{NAME}:1.0", other)
        assert (answer.status_code, answer.json["errors"][0]["code"]) == (409, "DENIED")
        assert f"{NAME}:1.0" in answer.text
    # A manifest of the same image is looked at, too.
    for change, status in (
        (lambda manifest: manifest["layers"][0].update(digest=f"sha256:{'7' * 64}"), 404),
        (lambda manifest: manifest["layers"].clear(), 400),
    ):
        answer = alice.send("PUT", f"/v2/{NAME}/manifests/1.0", alice.send_changed(NAME, IMAGE, change))
        assert answer.status_code == status, answer.text
    assert world.nobody.get(f"/v2/{NAME}/manifests/1.0", Accept=OCI_MANIFEST).data == sent
    assert len(world.nodes()) == 1


@pytest.mark.parametrize("tag", ["latest", ".x", "a" * 129, "ü"])
def test_a_tag_that_nothing_can_be_published_under(world: World, tag: str) -> None:
    answer = world.pusher("alice").try_push(f"{NAME}:{tag}", IMAGE)
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (400, "TAG_INVALID")
    assert world.nodes() == []


def test_who_has_no_token_pushes_nothing(world: World) -> None:
    for method, path in (
        ("POST", f"/v2/{NAME}/blobs/uploads/"),
        ("PATCH", f"/v2/{NAME}/blobs/uploads/{'0' * 32}"),
        ("PUT", f"/v2/{NAME}/manifests/1.0"),
        ("GET", f"/v2/{NAME}/blobs/uploads/{'0' * 32}"),
    ):
        answer = world.nobody.get(path, method=method)
        assert answer.status_code == 401
        assert "Bearer realm=" in answer.headers["WWW-Authenticate"]
    assert not (world.folder / "cache/registry/pushed").exists() or world.leftovers() == []


def index_of(*entries: tuple[bytes, Any]) -> bytes:
    manifests = [
        {
            "mediaType": OCI_MANIFEST,
            "digest": f"sha256:{hashlib.sha256(manifest).hexdigest()}",
            "size": len(manifest),
            **({"platform": platform} if platform else {}),
        }
        for manifest, platform in entries
    ]
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": manifests,
    }
    return json.dumps(document).encode()


def test_of_an_index_the_image_for_awe_is_published(world: World) -> None:
    pusher = world.pusher("alice")
    other = Image((TOOL,))
    attestation = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": f"sha256:{'7' * 64}",
                "size": 2,
            },
            "layers": [{"mediaType": "application/vnd.in-toto+json", "digest": f"sha256:{'8' * 64}", "size": 2}],
        }
    ).encode()
    manifests = [pusher.send_image(NAME, image) for image in (other, IMAGE)]
    for manifest in (*manifests, attestation):
        digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
        assert pusher.send("PUT", f"/v2/{NAME}/manifests/{digest}", manifest).status_code == 201
        assert pusher.get(f"/v2/{NAME}/manifests/{digest}").data == manifest
        assert world.nobody.get(f"/v2/{NAME}/manifests/{digest}").status_code == 404
    index = index_of(
        (manifests[0], {"os": "linux", "architecture": "arm64"}),
        (manifests[1], {"os": "linux", "architecture": "amd64"}),
        (attestation, {"os": "unknown", "architecture": "unknown"}),
    )
    answer = pusher.send("PUT", f"/v2/{NAME}/manifests/1.0", index)
    assert answer.status_code == 201
    assert answer.headers["Docker-Content-Digest"] == f"sha256:{hashlib.sha256(index).hexdigest()}"
    assert world.nobody.pull(NAME, "1.0")[0] == IMAGE.config
    assert world.nobody.get(answer.headers["Location"]).status_code == 200
    only_arm = index_of((manifests[0], {"os": "linux", "architecture": "arm64"}))
    assert pusher.send("PUT", f"/v2/{NAME}/manifests/2.0", only_arm).status_code == 400
    missing = index_of((b"never pushed", {"os": "linux", "architecture": "amd64"}))
    refused = pusher.send("PUT", f"/v2/{NAME}/manifests/2.0", missing)
    assert (refused.status_code, refused.json["errors"][0]["code"]) == (404, "MANIFEST_BLOB_UNKNOWN")


@pytest.mark.parametrize(("system", "architecture"), [("linux", "arm64"), ("windows", "amd64")])
def test_an_image_that_no_worker_of_awe_can_run(world: World, system: str, architecture: str) -> None:
    pusher = world.pusher("alice")
    manifest = pusher.send_image(NAME, dataclasses.replace(IMAGE, architecture=architecture, os=system))
    refused = pusher.send("PUT", f"/v2/{NAME}/manifests/1.0", manifest)
    assert (refused.status_code, refused.json["errors"][0]["code"]) == (400, "MANIFEST_INVALID")
    assert f"it is an image for {system}/{architecture}, and AWE's workers are linux/amd64" in refused.text
    assert pusher.get(f"/v2/{NAME}/manifests/1.0").status_code == 404


def test_an_index_may_name_an_image_that_is_published(world: World) -> None:
    manifest = world.pusher("alice").push(f"{NAME}:1.0-amd64", IMAGE)
    index = index_of((manifest, {"os": "linux", "architecture": "amd64"}))
    answer = world.pusher("bob").send("PUT", f"/v2/{NAME}/manifests/1.0", index)
    assert answer.status_code == 201, answer.text
    assert world.nobody.get(f"/v2/{NAME}/manifests/1.0").data == manifest


@pytest.mark.parametrize(("indexes", "code"), [(2, 201), (4, 201), (5, 400)])
def test_an_index_may_lead_to_another(world: World, indexes: int, code: int) -> None:
    pusher = world.pusher("alice")
    content = manifest = pusher.send_image(NAME, IMAGE)
    for _ in range(indexes):
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        assert pusher.send("PUT", f"/v2/{NAME}/manifests/{digest}", content).status_code == 201
        content = index_of((content, {"os": "linux", "architecture": "amd64"} if content == manifest else None))
    answer = pusher.send("PUT", f"/v2/{NAME}/manifests/1.0", content)
    assert answer.status_code == code, answer.text
    if code == 201:
        assert world.nobody.get(f"/v2/{NAME}/manifests/1.0").data == manifest
    else:
        assert "it has indexes within indexes, more than any tool writes" in answer.text


def test_of_several_variants_the_one_that_runs_everywhere_is_published(world: World) -> None:
    pusher = world.pusher("alice")
    platform = {"os": "linux", "architecture": "amd64"}
    images = {variant: Image((layer_tar({variant: b""}),)) for variant in ("v3", "v2", "")}
    for tag, variants in enumerate((["v3", "v2", ""], ["v3", "v2"])):
        entries = []
        for variant in variants:
            manifest = pusher.send_image(NAME, images[variant])
            pusher.send("PUT", f"/v2/{NAME}/manifests/sha256:{hashlib.sha256(manifest).hexdigest()}", manifest)
            entries.append((manifest, {**platform, "variant": variant} if variant else platform))
        answer = pusher.send("PUT", f"/v2/{NAME}/manifests/{tag}", index_of(*entries))
        assert answer.status_code == 201, answer.text
        assert world.nobody.pull(NAME, str(tag))[0] == images[variants[-1]].config


def test_of_an_index_without_platforms_the_image_for_awe_is_published(world: World) -> None:
    pusher, entries = world.pusher("alice"), []
    for image in (Image((TOOL,), architecture="arm64"), IMAGE):
        manifest = pusher.send_image(NAME, image)
        pusher.send("PUT", f"/v2/{NAME}/manifests/sha256:{hashlib.sha256(manifest).hexdigest()}", manifest)
        entries.append((manifest, None))
    answer = pusher.send("PUT", f"/v2/{NAME}/manifests/1", index_of(*entries))
    assert answer.status_code == 201, answer.text
    assert world.nobody.pull(NAME, "1")[0] == IMAGE.config


def test_a_digest_that_is_not_by_sha256_is_refused_with_what_is(world: World) -> None:
    manifest = world.pusher("alice").send_image(NAME, IMAGE)
    where = f"/v2/{NAME}/manifests/sha512:{hashlib.sha512(manifest).hexdigest()}"
    answer = world.pusher("alice").send("PUT", where, manifest)
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (400, "DIGEST_INVALID")
    assert "is not a digest by SHA-256" in answer.json["errors"][0]["message"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda manifest: manifest["layers"].pop(), 400),
        (lambda manifest: manifest["layers"].reverse(), 400),
        (lambda manifest: manifest["layers"].append(manifest["layers"][0]), 400),
        (lambda manifest: manifest["layers"][0].update(digest=f"sha256:{'7' * 64}"), 404),
        (lambda manifest: manifest["layers"][0].update(digest="x/../../y"), 400),
        (lambda manifest: manifest["config"].update(digest=f"../x/{'7' * 64}"), 400),
        (lambda manifest: manifest["layers"][0].update(size=1), 400),
        (lambda manifest: manifest["config"].update(size=manifest["config"]["size"] + 1), 400),
        (lambda manifest: manifest.update(annotations={"a": 1}), 400),
        (lambda manifest: manifest["layers"][0].update(annotations=["a"]), 400),
        (lambda manifest: manifest["layers"][0].update(mediaType="text/html"), 400),
        (lambda manifest: manifest["config"].update(digest=f"sha256:{'7' * 64}"), 404),
        (lambda manifest: manifest["config"].update(digest=manifest["layers"][0]["digest"]), 400),
        (lambda manifest: manifest["config"].update(mediaType="application/vnd.cncf.helm.config.v1+json"), 400),
        (lambda manifest: manifest.update(layers=manifest["layers"] * 600), 400),
        (lambda manifest: manifest.update(schemaVersion=1), 400),
        (lambda manifest: manifest.update(mediaType="application/x"), 400),
        (lambda manifest: manifest.update(artifactType="x/y"), 400),
        (lambda manifest: manifest.update(layers=None), 400),
        (lambda manifest: manifest.update(config=[]), 400),
    ],
)
def test_a_manifest_that_does_not_fit(world: World, change: Callable[[Any], object], status: int) -> None:
    pusher = world.pusher("alice")
    manifest = pusher.send_changed(NAME, IMAGE, change)
    answer = pusher.send("PUT", f"/v2/{NAME}/manifests/1.0", manifest)
    assert answer.status_code == status, answer.text
    assert answer.json["errors"][0]["message"]
    assert world.nodes() == world.nodes("type=dockerimage-upload") == []


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff", b'{"schemaVersion": 2}', b"[" * 100_000, b" " * (5 << 20)]
)
def test_a_body_that_is_no_manifest(world: World, content: bytes) -> None:
    answer = world.pusher("alice").send("PUT", f"/v2/{NAME}/manifests/1.0", content)
    assert answer.status_code in (400, 413)
    assert answer.json["errors"][0]["code"] in ("MANIFEST_INVALID", "SIZE_INVALID")


@pytest.mark.parametrize(
    "layer",
    [
        b"no layer",
        b'{"json": 1}',
        gzip.compress(b"no tar, but compressed" * 50),
        gzip.compress(BASE)[:-5],
        gzip.compress(BASE) + b"rubbish",
        b"\x1f\x8b" + bytes(50),
        zstd_compress(BASE)[:-5],
        b"PK\x03\x04" + bytes(600),
    ],
)
def test_a_layer_that_is_none(world: World, layer: bytes) -> None:
    # The config says that it is: by the digest of what can be read of it.
    answer = world.pusher("alice").try_push(f"{NAME}:1.0", IMAGE, compress=lambda plain: layer)
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (400, "MANIFEST_INVALID")
    # Or that it is just these bytes.
    answer = world.pusher("alice").try_push(f"{NAME}:1.0", Image((layer,)), compress=lambda plain: plain)
    assert answer.status_code == 400
    assert world.nodes() == world.nodes("type=dockerimage-upload") == []


@pytest.mark.parametrize("config", [b"", b"{}", b"[1]", b'{"rootfs": {"diff_ids": ["x"]}}', b"\xff" * 100])
def test_a_config_that_is_none(world: World, config: bytes) -> None:
    pusher = world.pusher("alice")
    manifest = json.loads(pusher.send_image(NAME, IMAGE))
    manifest["config"] |= {"digest": pusher.send_blob(NAME, config), "size": len(config)}
    answer = pusher.send("PUT", f"/v2/{NAME}/manifests/1.0", json.dumps(manifest).encode())
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (400, "MANIFEST_INVALID")


def test_a_config_that_docker_cannot_read(world: World) -> None:
    pusher = world.pusher("alice")
    manifest = json.loads(pusher.send_image(NAME, IMAGE))
    config = json.dumps(json.loads(IMAGE.config) | {"created": "2020-01-01"}).encode()
    manifest["config"] |= {"digest": pusher.send_blob(NAME, config), "size": len(config)}
    answer = pusher.send("PUT", f"/v2/{NAME}/manifests/1.0", json.dumps(manifest).encode())
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (400, "MANIFEST_INVALID")
    told = 'my-lab/tool:1.0 cannot be loaded by Docker: `created` in its config is "2020-01-01", and Docker takes'
    assert told in answer.json["errors"][0]["message"]
    assert world.nodes() == world.nodes("type=dockerimage-upload") == []


def test_a_layer_that_two_push_at_once_stays_for_both(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    found, proceed = threading.Event(), threading.Event()

    def wait(context: Any, repository: str, manifest: Any) -> Any:
        layers = find_layers(context, repository, manifest)
        if repository == "my-lab/slow":
            found.set()
            assert proceed.wait(PATIENCE)
        return layers

    monkeypatch.setattr("skyport_wf.registry.push.find_layers", wait)
    alice = world.pusher("alice")
    slow = alice.send_image("my-lab/slow", IMAGE)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(world.pusher("alice").send, "PUT", "/v2/my-lab/slow/manifests/1", slow)
        try:
            assert found.wait(PATIENCE)
            alice.push("my-lab/quick:1", Image((BASE,)))
        finally:
            proceed.set()
        assert answer.result().status_code == 201, answer.result().text
    assert world.nobody.pull("my-lab/slow", "1")[0] == IMAGE.config
    assert world.leftovers() == []


def test_a_plain_layer_may_be_pushed_once_for_several_images(world: World) -> None:
    pusher = world.pusher("alice")
    manifest = pusher.send_image(NAME, IMAGE, compress=bytes)
    for tag in ("1.0", "2.0"):
        answer = pusher.send("PUT", f"/v2/{NAME}/manifests/{tag}", manifest)
        assert answer.status_code == 201, answer.text
        assert world.nobody.pull(NAME, tag)[0] == IMAGE.config


def test_a_false_claim_to_a_layer_keeps_nobody_from_pushing_it(world: World) -> None:
    layer = gzip.compress(BASE)
    digest = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    for number in range(12):
        junk = Image((layer_tar({f"junk {number}": b""}),))
        node = publish(world.alice, world.folder, f"junk/claim:{number}", junk)
        attributes = world.alice.get(f"/node/{node}").json()["data"]["attributes"]
        attributes["skyport_wf"]["archive"]["layers"][0] |= {"digest": digest, "size": len(layer)}
        world.alice.put(f"/node/{node}", files={"attributes": ("a.json", json.dumps(attributes))})
    bob = world.pusher("bob")
    path = f"/v2/{NAME}/blobs/{digest}"
    # It is believed until somebody reads it.
    assert bob.get(path, method="HEAD").status_code == 200
    compress = lambda plain: layer if plain == BASE else gzip.compress(plain, mtime=0)  # noqa: E731
    assert bob.try_push(f"{NAME}:1.0", IMAGE, compress=compress, skip={BASE}).status_code == 404
    assert bob.get(path, method="HEAD").status_code == 404
    bob.push(f"{NAME}:1.0", IMAGE, compress=compress)
    for puller in (world.nobody, world.restarted()):
        assert puller.pull(NAME, "1.0")[1][0] == layer


def test_a_layer_that_unpacks_to_the_same_is_not_taken_for_the_one_that_is_named(world: World) -> None:
    """Who pulls by its digest would be told that it is damaged."""
    node = publish(world.alice, world.folder, "other/base:1", Image((BASE,)))
    attributes = world.alice.get(f"/node/{node}").json()["data"]["attributes"]
    facts = attributes["skyport_wf"]["archive"]["layers"][0]
    part = f"seek={facts['offset']}&length={facts['size']}"
    layer = bytearray(world.alice.get(f"/node/{node}?download&{part}").content)
    layer[4] ^= 1  # the time in the header of gzip
    assert gzip.decompress(layer) == BASE
    facts["digest"] = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    world.alice.put(f"/node/{node}", files={"attributes": ("a.json", json.dumps(attributes))})
    compress = lambda plain: bytes(layer) if plain == BASE else gzip.compress(plain, mtime=0)  # noqa: E731
    assert world.pusher("bob").try_push(f"{NAME}:1.0", IMAGE, compress=compress, skip={BASE}).status_code == 404
    world.pusher("bob").push(f"{NAME}:1.0", IMAGE, compress=compress)
    assert world.nobody.pull(NAME, "1.0")[1][0] == layer


def test_a_manifest_that_is_too_large_for_a_list_of_images(world: World) -> None:
    pusher = world.pusher("alice")
    manifest = json.loads(pusher.send_image(NAME, IMAGE))
    for size, said in ((70_000, (413, "SIZE_INVALID")), (60_000, (201, ""))):
        content = json.dumps({**manifest, "annotations": {"note": "x" * size}}).encode()
        answer = pusher.send("PUT", f"/v2/{NAME}/manifests/1.0", content)
        assert (answer.status_code, answer.json["errors"][0]["code"] if answer.data else "") == said


@pytest.mark.slow
def test_a_layer_that_unpacks_to_far_more_than_an_image(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skyport_wf.image.archive.limits.EXPANSION_ABOVE", 1 << 20)
    bomb = gzip.compress(bytes(50 << 20))
    answer = world.pusher("alice").try_push(f"{NAME}:1.0", IMAGE, compress=lambda plain: bomb)
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (400, "MANIFEST_INVALID")


def test_where_everyone_may_write_everyone_pushes(world: World) -> None:
    shock = ShockApp(world.shock.store, anonymous=frozenset({"read", "write", "delete"}))
    app = ShockWithRegistry(shock, RegistryApp(EmbeddedBackend(shock)))
    manifest = Pusher(app).push(f"{NAME}:1.0", IMAGE)
    (node,) = world.nodes()
    assert node["expiration"].startswith("0001")
    assert world.nobody.get(f"/v2/{NAME}/manifests/1.0").data == manifest
    assert world.leftovers() == []


def test_two_who_push_one_name_at_once(world: World) -> None:
    images = [Image((layer_tar({str(number): b""}),)) for number in range(4)]
    pushers = [world.pusher(name) for name in ("alice", "bob", "alice", "bob")]
    manifests = [pusher.send_image(NAME, image) for pusher, image in zip(pushers, images, strict=True)]
    with ThreadPoolExecutor() as pool:
        answers = list(
            pool.map(
                lambda pair: pair[0].send("PUT", f"/v2/{NAME}/manifests/1.0", pair[1]),
                zip(pushers, manifests, strict=True),
            )
        )
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 201, [answer.text for answer in answers]
    assert set(statuses[1:]) <= {409, 503}
    (node,) = world.nodes()
    (won,) = [image for image, answer in zip(images, answers, strict=True) if answer.status_code == 201]
    assert node["attributes"]["id"] == won.image_id
    left = [other for other in world.alice.find(f"query&name={NAME}:1.0") if other["id"] != node["id"]]
    assert [other for other in left if other["expiration"].startswith("0001")] == []


def test_what_is_pushed_has_its_packages_listed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list is made while the archive is checked, and what refers to the image is made of it: nothing is read."""
    status = b"Package: tool\nVersion: 1.2\nArchitecture: all\n\n"
    world.pusher("alice").push(f"{NAME}:1.0", Image((BASE, layer_tar({"var/lib/dpkg/status": status}))))
    (node,) = world.nodes()
    listed = unpack(node["attributes"]["skyport_wf_packages"], image_id=node["attributes"]["id"])
    assert listed
    assert [package.name for package in listed.packages] == ["tool"]
    monkeypatch.setattr("skyport_wf.inspection.show.examine_node", None)
    subject = world.nobody.get(f"/v2/{NAME}/manifests/1.0").headers["Docker-Content-Digest"]
    (artifact,) = world.nobody.json(f"/v2/{NAME}/referrers/{subject}")["manifests"]
    layer = world.nobody.json(f"/v2/{NAME}/manifests/{artifact['digest']}")["layers"][0]
    assert b"pkg:deb/tool@1.2?arch=all" in world.nobody.blob(NAME, layer)
