"""The digest in a receipt is that of the manifest which the registry answers, without asking it."""

import json

import pytest

from skyport_wf.publication.attributes import read_attributes
from skyport_wf.publication.manifest import told_manifest
from tests.support.docker_archives import Image, layer_tar
from tests.support.registry import DOCKER_MANIFEST, OCI_MANIFEST, publish
from tests.unit.registry.conftest import World

BASE = layer_tar({"bin/bash": b"bash"})
TOOL = layer_tar({"usr/bin/tool": bytes(70_000)})
NAME = "my-lab/tool"
LAYERS = pytest.mark.parametrize(
    "layers", [(BASE, TOOL), (BASE, TOOL, BASE), (BASE, b"", TOOL), ()], ids=["two", "repeated", "empty", "none"]
)


def digest_of_receipt(world: World) -> str | None:
    """Return the digest that a receipt read off the node of the image says."""
    (node,) = world.alice.find(f"query&type=dockerimage&name={NAME}:1.0")
    attributes = read_attributes(node["attributes"])
    assert attributes is not None
    manifest = told_manifest(attributes)
    return manifest.digest if manifest else None


def digest_of_registry(world: World) -> str:
    answer = world.nobody.get(f"/v2/{NAME}/manifests/1.0", method="HEAD")
    return answer.headers["Docker-Content-Digest"]


@LAYERS
@pytest.mark.parametrize("stream", [False, True], ids=["canonical", "streamed"])
def test_of_a_published_image(world: World, layers: tuple[bytes, ...], stream: bool) -> None:
    publish(world.alice, world.folder, f"{NAME}:1.0", Image(layers), stream=stream)
    assert digest_of_receipt(world) == digest_of_registry(world)


@LAYERS
@pytest.mark.parametrize("media_type", [DOCKER_MANIFEST, OCI_MANIFEST])
def test_of_a_pushed_image(world: World, layers: tuple[bytes, ...], media_type: str) -> None:
    world.pusher("alice").push(f"{NAME}:1.0", Image(layers), media_type=media_type)
    assert digest_of_receipt(world) == digest_of_registry(world)


def test_of_an_image_that_was_pushed_without_compression(world: World) -> None:
    """Its layers are compressed by the registry, so that it has another manifest than the pushed one."""
    world.pusher("alice").push(f"{NAME}:1.0", Image((BASE, TOOL)), compress=bytes)
    assert digest_of_receipt(world) == digest_of_registry(world)


def test_where_the_node_alone_does_not_tell(world: World) -> None:
    base = Image((BASE,))
    publish(world.alice, world.folder, "my-lab/base:12", base)
    publish(world.alice, world.folder, f"{NAME}:1.0", Image((BASE, TOOL)), thin_on=("my-lab/base:12", base))
    assert digest_of_receipt(world) is None
    world.alice.delete(f"/node/{world.alice.find(f'query&type=dockerimage&name={NAME}:1.0')[0]['id']}")
    node = publish(world.alice, world.folder, f"{NAME}:1.0", Image((BASE, TOOL)))
    attributes = world.alice.get(f"/node/{node}").json()["data"]["attributes"]
    del attributes["skyport_wf"]["config_size"]
    changed = {"attributes": ("attributes.json", json.dumps(attributes).encode())}
    assert world.alice.put(f"/node/{node}", files=changed).status_code == 200
    assert digest_of_receipt(world) is None, "published by an earlier version"
