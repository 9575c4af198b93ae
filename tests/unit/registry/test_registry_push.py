"""Pushing images to a registry: they are published as by any other way, or not at all."""

import dataclasses
import gzip
import hashlib
import io
import json
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from backports.zstd import compress as zstd_compress

from skyport_wf.image.archive.canonical import save_canonical
from skyport_wf.image.archive.reader import inspect_archive
from skyport_wf.image.archive.stream import ArchiveStream
from skyport_wf.image.archive.strict_gzip import decompressed_strictly
from skyport_wf.image.examination.package_list import unpack
from skyport_wf.image_list.reference import parse_reference
from skyport_wf.registry import staging
from skyport_wf.registry.app import RegistryApp, ShockWithRegistry
from skyport_wf.registry.backend import EmbeddedBackend, RemoteBackend
from skyport_wf.registry.pushed_layers import find_layers
from skyport_wf.registry.refusals import UploadInvalidError
from skyport_wf.store.files import Staging
from skyport_wf.store.refusals import FullError
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.docker_archives import Image, layer_tar, legacy, tar_of
from tests.support.own_server import running_server
from tests.support.registry import DOCKER_MANIFEST, OCI_MANIFEST, Pusher, publish
from tests.support.timing import PATIENCE
from tests.unit.registry.conftest import World

BASE = layer_tar({"bin/bash": b"bash", "etc/os": b"debian"})
TOOL = layer_tar({"usr/bin/tool": bytes(70_000)})
NAME = "my-lab/tool"
IMAGE = Image((BASE, TOOL))


def nodes(world: World, query: str = "type=dockerimage") -> list[Any]:
    return world.alice.find(f"query&{query}")


def leftovers(world: World) -> list[Path]:
    """Return what waits to be published."""
    return [path for path in (world.folder / "cache/registry/pushed").glob("*/*") if path.is_file()]


def test_an_image_under_a_second_name_is_a_copy(world: World) -> None:
    alice = world.pusher("alice")
    sent = alice.push(f"{NAME}:1.0", IMAGE)
    assert alice.push(f"{NAME}:1", IMAGE, skip={BASE, TOOL}) == sent
    # Another user's node may say of its file what he likes; other layers are not those of the manifest.
    world.pusher("bob").push("bob/tool:1", IMAGE)
    other = alice.push(f"{NAME}:small", IMAGE, compress=lambda layer: gzip.compress(layer, 1, mtime=0))
    found = {node["attributes"]["name"]: node for node in nodes(world)}
    names = {name: node["attributes"]["skyport_wf"]["archive_name"] for name, node in found.items()}
    assert names == {f"{NAME}:1.0": "", f"{NAME}:1": f"{NAME}:1.0", "bob/tool:1": "", f"{NAME}:small": ""}
    sums = {name: node["file"]["checksum"]["md5"] for name, node in found.items()}
    assert sums[f"{NAME}:1"] == sums[f"{NAME}:1.0"]
    assert len(set(sums.values())) == 3
    for tag, manifest in (("1", sent), ("small", other)):
        assert world.nobody.get(f"/v2/{NAME}/manifests/{tag}", Accept=OCI_MANIFEST).data == manifest
        assert world.nobody.pull(NAME, tag)[0] == IMAGE.config
    assert leftovers(world) == []


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
    (node,) = nodes(world, "name=my-lab/tool:1.0")
    assert node["attributes"]["id"] == image.image_id
    assert node["expiration"].startswith("0001")
    with world.shock.store.files.open(node_file(world, node)) as file:
        stored = file.read()
    assert inspect_archive(ArchiveStream(io.BytesIO(stored), name="archive")).image_id == image.image_id
    digests = node["attributes"]["skyport_wf"]["archive"]
    assert digests["canonical"] is True
    assert digests["archive_sha256"] == f"sha256:{hashlib.sha256(gzip.decompress(stored)).hexdigest()}"
    assert digests["sha256"] == f"sha256:{hashlib.sha256(stored).hexdigest()}"
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
    assert leftovers(world) == []


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
    (node,) = nodes(world)
    stored = world.alice.get(f"/node/{node['id']}?download").content
    assert b"".join(decompressed_strictly(io.BytesIO(stored))) == gzip.decompress(stored)


