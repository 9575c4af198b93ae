"""Getting a published image into the engine, as an AWE worker does before a task, and what a thin one is on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.byte_streams import pieces_of
from skyport_wf.errors import EngineError
from skyport_wf.image_list.reference import ImageReference
from skyport_wf.publication.resolve import find_for_worker
from skyport_wf.publication.thin import base_of, id_of, name_of
from skyport_wf.transfer.download import open_download
from skyport_wf.transfer.thin_chain import open_whole, read_chain

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.publication.connection import Shock
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import Node

_log = logging.getLogger(__name__)

Progress = Callable[[int], None]


class PulledImage(msgspec.Struct, frozen=True):
    """An image that the engine has now."""

    name: str
    image_id: str
    node: str
    downloaded: int
    """Bytes that came from Shock; 0 if the engine had the image."""
    bases: tuple[str, ...] = ()
    """The images that it is thin on and that came with it, the lowest first."""


def pull(shock: Shock, asked: str, *, progress: Progress = lambda size: None) -> PulledImage:
    """Load the image that an AWE worker would get for `asked` into the engine, and tag it.

    Before a thin image, those that it is on are loaded, as far as the engine lacks them.
    Raises AweLookupError if a worker would get none, ShockError if a file is damaged or a base is not there,
    EngineError if the engine calls the image something else than its attributes do.
    """
    from skyport_wf.engine.connection import connect

    return load_published(shock.user, connect(), find_for_worker(shock, asked), progress=progress)


def load_published(
    shock: ShockClient, engine: APIClient, node: Node, *, progress: Progress = lambda size: None
) -> PulledImage:
    """Load the image of a node into the engine, with what it is thin on, unless it is there; and tag it."""
    from skyport_wf.engine.capabilities import takes_thin_archives

    chain: list[Node] = []
    downloaded = 0
    if not _has(engine, id_of(node)):
        if takes_thin_archives(engine):
            chain = read_chain(shock, node, present=lambda image_id: _has(engine, image_id))
            downloaded = _load_each(shock, engine, chain, progress)
        else:
            chain = read_chain(shock, node)
            downloaded = _load_whole(shock, engine, chain, progress)
    _tag(engine, node)
    return PulledImage(name_of(node), id_of(node), node.id, downloaded, tuple(map(name_of, chain[:-1])))


def _load_each(shock: ShockClient, engine: APIClient, chain: Sequence[Node], progress: Progress) -> int:
    """Load the images one on the other, the lowest first, and return the bytes that were downloaded."""
    downloaded = 0
    for base, upper in pairwise(chain):
        _log.info("%s is thin on %s, loading that first", name_of(upper), name_of(base))
        downloaded += _load(shock, engine, base, progress)
        _tag(engine, base)
    return downloaded + _load(shock, engine, chain[-1], progress)


def _has(engine: APIClient, image_id: str) -> bool:
    from skyport_wf.engine.images import find_image

    return find_image(engine, image_id) is not None


def _tag(engine: APIClient, node: Node) -> None:
    from skyport_wf.engine.images import tag_image

    repository, _, tag = name_of(node).partition(":")
    tag_image(engine, id_of(node), ImageReference(repository, tag))


def _load(shock: ShockClient, engine: APIClient, node: Node, progress: Progress) -> int:
    """Load the file of a node, and return the bytes that were downloaded."""
    from skyport_wf.engine.images import load_image

    try:
        with open_download(shock, node, name_of(node), progress) as download:
            load_image(engine, download.pieces(), name_of(node))
    except EngineError as error:
        if not any(base_of(node)):
            raise
        # As Docker does with containerd's image store, which there is no asking for in advance.
        _log.info("%s. Loading it whole, with the layers of %s", error, base_of(node)[0])
        return node.file.size + _load_whole(shock, engine, read_chain(shock, node), progress)
    _check_loaded(engine, node)
    return node.file.size


def _load_whole(shock: ShockClient, engine: APIClient, chain: Sequence[Node], progress: Progress) -> int:
    """Load the image in the last node with the layers that the others have, and return the bytes downloaded."""
    from skyport_wf.engine.images import load_image

    if len(chain) == 1:
        return _load(shock, engine, chain[0], progress)
    with open_whole(shock, chain, progress) as archive:
        load_image(engine, pieces_of(archive), name_of(chain[-1]))
    _check_loaded(engine, chain[-1])
    return sum(node.file.size for node in chain)


def _check_loaded(engine: APIClient, node: Node) -> None:
    if not _has(engine, id_of(node)):
        raise EngineError(
            f"{name_of(node)} was loaded, but the engine does not have it under the id {id_of(node)} of its "
            "attributes. AWE workers with such an engine cannot run it; publish it again with its config digest as id."
        )
