"""The manifest by which registries know a published image, as far as the attributes of its node tell."""

from collections.abc import Sequence

import msgspec

from skyport_wf.image.distribution.manifests import Flavour, Manifest, make_manifest
from skyport_wf.image.distribution.parsing import ManifestError, Reference, find_reference, parse_manifest
from skyport_wf.publication.attributes import NodeAttributes, PublishedFacts


def told_manifest(attributes: NodeAttributes) -> Manifest | None:
    """Return the manifest that a registry gives to a client that takes any.

    None if the node alone does not tell: its image is thin, or was published before layers were ranges of the file.
    """
    known = attributes.skyport_wf
    if known is None or known.config_size is msgspec.UNSET:
        return None
    stored = {layer.diff_id: (layer.digest, layer.size) for layer in known.archive.layers}
    layers = [stored[layer.diff_id] for layer in known.layers if layer.diff_id in stored]
    if len(layers) != len(known.layers):
        return None
    pushed = pushed_manifest(known, image_id=attributes.id, layers=[digest for digest, _ in layers])
    return pushed or make_manifest(Flavour.DOCKER, config=(attributes.id, known.config_size), layers=layers)


def pushed_manifest(known: PublishedFacts, *, image_id: str, layers: Sequence[str]) -> Manifest | None:
    """Return the manifest with which an image was pushed, if its node has one and it is of these very blobs.

    layers: digests, the lowest first.
    """
    content = _pushed_content(known)
    try:
        pushed = parse_manifest(content)
    except ManifestError:
        return None
    if (pushed.config, pushed.layers) != (image_id, tuple(layers)):
        return None
    return Manifest(pushed.media_type, content)


def has_layers_of(manifest: str, attributes: NodeAttributes) -> bool:
    """Return whether a node's file has the layers of a manifest as they are there, as far as those are gzip.

    manifest: JSON, of the node's image. Layers that are not gzip there are compressed otherwise in every file.
    """
    known, wanted = attributes.skyport_wf, parse_manifest(manifest.encode())
    if known is None or len(known.layers) != len(wanted.layers):
        return False
    stored = {layer.diff_id: layer.digest for layer in known.archive.layers}
    pairs = zip(known.layers, wanted.layers, strict=True)
    return all(stored.get(layer.diff_id) == digest for layer, digest in pairs if digest in wanted.gzipped)


def told_reference(attributes: NodeAttributes | None) -> Reference | None:
    """Return what an image was pushed to belong to, None if to nothing; whether it was, its blobs have to show."""
    known = attributes.skyport_wf if attributes else None
    return find_reference(_pushed_content(known)) if known else None


def _pushed_content(known: PublishedFacts) -> bytes:
    """Return the manifest that a node says its image was pushed with; empty if it says none."""
    # JSON can have halves of characters, which no manifest has.
    return (known.pushed_manifest or "").encode(errors="replace")