@pytest.mark.slow
def test_gzip_layers_stay_as_they_are(world: World) -> None:
    def compress(layer: bytes) -> bytes:
        # In two members, as parallel compressors write them.
        return gzip.compress(layer[:100], 9, mtime=0) + gzip.compress(layer[100:], 1, mtime=0)

    world.pusher("alice").push(f"{NAME}:1.0", IMAGE, compress=compress)
    assert world.nobody.pull(NAME, "1.0")[1] == [compress(layer) for layer in IMAGE.layers]


def test_a_blob_in_chunks_as_a_stream_and_at_once(world: World) -> None:
    pusher, blob = world.pusher("alice"), bytes(range(256)) * 40
    digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
    started = pusher.send("POST", f"/v2/{NAME}/blobs/uploads/")
    assert (started.status_code, started.headers["Range"]) == (202, "0-0")
    where = started.headers["Location"]
    first = pusher.send("PATCH", where, blob[:100], Content_Range="0-99")
    assert (first.status_code, first.headers["Range"]) == (202, "0-99")
    # Out of order, or of another length than it says.
    for chunk_range in ("0-99", "101-200", "100-150", "x", "200-100"):
        assert pusher.send("PATCH", where, blob[100:200], Content_Range=chunk_range).status_code == 416
    # What is there already counts, wherever the client was interrupted.
    shown = pusher.send("GET", where)
    assert (shown.status_code, shown.headers["Range"]) == (204, "0-99")
    assert pusher.send("PATCH", where, blob[100:500]).headers["Range"] == "0-499"
    done = pusher.send("PUT", f"{where}?digest={digest}", blob[500:], Content_Range=f"500-{len(blob) - 1}")
    assert (done.status_code, done.headers["Location"]) == (201, f"/v2/{NAME}/blobs/{digest}")
    assert pusher.get(f"/v2/{NAME}/blobs/{digest}").data == blob
    assert pusher.get(f"/v2/{NAME}/blobs/{digest}", Range="bytes=3-9").data == blob[3:10]
    assert pusher.send("PATCH", where, b"x").status_code == 404
    at_once = pusher.send("POST", f"/v2/{NAME}/blobs/uploads/?digest={digest}", blob)
    assert at_once.status_code == 201
    # Nobody else has it, or its upload.
    for other in (world.nobody, world.pusher("bob"), world.pusher("admin")):
        assert other.get(f"/v2/{NAME}/blobs/{digest}").status_code == 404
    upload = pusher.send("POST", f"/v2/{NAME}/blobs/uploads/").headers["Location"]
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        assert world.pusher("bob").send(method, f"{upload}?digest={digest}").status_code == 404
    assert pusher.send("DELETE", upload).status_code == 204
    assert pusher.send("GET", upload).status_code == 404


def test_a_blob_of_another_digest_is_refused_and_gone(world: World) -> None:
    pusher = world.pusher("alice")
    wrong = f"sha256:{'7' * 64}"
    where = pusher.send("POST", f"/v2/{NAME}/blobs/uploads/").headers["Location"]
    assert pusher.error(f"{where}?digest={wrong}", method="PUT") == (400, "DIGEST_INVALID")
    assert pusher.send("GET", where).status_code == 404
    layer = gzip.compress(TOOL)
    for chunks in ([layer], [layer[:50], layer[50:]], [layer, layer], [b"x" + layer]):
        for digest in (wrong, f"sha256:{hashlib.sha256(chunks[0]).hexdigest()}"):
            where = pusher.send("POST", f"/v2/{NAME}/blobs/uploads/").headers["Location"]
            for chunk in chunks:
                assert pusher.send("PATCH", where, chunk).status_code == 202
            is_right = digest != wrong and len(chunks) == 1
            assert pusher.send("PUT", f"{where}?digest={digest}").status_code == (201 if is_right else 400)
            assert pusher.send("GET", where).status_code == 404
    for path in leftovers(world):
        path.unlink()
    for digest in ("", "x", "sha512:" + "7" * 128, "sha256:../../x"):
        assert pusher.send("POST", f"/v2/{NAME}/blobs/uploads/?digest={digest}").status_code == 400
    assert leftovers(world) == []


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
        answer = alice.send("PUT", f"/v2/{NAME}/manifests/1.0", changed(alice, IMAGE, change))
        assert answer.status_code == status, answer.text
    assert world.nobody.get(f"/v2/{NAME}/manifests/1.0", Accept=OCI_MANIFEST).data == sent
    assert len(nodes(world)) == 1


