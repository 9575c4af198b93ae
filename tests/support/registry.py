"""Published images for tests of the registry, and a client of it that is no program."""

import gzip
import io
import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import msgspec
from werkzeug.test import Client, TestResponse

from skyport_wf.image.archive.canonical import save_canonical
from skyport_wf.image.archive.normalise import NormalisedStream
from skyport_wf.image.contents import SavedArchive
from skyport_wf.image.distribution.manifests import Flavour
from skyport_wf.image_list.reference import parse_reference
from skyport_wf.publication.attributes import describe_image, to_json_values
from skyport_wf.records.source import Source, ThinBase
from tests.support.docker_archives import Image, legacy, sha256, tar_of
from tests.support.sample_records import build_record
from tests.support.store_people import Person

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def publish(
    person: Person,
    folder: Path,
    name: str,
    image: Image,
    /,
    *,
    public: bool = True,
    ranges: bool = True,
    stream: bool = False,
    thin_on: tuple[str, Image] | None = None,
    description: str = "Velvet, ä genome assembler",
    **attributes: Any,
) -> str:
    """Publish an image as its owner, and return the node's id.

    ranges: False for a node of before ranges were recorded.
    stream: in the order of the engine's export, as `publish` does it, instead of the canonical one.
    thin_on: name and image of its base.
    """
    reference = parse_reference(name)
    base = ThinBase(thin_on[0], thin_on[1].image_id, tuple(thin_on[1].diff_ids)) if thin_on else None
    source = io.BytesIO(tar_of(legacy(image)))
    if stream:
        normalised = NormalisedStream(source, reference)
        content = b"".join(normalised)
        saved = normalised.result
    else:
        saved = save_canonical(source, reference, folder / "saved", base=(base.layers or ()) if base else ())
        content = (folder / "saved").read_bytes()
    if not ranges:
        saved = SavedArchive(saved.contents, msgspec.structs.replace(saved.digests, layers=()))
    build = build_record(name=name, source=Source("archive", image.image_id), thin_on=base, description=description)
    described = to_json_values(describe_image(build, saved, registered="2026-01-02T03:04:05Z")) | attributes
    node: str = person.upload(content, {key: value for key, value in described.items() if value is not None})["id"]
    if public:
        assert person.put(f"/node/{node}/acl/public_read").status_code == 200
    return node


class Puller:
    """Someone who asks a registry, with a token or without."""

    def __init__(self, app: Any, token: str | None = None) -> None:
        self._client = Client(app)
        self._headers = {"Authorization": f"Bearer {token or 'anonymous'}"}

    def get(self, path: str, *, method: str = "GET", **headers: str) -> TestResponse:
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        return self._client.open(path, method=method, headers={**self._headers, **named})

    def json(self, path: str, **headers: str) -> Any:
        answer = self.get(path, **headers)
        assert answer.status_code == 200, answer.text
        return json.loads(answer.data)

    def error(self, path: str, *, method: str = "GET", **headers: str) -> tuple[int, str]:
        """Return status and code of an answer that has to be an error as the spec has it."""
        answer = self.get(path, method=method, **headers)
        document = json.loads(answer.data)
        assert set(document) == {"errors"}
        (error,) = document["errors"]
        assert error["message"]
        return answer.status_code, error["code"]

    def pull(self, repository: str, reference: str, accept: str = DOCKER_MANIFEST) -> tuple[bytes, list[bytes]]:
        """Return config and compressed layers of an image, each checked against its digest."""
        answer = self.get(f"/v2/{repository}/manifests/{reference}", Accept=accept)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Docker-Content-Digest"] == f"sha256:{sha256(answer.data)}"
        manifest = json.loads(answer.data)
        assert answer.content_type == manifest["mediaType"]
        blobs = [self.blob(repository, blob) for blob in (manifest["config"], *manifest["layers"])]
        return blobs[0], blobs[1:]

    def blob(self, repository: str, descriptor: Any) -> bytes:
        """Return a blob, checked against its descriptor."""
        answer = self.get(f"/v2/{repository}/blobs/{descriptor['digest']}")
        assert answer.status_code == 200, answer.text
        assert (f"sha256:{sha256(answer.data)}", len(answer.data)) == (descriptor["digest"], descriptor["size"])
        return answer.data


def gzipped(layer: bytes) -> bytes:
    """Return the same bytes each time, as gzip."""
    return gzip.compress(layer, mtime=0)


class Pusher(Puller):
    """Someone who pushes to a registry."""

    def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> TestResponse:
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        return self._client.open(path, method=method, data=body, headers={**self._headers, **named})

    def send_blob(self, repository: str, blob: bytes) -> str:
        """Push a blob as docker does, and return its digest."""
        digest = f"sha256:{sha256(blob)}"
        started = self.send("POST", f"/v2/{repository}/blobs/uploads/")
        assert started.status_code == 202, started.text
        where = started.headers["Location"]
        assert self.send("PATCH", where, blob).status_code == 202
        done = self.send("PUT", f"{where}?digest={digest}")
        assert done.status_code == 201, done.text
        return digest

    def send_image(
        self,
        repository: str,
        image: Image,
        *,
        media_type: str = OCI_MANIFEST,
        compress: Callable[[bytes], bytes] = gzipped,
        skip: Collection[bytes] = (),
    ) -> bytes:
        """Push the blobs of an image, and return the manifest that is to follow them.

        skip: layers that are there.
        """
        flavour = next(flavour for flavour in Flavour if flavour.media_type == media_type)
        _, config_type, layer_type = flavour.value
        blobs = [compress(layer) for layer in image.layers]
        for plain, blob in zip(image.layers, blobs, strict=True):
            if plain not in skip:
                self.send_blob(repository, blob)
        self.send_blob(repository, image.config)
        layers = [{"mediaType": layer_type, "size": len(blob), "digest": f"sha256:{sha256(blob)}"} for blob in blobs]
        config = {"mediaType": config_type, "size": len(image.config), "digest": image.image_id}
        # Not as the registry would write it.
        document = {"layers": layers, "config": config, "mediaType": media_type, "schemaVersion": 2}
        return json.dumps(document, indent=3).encode()

    def try_push(self, name: str, image: Image, **how: Any) -> TestResponse:
        """Push an image, and return the answer to its manifest."""
        repository, _, tag = name.rpartition(":")
        return self.send("PUT", f"/v2/{repository}/manifests/{tag}", self.send_image(repository, image, **how))

    def send_changed(self, repository: str, image: Image, change: Callable[[Any], object]) -> bytes:
        """Push the blobs of an image, and return its manifest as `change` makes it."""
        manifest = json.loads(self.send_image(repository, image))
        change(manifest)
        return json.dumps(manifest).encode()

    def push(self, name: str, image: Image, **how: Any) -> bytes:
        """Push an image, and return its manifest."""
        repository, _, tag = name.rpartition(":")
        manifest = self.send_image(repository, image, **how)
        answer = self.send("PUT", f"/v2/{repository}/manifests/{tag}", manifest)
        assert answer.status_code == 201, answer.text
        assert answer.headers["Docker-Content-Digest"] == f"sha256:{sha256(manifest)}"
        return manifest
