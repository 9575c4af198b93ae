"""Make one layer of an image, without the files that lower layers hold but the image no longer shows."""

from __future__ import annotations

import hashlib
import json
import tarfile
import tempfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any, cast

from skyport_wf.byte_streams import PIECE
from skyport_wf.engine.capabilities import podman_version
from skyport_wf.engine.connection import engine_errors
from skyport_wf.engine.images import export_image, find_image, load_image, tag_image
from skyport_wf.errors import EngineError
from skyport_wf.image.archive.layout import END, config_name, layer_name, padding, tar_file, tar_header
from skyport_wf.image.archive.manifest import image_id, manifest_document
from skyport_wf.image.archive.reader import ArchiveReader

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.image_list.reference import ImageReference

_CONTAINERS_OWN = frozenset({"/.dockerenv", "/run/.containerenv"})
"""Files that a container has and its image has not, of Docker and of podman."""
_TOUCHED_BY_CONTAINER = frozenset(
    {
        "/", "/dev", "/dev/console", "/dev/pts", "/dev/shm",  # noqa: S108 - inside of images
        "/etc", "/etc/hostname", "/etc/hosts", "/etc/mtab", "/etc/resolv.conf", "/proc", "/sys",
    }
)  # fmt: skip
"""Files that making a container makes or touches: without their time, the same image gives the same layer."""


def flatten_image(client: APIClient, image: str, reference: ImageReference) -> str:
    """Make an image of one layer that shows the files of `image`, with its config; tag it, and return its id.

    Source: `docker export` of a container that never ran; the config as the OCI image-spec, config.md, has it.
    """
    with tempfile.TemporaryFile() as layer:
        _export_files(client, image, layer)
        layer.seek(0)
        config = _config(client, image, f"sha256:{hashlib.file_digest(layer, 'sha256').hexdigest()}")
        load_image(client, _archive(config, layer, str(reference)), str(reference))
    made = image_id(config)
    found = find_image(client, made) or find_image(client, str(reference))
    if found is None:
        raise EngineError(f"flattening {reference}: the engine does not have what it has loaded, {made}")
    tag_image(client, found.id, reference)
    return found.id


def _export_files(client: APIClient, image: str, target: IO[bytes]) -> None:
    """Write the files of a container of the image to `target`, as one tar."""
    with engine_errors(f"making a container of {image}"):
        # An image without a command needs one, though it never runs.
        container = client.create_container(image, command=["-"])["Id"]
    try:
        with engine_errors(f"exporting the files of {image}"):
            url = f"{client.base_url}/v{client.api_version}/containers/{container}/export"
            response = client.get(url, stream=True, timeout=(10, None))
            response.raise_for_status()
            with (
                tarfile.open(fileobj=cast(IO[bytes], response.raw), mode="r|", bufsize=PIECE) as exported,
                tarfile.open(fileobj=target, mode="w|", bufsize=PIECE, format=tarfile.PAX_FORMAT) as layer,
            ):
                for member in exported:
                    name = "/" + member.name.removeprefix("./").rstrip("/.")
                    if name in _CONTAINERS_OWN:
                        continue
                    if name in _TOUCHED_BY_CONTAINER:
                        member.mtime = 0
                        member.pax_headers = {key: text for key, text in member.pax_headers.items() if key != "mtime"}
                    layer.addfile(member, exported.extractfile(member) if member.isreg() else None)
                    # Or the list of all files stays in memory.
                    exported.members = []  # type: ignore[attr-defined]
    finally:
        with engine_errors(f"removing the container of {image}"):
            client.remove_container(container, force=True, v=True)


def _config(client: APIClient, image: str, diff_id: str) -> bytes:
    """Return the config JSON: the image's own, with one layer."""
    with engine_errors(f"looking at {image}"):
        told: dict[str, Any] = client.inspect_image(image)
    if podman_version(client):
        # Its `inspect` lacks HEALTHCHECK, ONBUILD and SHELL; the archive has the whole config.
        with export_image(client, image) as stream:
            archive = ArchiveReader(stream)
            for _ in archive.layers():
                pass
            told.update({key.title(): value for key, value in json.loads(archive.image().config).items()})
    # Only what an image may lack: others keep the id that they always had.
    rare = {key: told.get(key.title()) for key in ("comment", "variant")}
    config = {
        **{key: value for key, value in rare.items() if value},
        "architecture": told["Architecture"],
        "author": told.get("Author") or "",
        "config": told["Config"],
        "created": told["Created"],
        "history": [{"created": told["Created"], "created_by": f"flattened {told['Id']}"}],
        "os": told["Os"],
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    }
    return json.dumps(config, sort_keys=True).encode()


def _archive(config: bytes, layer: IO[bytes], name: str) -> Iterator[bytes]:
    """Yield a docker archive of the config and its layer."""
    diff_id = json.loads(config)["rootfs"]["diff_ids"][0]
    config_path, layer_path = config_name(image_id(config)), layer_name(diff_id)
    size = layer.seek(0, 2)
    layer.seek(0)
    yield tar_file("manifest.json", manifest_document(config=config_path, name=name, layers=(layer_path,)))
    yield tar_file(config_path, config) + tar_header(layer_path, size)
    while piece := layer.read(PIECE):
        yield piece
    yield padding(size) + END