@pytest.mark.parametrize("tag", ["latest", ".x", "a" * 129, "ü"])
def test_a_tag_that_nothing_can_be_published_under(world: World, tag: str) -> None:
    answer = world.pusher("alice").try_push(f"{NAME}:{tag}", IMAGE)
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (400, "TAG_INVALID")
    assert nodes(world) == []


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
    assert not (world.folder / "cache/registry/pushed").exists() or leftovers(world) == []


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


def test_an_image_that_belongs_to_another_one(world: World) -> None:
    pusher = world.pusher("alice")
    subject = {"mediaType": OCI_MANIFEST, "size": 7, "digest": f"sha256:{'5' * 64}"}
    signature = changed(
        pusher, IMAGE, lambda manifest: manifest.update(subject=subject, annotations={"made.by": "hand"})
    )
    answer = pusher.send("PUT", f"/v2/{NAME}/manifests/1.0", signature)
    assert (answer.status_code, answer.headers["OCI-Subject"]) == (201, subject["digest"])
    kind = "application/vnd.oci.image.config.v1+json"
    told = {
        "mediaType": OCI_MANIFEST,
        "size": len(signature),
        "digest": f"sha256:{hashlib.sha256(signature).hexdigest()}",
        "artifactType": kind,
        "annotations": {"made.by": "hand"},
    }
    referrers = f"/v2/{NAME}/referrers/{subject['digest']}"
    for puller in (world.nobody, world.restarted()):
        assert puller.json(referrers)["manifests"] == [told]
        assert puller.json(f"{referrers}?artifactType={quote(kind)}")["manifests"] == [told]
        assert puller.json(f"{referrers}?artifactType=application/vnd.cyclonedx%2Bjson")["manifests"] == []
        assert puller.json(f"/v2/my-lab/other/referrers/{subject['digest']}")["manifests"] == []
    # It has a list of packages itself, as any image.
    (listed,) = world.nobody.json(f"/v2/{NAME}/referrers/{told['digest']}")["manifests"]
    assert listed["artifactType"] == "application/vnd.cyclonedx+json"


def test_a_list_of_packages_that_is_copied_with_its_image_is_made_anew(world: World) -> None:
    """As `oras cp -r` does it: image and list by digest, then the image by its tag."""
    pusher, other = world.pusher("alice"), "my-lab/copied"
    manifest = pusher.push(f"{NAME}:1.0", IMAGE)
    subject = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    (listed,) = pusher.json(f"/v2/{NAME}/referrers/{subject}")["manifests"]
    artifact = pusher.get(f"/v2/{NAME}/manifests/{listed['digest']}").data
    assert pusher.send("PUT", f"/v2/{other}/manifests/{subject}", manifest).status_code == 201
    answer = pusher.send("PUT", f"/v2/{other}/manifests/{listed['digest']}", artifact)
    assert (answer.status_code, answer.headers["OCI-Subject"]) == (201, subject), answer.text
    # Clients look whether it has arrived.
    assert pusher.get(f"/v2/{other}/manifests/{listed['digest']}").data == artifact
    assert pusher.send("PUT", f"/v2/{other}/manifests/1.0", manifest).status_code == 201
    (own,) = world.nobody.json(f"/v2/{other}/referrers/{subject}")["manifests"]
    (layer,) = world.nobody.json(f"/v2/{other}/manifests/{own['digest']}")["layers"]
    described = json.loads(world.nobody.blob(other, layer))["metadata"]["component"]
    assert (described["name"], described["version"]) == (other, "1.0")


