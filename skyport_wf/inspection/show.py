"""Look into an image: its layers, the bytes that are wasted or shared, its packages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.errors import ArchiveError, ShockError, TemporaryError
from skyport_wf.formatting import printable
from skyport_wf.image.contents import Layer
from skyport_wf.progress import UNSEEN, Progress
from skyport_wf.publication.attributes import read_attributes
from skyport_wf.publication.awe_lookup import IMAGE_TYPE
from skyport_wf.publication.awe_problems import find_problems_of_file
from skyport_wf.publication.resolve import find_for_worker
from skyport_wf.publication.thin import id_of, name_of, same_image
from skyport_wf.transfer.thin_chain import open_archive, open_whole, read_chain

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.image.examination.examine import ImageExamination
    from skyport_wf.image.layers.file_index import FileIndex
    from skyport_wf.publication.connection import Shock
    from skyport_wf.records.receipt import Receipt
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import Node


def examine_published(
    shock: Shock, asked: str, *, progress: Progress = UNSEEN
) -> tuple[str, ImageExamination, tuple[str, ...]]:
    """Return the name, the findings and what is wrong with the node of the image that an AWE worker would get.

    asked: REPO or REPO:TAG. The node's file is read as it comes; it is neither stored nor loaded. Before a thin one,
    those of the images that it is on are read, so the findings are of the whole image.
    Raises AweLookupError if a worker would get none, ArchiveError if a file is no image, ShockError if a thin image's
    base is not there, TemporaryError if a download breaks off.
    """
    node = find_for_worker(shock, asked)
    name = name_of(node)
    found = _with_base(examine_node(shock.user, node, name, progress), node)
    notes = [problem.text for problem in find_problems_of_file(shock.user, node)]
    if not same_image(found.contents.image_id, said := id_of(node)):
        notes.append(f"its node says that it is image {said}, so no AWE worker runs it. Publish it again")
    return name, found, tuple(notes)


def _with_base(found: ImageExamination, node: Node) -> ImageExamination:
    """Return the findings with the base's name for the lowest layers, of which some images' histories say nothing."""
    attributes = read_attributes(node.attributes)
    base = attributes.skyport_wf.base if attributes and attributes.skyport_wf else None
    if base is None:
        return found
    layers = list(found.contents.layers)
    for number in range(next((at for at, layer in enumerate(layers) if layer.created_by), len(layers))):
        layers[number] = msgspec.structs.replace(layers[number], created_by=f"FROM {base.name}")
    contents = msgspec.structs.replace(found.contents, layers=tuple(layers))
    return msgspec.structs.replace(found, contents=contents, base=base.name)


def examine_receipt(shock: ShockClient, receipt: Receipt, *, progress: Progress = UNSEEN) -> ImageExamination:
    """Return the findings of the image that a receipt is of, read from the very node that the receipt names.

    shock: the Shock of the receipt.
    Raises ShockError if the node is gone or has another image. If its file cannot be read to its end, the error says
    that the image is published all the same.
    """
    node = shock.find(receipt.node)
    if node is None:
        raise ShockError(
            f"node {receipt.node} of {receipt.name} vanished from {shock.name}. `skyport-wf verify` tells more."
        )
    try:
        found = examine_node(shock, node, receipt.name, progress)
    except (ArchiveError, ShockError, TemporaryError) as error:
        kind = TemporaryError if isinstance(error, TemporaryError) else ShockError
        raise kind(f"{receipt.name} is published, but its packages could not be listed: {error}") from error
    if not same_image(found.contents.image_id, receipt.image_id):
        raise ShockError(
            f"node {node.id} of {receipt.name} has image {found.contents.image_id}, its receipt says "
            f"{receipt.image_id}. `skyport-wf verify` tells more."
        )
    return found


def examine_file(path: Path, *, wanted: str = "", progress: Progress = UNSEEN) -> ImageExamination:
    """Examine the archive in a file, or the OCI layout in a folder.

    wanted: the name of the image that is meant; any will do for one without a name, if there is no other.
    Raises ArchiveError if it is none, or has no image of that name.
    """
    from skyport_wf.image.archive.manifest import has_name
    from skyport_wf.image.archive.stream import open_archive, stored_size
    from skyport_wf.image.examination.examine import examine_archive

    with open_archive(path, progress) as stream:
        progress.expect(stored_size(path))
        found = examine_archive(stream, wanted=wanted)
    names = found.contents.repo_tags
    if wanted and names and not has_name(names, wanted):
        raise ArchiveError(
            f"the image in {path} is not called {wanted}, but {', '.join(map(printable, names))}. "
            "Leave its name out, or give that."
        )
    return found


def examine_in_engine(
    engine: APIClient, name: str, *, progress: Progress = UNSEEN, index: FileIndex | None = None
) -> ImageExamination:
    """Return what the engine's export of the image tells. Raises EngineError if it has none of this name or id.

    index: is filled with the files, unless there is no waste in what is returned.
    """
    from skyport_wf.byte_streams import CountedStream
    from skyport_wf.engine.images import export_image, find_image
    from skyport_wf.image.examination.examine import examine_archive

    with export_image(engine, name) as stream:
        if image := find_image(engine, name):
            progress.expect(image.size)
        return examine_archive(CountedStream(stream, progress, name=f"the engine's export of {name}"), index=index)


def read_published_layers(
    shock: ShockClient, *, but: str, names: Sequence[str] | None
) -> Mapping[str, Sequence[Layer]]:
    """Return the layers of the published images, by name, as their nodes tell them; no file is downloaded.

    but: the name of the image that is to be compared with them.
    names: the images that count; all of this Shock if None.
    """
    found = filter(None, (read_attributes(node.attributes) for node in shock.query({"type": IMAGE_TYPE})))
    return {
        attributes.name: attributes.skyport_wf.layers
        for attributes in found
        if attributes.skyport_wf and attributes.name != but and (names is None or attributes.name in names)
    }


def examine_node(
    shock: ShockClient,
    node: Node,
    name: str,
    progress: Progress,
    *,
    index: FileIndex | None = None,
) -> ImageExamination:
    """Return the findings of the image of this name that is on the node, and of its base, if it is thin.

    index: is filled with the files, unless there is no waste in what is returned.
    Raises ArchiveError if a file is no image, ShockError if a thin image's base is not there, TemporaryError if a
    download breaks off.
    """
    from skyport_wf.image.examination.examine import examine_archive

    chain = read_chain(shock, node)
    if len(chain) == 1:
        with open_archive(shock, node, progress) as whole:
            return examine_archive(whole, index=index)
    with open_whole(shock, chain, progress) as archive:
        found = examine_archive(archive, index=index)
    held_by = (name_of(chain[place]) for place in archive.places if place < len(chain) - 1)
    return msgspec.structs.replace(found, from_bases=tuple(held_by))
