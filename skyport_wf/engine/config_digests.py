"""Finding an image by its config digest, which is published as its id, whatever the engine itself calls it.

Podman and Docker's classic image store call an image by its config digest. containerd's image store calls it by the
digest of its manifest, or of an index of manifests: there, nothing answers to the config digest, and no request tells
it. But the image's export holds the manifest, and a manifest's digest stands for one config forever: so it is read once
and remembered in the cache.
"""

from __future__ import annotations

import json
import tarfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from skyport_wf.byte_streams import PIECE
from skyport_wf.cache import read_note, write_note
from skyport_wf.digests import digest_of, is_sha256
from skyport_wf.engine.capabilities import uses_containerd_store
from skyport_wf.engine.images import EngineImage, export_image, find_image, is_whole, list_image_ids
from skyport_wf.errors import EngineError, SkyportError
from skyport_wf.image_list.reference import ImageReference

if TYPE_CHECKING:
    from docker import APIClient

_NOTES: Final = "engine-images"
_LARGEST: Final = 4 << 20
"""Bytes of a manifest or an index. Source: distribution, which takes no larger ones."""


def config_digest(client: APIClient, image: EngineImage) -> str:
    """Return the image's config digest, `sha256:` and 64 hex digits: the same on every engine.

    Raises EngineError if the image vanishes meanwhile.
    """
    if not uses_containerd_store(client):
        return image.id
    known = _noted(image.id)
    if known is None:
        known = _read_config_digest(client, image)
        note_config_digest(image.id, known)
    return known


def has_name(client: APIClient, name: str, digest: str) -> bool:
    """Return whether a name is that of the image of a config digest; other tools publish that without `sha256:`."""
    found = find_image(client, name)
    return found is not None and config_digest(client, found) == f"sha256:{digest.removeprefix('sha256:')}"


def note_config_digest(engine_id: str, digest: str) -> None:
    """Remember the config digest of an image whose archive has been read, so that nobody has to read it again."""
    if engine_id != digest:
        # It only saves time: nothing fails where nothing can be written.
        with suppress(SkyportError, OSError):
            write_note(_NOTES, engine_id, digest)


def _noted(engine_id: str) -> str | None:
    with suppress(SkyportError):
        return read_note(_NOTES, engine_id, str)
    return None


def base_reference(digest: str) -> ImageReference:
    """Return a name of our own for a published image, for where its own name is another image's in the engine."""
    return ImageReference("skyport-wf/base", digest.removeprefix("sha256:"))


def find_by_config_digest(client: APIClient, digest: str, *, named: str = "") -> EngineImage | None:
    """Return the image that the engine has of this config digest; None if it has none, or none with all its layers.

    digest: other tools publish it without `sha256:`.
    named: a name that the image may have there. On containerd's store, an image that neither has it nor was saved or
    looked at by this user before is not found.
    """
    digest = f"sha256:{digest.removeprefix('sha256:')}"
    if not is_sha256(digest):
        return None
    if not uses_containerd_store(client):
        return find_image(client, digest)
    for engine_id in sorted(list_image_ids(client)):
        if _noted(engine_id) == digest and (found := find_image(client, engine_id)) and is_whole(client, found):
            return found
    candidate = find_image(client, named) if named else None
    if candidate and is_whole(client, candidate) and config_digest(client, candidate) == digest:
        return candidate
    return None


def _read_config_digest(client: APIClient, image: EngineImage) -> str:
    """Return the config digest that the image's manifest names, read from the image's export.

    The export is an OCI layout with its blobs in the order of their digests: it is read up to the manifest.
    """
    wanted, documents = image.id, dict[str, bytes]()
    with export_image(client, image.id) as stream, suppress(tarfile.TarError):
        for member in (tar := tarfile.open(fileobj=cast(BinaryIO, stream), mode="r|", bufsize=PIECE)):  # noqa: SIM115
            tar.members = []  # type: ignore[attr-defined]  # or the list of all members stays in memory
            file = tar.extractfile(member) if member.isreg() and member.size <= _LARGEST else None
            content = file.read() if file else b""
            # Small layers are blobs, too, and may begin in any way: only what is asked for is read as JSON.
            if content.startswith(b"{"):
                documents[digest_of(content)] = content
            while wanted in documents:
                document = json.loads(documents.pop(wanted))
                if "manifests" not in document:
                    return str(document["config"]["digest"])
                wanted = _choose_manifest(document["manifests"], image)
    raise EngineError(
        f"the engine's export of {image.id} lacks {wanted}, the image's manifest. Pull or build it again."
    )


def _choose_manifest(manifests: list[dict[str, Any]], image: EngineImage) -> str:
    """Return the digest of the one manifest of an index that the engine uses; others are attestations."""
    fitting = [
        manifest["digest"]
        for manifest in manifests
        if manifest.get("platform", {}).get("os") == image.os
        and manifest["platform"].get("architecture") == image.architecture
        and manifest["platform"].get("variant", "") in ("", image.variant)
    ]
    if not fitting:
        raise EngineError(f"the engine has no image for {image.os}/{image.architecture} of the index {image.id}.")
    return str(fitting[0])