@pytest.mark.parametrize(
    "change",
    [
        {"artifactType": "application/spdx+json"},
        {"subject": None},
        {"subject": {"digest": "x"}},
        {"config": {"mediaType": "application/x", "size": 3, "digest": f"sha256:{'7' * 64}"}},
        {"layers": []},
        {"layers": [{"mediaType": "application/vnd.cyclonedx+json", "size": 3, "digest": f"sha256:{'7' * 64}"}]},
    ],
)
def test_what_else_belongs_to_an_image_is_refused(world: World, change: dict[str, Any]) -> None:
    pusher = world.pusher("alice")
    subject = f"sha256:{hashlib.sha256(pusher.push(f'{NAME}:1.0', IMAGE)).hexdigest()}"
    (listed,) = pusher.json(f"/v2/{NAME}/referrers/{subject}")["manifests"]
    artifact = pusher.json(f"/v2/{NAME}/manifests/{listed['digest']}")
    content = json.dumps({**artifact, **change}).encode()
    path = f"/v2/my-lab/copied/manifests/sha256:{hashlib.sha256(content).hexdigest()}"
    answer = pusher.send("PUT", path, content)
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (400, "MANIFEST_INVALID")
    # Nor is a list of packages an image.
    assert pusher.send("PUT", "/v2/my-lab/copied/manifests/1", json.dumps(artifact).encode()).status_code == 400


def test_an_image_with_another_manifest_than_was_pushed_belongs_to_none(world: World) -> None:
    pusher, subject = world.pusher("alice"), f"sha256:{'5' * 64}"
    manifest = json.loads(pusher.send_image(NAME, IMAGE, compress=lambda layer: layer))
    manifest["subject"] = {"mediaType": OCI_MANIFEST, "size": 7, "digest": subject}
    answer = pusher.send("PUT", f"/v2/{NAME}/manifests/1.0", json.dumps(manifest).encode())
    assert (answer.status_code, answer.headers.get("OCI-Subject")) == (201, None)
    assert world.nobody.json(f"/v2/{NAME}/referrers/{subject}")["manifests"] == []


@pytest.mark.parametrize("pushed", ["{", 7, "[" * 100_000, "of other blobs"])
def test_what_a_node_says_of_its_manifest_is_not_believed(world: World, pushed: Any) -> None:
    subject = f"sha256:{'5' * 64}"
    node = publish(world.alice, world.folder, f"{NAME}:1.0", IMAGE)
    (found,) = nodes(world)
    if pushed == "of other blobs":
        manifest = json.loads(world.pusher("alice").send_image(NAME, Image((TOOL,))))
        pushed = json.dumps(manifest | {"subject": {"mediaType": OCI_MANIFEST, "size": 7, "digest": subject}})
    found["attributes"]["skyport_wf"]["pushed_manifest"] = pushed
    attributes = json.dumps(found["attributes"])
    assert world.alice.put(f"/node/{node}", files={"attributes_str": (None, attributes)}).status_code == 200
    assert world.nobody.json(f"/v2/{NAME}/referrers/{subject}")["manifests"] == []


@pytest.mark.parametrize("subject", [None, "x", {"digest": "sha512:5", "size": 1, "mediaType": "x"}, {"size": 1}])
def test_a_subject_that_is_none_is_passed_over(world: World, subject: Any) -> None:
    pusher = world.pusher("alice")
    manifest = changed(pusher, IMAGE, lambda manifest: manifest.update(subject=subject))
    answer = pusher.send("PUT", f"/v2/{NAME}/manifests/1.0", manifest)
    assert (answer.status_code, answer.headers.get("OCI-Subject")) == (201, None)


def test_a_digest_that_is_not_by_sha256_is_refused_with_what_is(world: World) -> None:
    manifest = world.pusher("alice").send_image(NAME, IMAGE)
    where = f"/v2/{NAME}/manifests/sha512:{hashlib.sha512(manifest).hexdigest()}"
    answer = world.pusher("alice").send("PUT", where, manifest)
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (400, "DIGEST_INVALID")
    assert "is not a digest by SHA-256" in answer.json["errors"][0]["message"]


def changed(pusher: Pusher, image: Image, change: Callable[[Any], object]) -> bytes:
    manifest = json.loads(pusher.send_image(NAME, image))
    change(manifest)
    return json.dumps(manifest).encode()


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
    manifest = changed(pusher, IMAGE, change)
    answer = pusher.send("PUT", f"/v2/{NAME}/manifests/1.0", manifest)
    assert answer.status_code == status, answer.text
    assert answer.json["errors"][0]["message"]
    assert nodes(world) == nodes(world, "type=dockerimage-upload") == []


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
    assert nodes(world) == nodes(world, "type=dockerimage-upload") == []


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
    assert nodes(world) == nodes(world, "type=dockerimage-upload") == []


