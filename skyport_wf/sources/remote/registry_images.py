"""Images in registries: the manifest that is meant, the config, and the layers as they come."""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Iterator
from functools import cached_property, partial
from typing import Final

import msgspec
import requests

from skyport_wf.byte_streams import PIECE
from skyport_wf.digests import digest_of
from skyport_wf.errors import ArchiveError, SkyportError, TemporaryError
from skyport_wf.formatting import human_size
from skyport_wf.image.archive.manifest import ImageConfig, parse_config
from skyport_wf.image.distribution.manifests import Flavour
from skyport_wf.image.distribution.parsing import (
    INDEX_TYPES,
    LARGEST_CONFIG,
    LARGEST_MANIFEST,
    ImageManifest,
    find_manifest,
    parse_manifest,
)
from skyport_wf.image_list.registry_address import RegistryAddress
from skyport_wf.retries import retrying
from skyport_wf.sources.remote.registry_session import SLOWEST, RegistrySession

_log = logging.getLogger(__name__)
_ACCEPT: Final = ", ".join((*(flavour.media_type for flavour in Flavour), *INDEX_TYPES))
_TRAILER: Final = 8
"""Bytes at the end of a gzip file: checksum and size of what is in it (RFC 1952, 2.3.1)."""
_MOST_BREAKS: Final = 5
"""Times that a layer may break off, one after the other, with nothing more or too slowly."""
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class RegistryImage(msgspec.Struct, frozen=True, dict=True):
    """An image as a registry had it: enough to know it by. What is read from it is kept, as each layer needs it."""

    named: str
    """The digest of what its name led to: of the manifest, or of an index."""
    manifest: str
    """JSON."""
    config: str
    """JSON."""

    @cached_property
    def manifest_digest(self) -> str:
        """The digest of the image's own manifest."""
        return digest_of(self.manifest.encode())

    @cached_property
    def image_id(self) -> str:
        """The config digest."""
        return digest_of(self.config.encode())

    @cached_property
    def parsed_manifest(self) -> ImageManifest:
        """The manifest as a value."""
        return parse_manifest(self.manifest.encode())

    @cached_property
    def parsed_config(self) -> ImageConfig:
        """The config as a value."""
        return parse_config(self.config.encode())


def find_image(
    session: RegistrySession, address: RegistryAddress, *, platform: str, known: RegistryImage | None = None
) -> RegistryImage:
    """Return the image that is at the address now.

    platform: what is chosen of an index.
    known: what was there before, which is not fetched again if it still is.
    Raises TemporaryError for what asking again may mend, SkyportError if there is no image for the platform.
    """
    if known and known.named in (address.digest, _named_now(session, address)):
        return known
    try:
        content = _read_manifest(session, address.reference)
        named = digest_of(content)
        content = find_manifest(
            content, partial(_read_manifest, session), partial(_read_config, session, address), platform
        )
        manifest = parse_manifest(content)
        config = _read_config(session, address, manifest)
        layers = parse_config(config).rootfs.diff_ids or ()
        if len(layers) != len(manifest.layers):
            raise ArchiveError(f"its manifest has {len(manifest.layers)} layers, its config {len(layers)}")
        return RegistryImage(named, content.decode(), config.decode())
    except (ArchiveError, UnicodeDecodeError) as error:
        why = str(error).removesuffix(".")
        raise SkyportError(f"{address} cannot be published: {why}. Mend `registry` in the image list.") from error


def _named_now(session: RegistrySession, address: RegistryAddress) -> str:
    """Return the digest that a name stands for, empty if the registry does not say.

    Registries that limit pulls do not count this as one.
    """
    try:
        answer = session.open(f"manifests/{address.reference}", {"Accept": _ACCEPT}, method="HEAD")
    except TemporaryError:
        raise
    except SkyportError:
        # Some do not answer HEAD. What is wrong, GET tells.
        return ""
    with answer:
        return answer.headers.get("Docker-Content-Digest", "")


