"""Getting a published image into a file: for nodes without an engine, and for programs that read archives."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.byte_streams import pieces_of
from skyport_wf.cache import cache_folder, key_of, only_one
from skyport_wf.errors import ShockError, SkyportError, UsageError
from skyport_wf.image.archive.beginning import begins_like_image
from skyport_wf.image.platforms import is_platform
from skyport_wf.output_file import is_special, keep_other_file, make_folders, replace_file
from skyport_wf.progress import Progress
from skyport_wf.publication.attributes import read_attributes
from skyport_wf.publication.resolve import find_for_worker
from skyport_wf.publication.thin import id_of, name_of, same_image
from skyport_wf.records.receipt import Receipt
from skyport_wf.sources.platforms import own_platform
from skyport_wf.transfer.download import open_download
from skyport_wf.transfer.thin_chain import open_image, read_chain

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock
    from skyport_wf.shock.node import Node

_log = logging.getLogger(__name__)


class FetchedImage(msgspec.Struct, frozen=True):
    """An image in a file, as `docker load` and `apptainer build` take it."""

    name: str
    image_id: str
    node: str
    path: str
    downloaded: int
    """Bytes that came from Shock; 0 if the file was there."""


def fetch(shock: Shock, node: Node, path: Path, *, progress: Progress) -> FetchedImage:
    """Write the image on a node to the file `path`, whole or not at all; a thin one with the layers of its bases.

    A file called `.tar` is not compressed: apptainer reads no other.
    A file that holds the image already is left as it is. Of several processes that want one file, one downloads it.
    progress: called with the bytes of each piece that arrives.
    Raises ShockError if the node's file is damaged or a base is not there, SkyportError for a full disk.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder. Name the file to write the archive to.")
    keep_other_file(path, "archive of an image", begins_like_image)
    chain = read_chain(shock.user, node)
    with one_at_a_time(f"file {path.resolve()}"):
        downloaded = 0
        as_it_is = len(chain) == 1 and path.suffix != ".tar"
        is_there = _is_same_file if as_it_is else _holds
        # A pipe has nothing to read until somebody writes into it, and that is to be this process.
        if is_special(path) or not is_there(path, node):
            try:
                make_folders(path.parent)
            except OSError as error:
                raise SkyportError(f"cannot write to {path.parent}: {error.strerror}") from error
            with replace_file(path) as file:
                for piece in _download(shock, node, progress) if as_it_is else _archive(shock, chain, progress):
                    file.write(piece)
            downloaded = sum(one.file.size for one in chain)
    _warn_of_platform(node)
    return FetchedImage(name_of(node), id_of(node), node.id, str(path), downloaded)


def _warn_of_platform(node: Node) -> None:
    """Say that the image is for other machines, as an engine does: what makes a SIF of the file may not."""
    attributes = read_attributes(node.attributes)
    platform = attributes.skyport_wf.platform if attributes and attributes.skyport_wf else ""
    if not is_platform(platform, own_platform()):
        _log.warning("%s is an image for %s, and this machine is %s", name_of(node), platform, own_platform())


def find_node(shock: Shock, asked: str | None, receipt: Receipt | None) -> Node:
    """Return the node of an image: the one that an AWE worker would take for `asked`, or that of a receipt.

    Raises AweLookupError if a worker would get none, ShockError if Shock does not have what the receipt says.
    """
    if receipt is None:
        return find_for_worker(shock, asked or "")
    node = shock.user.find(receipt.node) if shock.is_at(receipt.shock) else None
    if node is None:
        raise ShockError(
            f"{receipt.name}: {shock.name} does not have the node {receipt.node} of the receipt, on {receipt.shock}. "
            "`skyport-wf verify` tells more; publish the image again."
        )
    if not same_image(id_of(node), receipt.image_id) or node.file.checksum.md5 != receipt.md5:
        raise ShockError(f"{receipt.name}: the node {node.id} does not hold the image of the receipt any more.")
    return node


@contextmanager
def one_at_a_time(what: str) -> Iterator[None]:
    """Let those who want the same thing on this machine wait for the first, who then has it for all."""
    with ExitStack() as held:
        # Where there is no folder for it, each gets the thing for himself, as long as that works.
        with suppress(SkyportError, OSError):
            held.enter_context(only_one(cache_folder("turns") / key_of(what)))
        yield


def _download(shock: Shock, node: Node, progress: Progress) -> Iterator[bytes]:
    """Yield the node's file as it is."""
    with open_download(shock.user, node, name_of(node), progress) as download:
        yield from download.pieces()


def _archive(shock: Shock, chain: list[Node], progress: Progress) -> Iterator[bytes]:
    """Yield the archive uncompressed, with all layers."""
    with open_image(shock.user, chain, progress) as archive:
        yield from pieces_of(archive)


def _is_same_file(path: Path, node: Node) -> bool:
    """Return whether a file is that of the node."""
    with suppress(OSError), path.open("rb") as file:
        same_size = path.stat().st_size == node.file.size
        return same_size and hashlib.file_digest(file, _md5).hexdigest() == node.file.checksum.md5
    return False


def _holds(path: Path, node: Node) -> bool:
    """Return whether a file is an archive of the image on the node."""
    from skyport_wf.image.archive.layers import check_archive
    from skyport_wf.image.archive.stream import open_archive as open_file

    with suppress(OSError, SkyportError), open_file(path) as stream:
        return same_image(check_archive(stream).contents.image_id, id_of(node))
    return False


def _md5() -> hashlib._Hash:
    return hashlib.md5(usedforsecurity=False)