def test_uploads_that_are_never_finished_are_few_and_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "MOST_UPLOADS", 3)
    pusher = world.pusher("alice")
    for _ in range(3):
        assert pusher.send("POST", f"/v2/{NAME}/blobs/uploads/").status_code == 202
    assert pusher.error(f"/v2/{NAME}/blobs/uploads/", method="POST") == (429, "TOOMANYREQUESTS")
    # Others are not concerned.
    assert world.pusher("bob").send("POST", f"/v2/{NAME}/blobs/uploads/").status_code == 202
    monkeypatch.setattr(staging, "UPLOAD_SECONDS", -1)
    assert pusher.send("POST", f"/v2/{NAME}/blobs/uploads/").status_code == 202
    assert len(leftovers(world)) == 1


def test_blobs_that_no_manifest_takes_go(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pusher = world.pusher("alice")
    pusher.send_image(NAME, IMAGE)
    assert leftovers(world)
    monkeypatch.setattr(staging, "BLOB_SECONDS", -1)
    staging.expire()
    assert leftovers(world) == []


def test_an_upload_in_one_request_that_breaks_off_leaves_nothing(world: World) -> None:
    request = f"POST /v2/{NAME}/blobs/uploads/?digest=sha256:{'7' * 64} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
    with running_server(world.app) as server, socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(f"{request}Authorization: Bearer {world.tokens['alice']}\r\n\r\nabc".encode())
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1000):
            pass
        assert leftovers(world) == []


class Interleaved:
    """What a slow client sends: between its two pieces, another request does something."""

    def __init__(self, pieces: tuple[bytes, bytes], between: Callable[[], object]) -> None:
        self._pieces, self._between = list(pieces), between

    def read(self, size: int, /) -> bytes:
        if len(self._pieces) == 1:
            self._between()
        return self._pieces.pop(0) if self._pieces else b""


@pytest.mark.usefixtures("world")
def test_what_comes_late_is_not_added_to_a_blob_that_is_finished() -> None:
    mine = staging.Staging("token")
    digest = f"sha256:{hashlib.sha256(b'first').hexdigest()}"
    opened = mine.open_upload()
    with pytest.raises(UploadInvalidError):
        opened.append(Interleaved((b"first", b"late"), lambda: mine.upload(opened.identity).finish(digest)))
    blob = mine.blob(digest)
    assert blob
    assert blob.read_bytes() == b"first"


@pytest.mark.usefixtures("world")
def test_of_two_requests_that_add_to_an_upload_at_once_one_goes_on() -> None:
    mine = staging.Staging("token")
    opened = mine.open_upload()
    with pytest.raises(UploadInvalidError):
        opened.append(
            Interleaved((b"first", b"late"), lambda: mine.upload(opened.identity).append(io.BytesIO(b", second")))
        )
    assert opened.path.read_bytes() == b"first, second"
    mine.upload(opened.identity).finish(f"sha256:{hashlib.sha256(b'first, second').hexdigest()}")


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
    assert leftovers(world) == []


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