def _read_manifest(session: RegistrySession, reference: str) -> bytes:
    answer = session.open(f"manifests/{reference}", {"Accept": _ACCEPT})
    content = b"".join(session.read(answer, LARGEST_MANIFEST + 1))
    if len(content) > LARGEST_MANIFEST:
        raise ArchiveError(f"its manifest has more than {LARGEST_MANIFEST >> 20} MiB")
    if ":" in reference and digest_of(content) != reference:
        raise ArchiveError(f"the registry answers with another manifest than {reference}")
    return content


def _read_config(session: RegistrySession, address: RegistryAddress, manifest: ImageManifest) -> bytes:
    size = manifest.sizes[manifest.config]
    if size > LARGEST_CONFIG:
        raise ArchiveError(f"its config has {human_size(size)}, and may have {LARGEST_CONFIG >> 20} MiB")
    return b"".join(read_blob(session, address, manifest.config, size))


def read_blob(session: RegistrySession, address: RegistryAddress, digest: str, size: int) -> Iterator[bytes]:
    """Yield the bytes of a blob; where a connection breaks off, they go on where it was.

    Raises ArchiveError if it is another blob, before its last bytes; TemporaryError if it cannot be had.
    """
    hasher, received, breaks, held = hashlib.sha256(), 0, 0, b""
    while received < size:
        start, began = received, time.monotonic()
        try:
            for piece in _read_from(session, digest, start, size):
                hasher.update(piece)
                received += len(piece)
                if held:
                    yield held
                held = piece
            if received < size:
                raise TemporaryError(f"{address} broke off: {received} of {size} bytes of {digest} came.")
        except TemporaryError as error:
            # What comes too slowly is no progress: it would keep us for ever.
            breaks = 0 if received - start > SLOWEST * (time.monotonic() - began) else breaks + 1
            if breaks >= _MOST_BREAKS:
                raise
            _log.warning("%s Going on at byte %d.", error, received)
    if (found := f"sha256:{hasher.hexdigest()}") != digest:
        raise ArchiveError(f"{address} is damaged: the registry answers with {found} for the blob {digest}.")
    if held:
        yield held


def _read_from(session: RegistrySession, digest: str, start: int, size: int) -> Iterator[bytes]:
    headers = {"Range": f"bytes={start}-"} if start else {}
    statuses = (requests.codes.ok, requests.codes.partial_content) if start else (requests.codes.ok,)
    answer = retrying(lambda: session.open(f"blobs/{digest}", headers, expected=statuses))
    # A registry need not know ranges: then it is all from the beginning.
    to_skip = start if answer.status_code == requests.codes.ok else 0
    for piece in session.read(answer, to_skip + size - start):
        skipped = min(to_skip, len(piece))
        to_skip -= skipped
        if piece := piece[skipped:]:
            yield piece


def foresee_size(session: RegistrySession, digest: str, size: int) -> int | None:
    """Return how many bytes a gzipped blob of `size` bytes has uncompressed, by its last ones.

    None if the registry gives no ranges, or if it cannot be what they say. It may still be wrong: they tell it modulo
    2**32, and of the last gzip member only.
    """
    if size < _TRAILER:
        return None
    headers = {"Range": f"bytes={size - _TRAILER}-{size - 1}"}
    expected = (requests.codes.partial_content, requests.codes.ok, requests.codes.requested_range_not_satisfiable)
    answer = retrying(lambda: session.open(f"blobs/{digest}", headers, expected=expected))
    found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if answer.status_code != requests.codes.partial_content or not found or int(found[1]) != size - _TRAILER:
        answer.close()
        return None
    trailer = b"".join(session.read(answer, _TRAILER))
    if len(trailer) != _TRAILER:
        return None
    told = int.from_bytes(trailer[4:], "little")
    # Nothing grows as it is compressed, but for a few bytes of each block.
    least = size - size // 1000 - PIECE
    if told < least <= 1 << 32:
        return None
    return told + ((max(0, least - told) + (1 << 32) - 1) >> 32 << 32)
