"""Thin images in a Shock, and their base images, which may be thin themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from skyport_wf.errors import ShockError
from skyport_wf.formatting import one_line
from skyport_wf.progress import Progress
from skyport_wf.publication.attributes import RETIRED_TYPE
from skyport_wf.publication.awe_lookup import IMAGE_TYPE
from skyport_wf.publication.awe_problems import require_file
from skyport_wf.publication.thin import base_of, id_of, name_of, same_image
from skyport_wf.transfer.download import open_download

if TYPE_CHECKING:
    from skyport_wf.byte_streams import ByteStream
    from skyport_wf.image.archive.completed import CompletedArchive
    from skyport_wf.image.contents import Layer
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import Node

MAX_CHAIN: Final = 127
"""Images on one another: no engine takes more layers than that."""


def read_chain(shock: ShockClient, node: Node, *, present: Callable[[str], bool] = lambda image: False) -> list[Node]:
    """Return the nodes of the image and of its bases if it is thin, the lowest first.

    present: whether an image of this id is there already, so that its node and those below it are not needed.
    Raises ShockError if one of them is not there, or nothing is in its file, or if they are each other's base images in
    a circle.
    """
    require_file(node)
    chain = [node]
    while any(base := base_of(chain[-1])) and not (base[1] and present(base[1])):
        found = find_base(shock, *base)
        if found is None:
            upper, (name, image_id) = name_of(chain[-1]), base
            which = f"{name} (image {image_id})" if name and image_id else name or f"image {image_id}"
            # Whoever made the node wrote that, whatever it is.
            which = one_line(which)
            raise ShockError(
                f"{upper} is a thin image built on {which}, and {shock.name} has no such image that you may read. "
                f"Publish that image again, or {upper} whole."
            )
        if any(found.id == known.id for known in chain):
            circle = " -> ".join(map(name_of, [*chain, found]))
            raise ShockError(f"images of {shock.name} are each other's base images in a circle: {circle}")
        chain.append(found)
        if len(chain) > MAX_CHAIN:
            raise ShockError(
                f"{name_of(node)} is a thin image built on more than {MAX_CHAIN} images, which no engine can load"
            )
    return chain[::-1]


def find_base(shock: ShockClient, name: str, image_id: str) -> Node | None:
    """Return the node of a thin image's base, None if there is none.

    A base that lost its name is as good as before: what counts is its id.
    """
    for kind in (IMAGE_TYPE, RETIRED_TYPE):
        asked = {"type": kind, "name": name} if name else {"type": kind, "id": image_id}
        for node in shock.query(asked):
            if node.file.complete and same_image(id_of(node), image_id):
                return node
    return None


@contextmanager
def open_whole(
    shock: ShockClient,
    chain: Sequence[Node],
    progress: Progress,
    *,
    reference: str = "",
    base: Sequence[Layer] = (),
    wanted_id: str = "",
) -> Iterator[CompletedArchive]:
    """Open the image in the last node of a chain as one whole archive, read from all of them.

    progress: called with the bytes of each piece that arrives.
    reference: the one name that the archive gives the image, if not the published one.
    base: layers that it may lack.
    wanted_id: the config digest that the image has to have; any if empty.
    """
    from skyport_wf.image.archive.completed import CompletedArchive

    node = chain[-1]
    with ExitStack() as opened:

        def open_each() -> Iterator[ByteStream]:
            # One download at a time: each is closed before the next is opened.
            for below in chain:
                opened.close()
                yield opened.enter_context(open_archive(shock, below, progress))

        yield CompletedArchive(
            open_each(), reference=reference or name_of(node), name=_file_of(node), base=base, wanted_id=wanted_id
        )


@contextmanager
def open_image(shock: ShockClient, chain: Sequence[Node], progress: Progress) -> Iterator[ByteStream]:
    """Open the image in the last node of a chain with all its layers, as it is if it is not thin."""
    if len(chain) == 1:
        with open_archive(shock, chain[0], progress) as archive:
            yield archive
    else:
        with open_whole(shock, chain, progress) as whole:
            yield whole


@contextmanager
def open_archive(shock: ShockClient, node: Node, progress: Progress, *, strict: bool = False) -> Iterator[ByteStream]:
    """Open the archive on a node, uncompressed.

    strict: whether gzip that Docker does not read counts as damaged, too.
    """
    from skyport_wf.image.archive.stream import ArchiveStream

    with open_download(shock, node, name_of(node), progress) as download:
        yield ArchiveStream(download, name=_file_of(node), strict=strict)


def _file_of(node: Node) -> str:
    return f"the file of {name_of(node)} (node {node.id})"