def test_a_blob_that_is_too_large_or_a_disk_that_is_full(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pusher = world.pusher("alice")
    monkeypatch.setattr(staging, "LARGEST_BLOB", 1000)
    where = pusher.send("POST", f"/v2/{NAME}/blobs/uploads/").headers["Location"]
    assert pusher.send("PATCH", where, bytes(1001)).status_code == 413
    assert leftovers(world) == []
    monkeypatch.setattr(staging, "KEPT_FREE", 10**18)
    assert pusher.error(f"/v2/{NAME}/blobs/uploads/", method="POST") == (429, "TOOMANYREQUESTS")


def test_manifests_do_not_fill_the_disk(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pusher = world.pusher("alice")
    content = pusher.send_image(NAME, IMAGE)
    path = f"/v2/{NAME}/manifests/sha256:{hashlib.sha256(content).hexdigest()}"
    monkeypatch.setattr(staging, "MOST_FILES", len(leftovers(world)))
    assert pusher.send("PUT", path, content).status_code == 429
    # What has expired makes room.
    monkeypatch.setattr(staging, "BLOB_SECONDS", -1)
    assert pusher.send("PUT", path, content).status_code == 201
    monkeypatch.setattr(staging, "KEPT_FREE", 10**18)
    assert pusher.send("PUT", path, content).status_code == 429


@pytest.mark.parametrize("compress", [gzip.compress, bytes], ids=["gzip", "plain"])
def test_a_push_that_writes_here_needs_room(
    compress: Callable[[bytes], bytes], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_server(world.shock) as server:
        # A gateway sends the archive from a file; a layer that is not gzip is compressed into one.
        app = RegistryApp(RemoteBackend(server.url)) if compress is gzip.compress else world.app
        pusher = Pusher(app, world.tokens["alice"])
        manifest = pusher.send_image(NAME, IMAGE, compress=compress)
        monkeypatch.setattr(staging, "KEPT_FREE", 10**18)
        answer = pusher.send("PUT", f"/v2/{NAME}/manifests/1.0", manifest)
        assert (answer.status_code, answer.json["errors"][0]["code"]) == (429, "TOOMANYREQUESTS")
        monkeypatch.setattr(staging, "KEPT_FREE", 0)
        assert pusher.send("PUT", f"/v2/{NAME}/manifests/1.0", manifest).status_code == 201


@pytest.mark.parametrize("is_gateway", [False, True])
def test_a_shock_whose_disk_is_full(is_gateway: bool, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(self: Staging, data: bytes) -> int:
        raise FullError(world.folder, 1000, len(data))

    monkeypatch.setattr(Staging, "write", write)
    with running_server(world.shock) as server:
        app = RegistryApp(RemoteBackend(server.url)) if is_gateway else world.app
        answer = Pusher(app, world.tokens["alice"]).try_push(f"{NAME}:1.0", IMAGE)
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (429, "TOOMANYREQUESTS"), answer.text
    assert "disk is full" in answer.text
    assert str(world.folder) not in answer.text


def test_who_pushes_is_told_no_folders_of_the_server(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYPORT_CACHE", "/proc/nowhere")
    answer = world.pusher("alice").send("POST", f"/v2/{NAME}/blobs/uploads/")
    assert answer.status_code == 500
    assert "SKYPORT_CACHE" in answer.text
    assert "/proc/nowhere" not in answer.text


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
    (node,) = nodes(world)
    assert node["expiration"].startswith("0001")
    assert world.nobody.get(f"/v2/{NAME}/manifests/1.0").data == manifest
    assert leftovers(world) == []


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
    (node,) = nodes(world)
    (won,) = [image for image, answer in zip(images, answers, strict=True) if answer.status_code == 201]
    assert node["attributes"]["id"] == won.image_id
    left = [other for other in world.alice.find(f"query&name={NAME}:1.0") if other["id"] != node["id"]]
    assert [other for other in left if other["expiration"].startswith("0001")] == []


def test_what_is_pushed_has_its_packages_listed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list is made while the archive is checked, and what refers to the image is made of it: nothing is read."""
    status = b"Package: tool\nVersion: 1.2\nArchitecture: all\n\n"
    world.pusher("alice").push(f"{NAME}:1.0", Image((BASE, layer_tar({"var/lib/dpkg/status": status}))))
    (node,) = nodes(world)
    listed = unpack(node["attributes"]["skyport_wf_packages"], image_id=node["attributes"]["id"])
    assert listed
    assert [package.name for package in listed.packages] == ["tool"]
    monkeypatch.setattr("skyport_wf.inspection.show.examine_node", None)
    subject = world.nobody.get(f"/v2/{NAME}/manifests/1.0").headers["Docker-Content-Digest"]
    (artifact,) = world.nobody.json(f"/v2/{NAME}/referrers/{subject}")["manifests"]
    layer = world.nobody.json(f"/v2/{NAME}/manifests/{artifact['digest']}")["layers"][0]
    assert b"pkg:deb/tool@1.2?arch=all" in world.nobody.blob(NAME, layer)
