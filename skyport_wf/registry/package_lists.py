"""The packages in an image as an artifact that refers to it, so that `oras discover` and scanners find them.

The list is on the node. Where it is not, making it takes reading the image once; it is kept on this machine then.
Source: OCI image-spec 1.1, manifest.md, "Guidelines for Artifact Usage"; CycloneDX's media type (IANA).
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from skyport_wf.decoding import decode_json
from skyport_wf.digests import digest_of
from skyport_wf.errors import SkyportError
from skyport_wf.image.distribution.manifests import Descriptor, Flavour, Manifest
from skyport_wf.output_file import replace_file
from skyport_wf.progress import UNSEEN
from skyport_wf.publication.thin import name_of
from skyport_wf.registry.made_files import MadeFiles

if TYPE_CHECKING:
    from skyport_wf.image.examination.package_list import PackageList
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import Node

ARTIFACT_TYPE: Final = "application/vnd.cyclonedx+json"
INDEX_TYPE: Final = "application/vnd.oci.image.index.v1+json"
EMPTY: Final = b"{}"
"""The config of an artifact, which has none."""
_EMPTY_TYPE: Final = "application/vnd.oci.empty.v1+json"
_TITLED: Final = {"org.opencontainers.image.title": "packages.cdx.json"}


class _Artifact(msgspec.Struct, frozen=True, rename="camel"):
    artifact_type: str
    config: Descriptor
    layers: tuple[Descriptor]


class PackageLists:
    """The lists on this machine, which other processes may make and use, too."""

    def __init__(self) -> None:
        self._documents = MadeFiles("packages", ".cdx.json")
        self._making = threading.Lock()

    def find(self, node_id: str) -> bytes | None:
        """Return the CycloneDX document of the image on a node if it was made already."""
        path = self._documents.find(node_id)
        try:
            return path.read_bytes() if path else None
        except OSError:
            return None

    def find_digest(self, digest: str) -> list[str]:
        """Return the ids of the nodes whose document has this digest."""
        return [
            node_id
            for node_id in self._documents.known()
            if (document := self.find(node_id)) and digest_of(document) == digest
        ]

    def told(self, node: Node) -> bytes | None:
        """Return the document, made of the list on the node if it was not made yet; None if the node has no list."""
        from skyport_wf.publication.package_lists import listed_packages

        if found := self.find(node.id):
            return found
        listed = listed_packages(node)
        return self._keep(node, listed) if listed else None

    def make(self, shock: ShockClient, node: Node) -> bytes:
        """Return the document, made if it is not there.

        Raises ArchiveError if the node's file is no image, ShockError or TemporaryError if it cannot be read.
        """
        from skyport_wf.inspection.show import examine_node

        # One at a time, whatever is asked for: each takes a processor.
        with self._making:
            return self.told(node) or self._keep(node, examine_node(shock, node, name_of(node), UNSEEN).listed)

    def _keep(self, node: Node, listed: PackageList) -> bytes:
        from skyport_wf.image.examination.sbom import make_sbom

        document = make_sbom(name_of(node), listed)
        # Where nothing can be kept, it is made each time that it is asked for.
        with suppress(SkyportError, OSError):
            self._documents.make_room(len(document))
            with replace_file(self._documents.path(node.id)) as file:
                file.write(document)
        return document


def make_artifact(document: bytes, subject: Manifest) -> Manifest:
    """Return the manifest that attaches a list of packages to an image. subject: the image's manifest."""
    content = msgspec.json.encode(
        {
            "schemaVersion": 2,
            "mediaType": Flavour.OCI.media_type,
            "artifactType": ARTIFACT_TYPE,
            "config": Descriptor(_EMPTY_TYPE, len(EMPTY), digest_of(EMPTY)),
            "layers": [
                Descriptor(
                    ARTIFACT_TYPE,
                    len(document),
                    digest_of(document),
                    annotations=_TITLED,
                )
            ],
            "subject": subject.descriptor,
        }
    )
    return Manifest(Flavour.OCI.media_type, content)


def is_artifact(content: bytes) -> bool:
    """Return whether a manifest is one that `make_artifact` returns, of whichever image and registry."""
    try:
        found = decode_json(content, _Artifact)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    (layer,) = found.layers
    kinds = (found.artifact_type, layer.media_type, found.config.digest, layer.annotations)
    return kinds == (ARTIFACT_TYPE, ARTIFACT_TYPE, digest_of(EMPTY), _TITLED)


def make_referrers(descriptors: list[Descriptor]) -> bytes:
    """Return the index of what refers to an image."""
    return msgspec.json.encode({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": descriptors})
