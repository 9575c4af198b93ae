"""Getting a published image into the engine: what an AWE worker does before it runs a task."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from skyport_wf.errors import EngineError, ShockError, TemporaryError
from skyport_wf.reference import ImageReference
from skyport_wf.steps.resolve import resolve

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import Node

_log = logging.getLogger(__name__)
_PIECE = 1 << 20


class PulledImage(msgspec.Struct, frozen=True):
    """An image that the engine has now."""

    name: str
    image_id: str
    node: str
    downloaded: int
    """Bytes that came from Shock; 0 if the engine had the image."""


def pull(shock: ShockClient, asked: str, *, progress: Callable[[int], None] = lambda size: None) -> PulledImage:
    """Load the image that an AWE worker would get for `asked` into the engine, and tag it.

    Raises AweLookupError if a worker would get none, ShockError if the file is damaged, EngineError if the
    engine calls the image something else than its attributes do.
    """
    from skyport_wf.engine.connection import connect

    return _provide(shock, connect(), resolve(shock, asked), progress)


def fetch(shock: ShockClient, engine: APIClient, node_id: str, name: str) -> PulledImage:
    """Load the image of a node into the engine, unless it is there."""
    node = shock.find(node_id)
    if node is None:
        raise ShockError(f"node {node_id} of {name} vanished from {shock.name}")
    return _provide(shock, engine, node, lambda size: None)


def _provide(shock: ShockClient, engine: APIClient, node: Node, progress: Callable[[int], None]) -> PulledImage:
    from skyport_wf.engine.images import find_image, tag_image

    attributes: dict[str, Any] = node.attributes or {}
    name, image_id = attributes["name"], attributes["id"]
    present = find_image(engine, image_id) is not None
    if not present:
        _load(shock, engine, node, name, progress)
        if find_image(engine, image_id) is None:
            raise EngineError(
                f"{name} was loaded, but the engine does not have it under the id {image_id} of its attributes. "
                "AWE workers with such an engine cannot run it; publish it again with its config digest as id."
            )
    repository, _, tag = name.partition(":")
    tag_image(engine, image_id, ImageReference(repository, tag))
    return PulledImage(name, image_id, node.id, 0 if present else node.file.size)


def _load(shock: ShockClient, engine: APIClient, node: Node, name: str, progress: Callable[[int], None]) -> None:
    from skyport_wf.engine.images import load_image

    with shock.download(node.id) as stream:
        load_image(engine, _checked(stream, node, name, progress), name)


def _checked(stream: BinaryIO, node: Node, name: str, progress: Callable[[int], None]) -> Iterator[bytes]:
    """Pass the bytes on, the last piece only if all of them have the MD5 that the server announced."""
    digest = hashlib.md5(usedforsecurity=False)
    received, held = 0, b""
    while piece := stream.read(_PIECE):
        digest.update(piece)
        received += len(piece)
        if held:
            yield held
        held = piece
        progress(len(piece))
    if received < node.file.size:
        raise TemporaryError(f"the download of {name} broke off after {received} of {node.file.size} bytes. Try again.")
    if digest.hexdigest() != node.file.checksum.md5:
        raise ShockError(
            f"the file of {name} is damaged: it has MD5 {digest.hexdigest()}, not {node.file.checksum.md5}"
        )
    yield held
