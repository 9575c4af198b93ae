"""Images that are pushed as belonging to another one, and lists of packages, which belong to an image."""

import hashlib
import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.docker_archives import Image
from tests.support.registry import OCI_MANIFEST, publish
from tests.unit.registry.conftest import IMAGE, NAME, TOOL, World


def test_an_image_that_belongs_to_another_one(world: World) -> None:
    pusher = world.pusher("alice")
    subject = {"mediaType": OCI_MANIFEST, "size": 7, "digest": f"sha256:{'5' * 64}"}
    signature = pusher.send_changed(
        NAME, IMAGE, lambda manifest: manifest.update(subject=subject, annotations={"made.by": "hand"})
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
    (found,) = world.nodes()
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
    manifest = pusher.send_changed(NAME, IMAGE, lambda manifest: manifest.update(subject=subject))
    answer = pusher.send("PUT", f"/v2/{NAME}/manifests/1.0", manifest)
    assert (answer.status_code, answer.headers.get("OCI-Subject")) == (201, None)
