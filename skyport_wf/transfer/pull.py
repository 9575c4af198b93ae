"""Getting a published image into the engine, as an AWE worker does before a task, and the bases of a thin one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from skyport_wf.byte_streams import pieces_of
from skyport_wf.errors import ArchiveError, TemporaryError
from skyport_wf.image.platforms import is_platform
from skyport_wf.image_list.reference import ImageReference, parse_reference
from skyport_wf.progress import UNSEEN, Progress
from skyport_wf.publication.attributes import read_attributes
from skyport_wf.publication.resolve import find_for_worker
from skyport_wf.publication.thin import base_of, id_of, name_of, same_image
from skyport_wf.sources.source import HeldBase
from skyport_wf.transfer.fetch import one_at_a_time
from skyport_wf.transfer.thin_chain import open_whole, read_chain

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.engine.images import EngineImage
    from skyport_wf.publication.connection import Shock
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import Node

_log = logging.getLogger(__name__)
_LOADS: Final = 3
"""How often an image is loaded of which the engine loses layers at once."""


class PulledImage(msgspec.Struct, frozen=True):
    """An image that the engine has now."""

    name: str
    image_id: str
    node: str
    downloaded: int
    """Bytes that came from Shock; 0 if the engine had the image."""
    bases: tuple[str, ...] = ()
    """The base images of a thin one, which came with it, the lowest first."""


def pull(shock: Shock, engine: APIClient, asked: str, *, progress: Progress = UNSEEN) -> PulledImage:
    """Load the image that an AWE worker would get for `asked` into the engine, and tag it.

    Before a thin image, those that it is on are loaded, as far as the engine lacks them.
    Other names stay where they are, whatever names the archive has.
    Raises AweLookupError if a worker would get none, ShockError if a file is damaged or a base is not there,
    ArchiveError if the archive holds another image than its attributes say; the engine has loaded nothing then.
    Raises TemporaryError if the engine loses layers of what it has loaded.
    """
    from skyport_wf.engine.images import tag_image

    node = find_for_worker(shock, asked)
    reference = parse_reference(name_of(node))
    image, downloaded, bases = _find_or_load(shock.user, engine, node, reference, progress)
    tag_image(engine, image.id, reference)
    _warn_of_platform(engine, node)
    return PulledImage(name_of(node), id_of(node), node.id, downloaded, bases)


def _warn_of_platform(engine: APIClient, node: Node) -> None:
    """Say that the engine cannot run the image as it is."""
    from skyport_wf.engine.capabilities import read_version

    attributes, version = read_attributes(node.attributes), read_version(engine)
    platform = attributes.skyport_wf.platform if attributes and attributes.skyport_wf else ""
    if not is_platform(platform, f"{version.os or 'linux'}/{version.arch}"):
        _log.warning(
            "%s is an image for %s: this engine, on %s, runs it only with an emulator", name_of(node), platform,
            version.arch,
        )  # fmt: skip


def hold_base(shock: ShockClient, engine: APIClient, node: Node) -> HeldBase:
    """See that the engine has the image of a node, to build on; return under which name.

    No name is taken from another image: where the engine calls another one so, the published one gets a name of ours.
    """
    from skyport_wf.engine.config_digests import base_reference, config_digest
    from skyport_wf.engine.images import find_image, tag_image

    name, image_id = name_of(node), id_of(node)
    called_so = find_image(engine, name)
    if called_so and same_image(config_digest(engine, called_so), image_id):
        return HeldBase(name, image_id)
    reference = base_reference(image_id) if called_so else parse_reference(name)
    # A build has no bar that would show it.
    fetching = f"{name} is not in the engine, fetching it from Shock"
    image, _, _ = _find_or_load(shock, engine, node, reference, UNSEEN, fetching=fetching)
    tag_image(engine, image.id, reference)
    return HeldBase(str(reference), image_id)


def _find_or_load(
    shock: ShockClient,
    engine: APIClient,
    node: Node,
    reference: ImageReference,
    progress: Progress,
    *,
    fetching: str = "",
) -> tuple[EngineImage, int, tuple[str, ...]]:
    """Return the image of a node, which the engine has then; the bytes that came, and the bases that came with it.

    fetching: said before it is fetched.
    """
    from skyport_wf.engine.config_digests import find_by_config_digest
    from skyport_wf.engine.connection import engine_address

    image = find_by_config_digest(engine, id_of(node), named=str(reference))
    if image is None:
        # Jobs that start at the same moment want the same image: one of them downloads it.
        with one_at_a_time(f"image {id_of(node)} in {engine_address()}"):
            image = find_by_config_digest(engine, id_of(node), named=str(reference))
            if image is None:
                if fetching:
                    _log.info("%s", fetching)
                return _load(shock, engine, node, reference, progress)
    return image, 0, ()


def _load(
    shock: ShockClient, engine: APIClient, node: Node, reference: ImageReference, progress: Progress
) -> tuple[EngineImage, int, tuple[str, ...]]:
    """Load the image of a node under a name; return it, the bytes that came, and the bases that came with it."""
    from skyport_wf.engine.capabilities import takes_thin_archives
    from skyport_wf.engine.config_digests import find_by_config_digest
    from skyport_wf.engine.images import find_image, is_whole

    name = name_of(node)
    if takes_thin_archives(engine) and str(reference) == name:
        missing = read_chain(shock, node, present=lambda image_id: find_by_config_digest(engine, image_id) is not None)
        # Loading moves names: a base whose name the user gave to another image comes inside of the whole archive.
        if not any(find_image(engine, name_of(base)) for base in missing[:-1]):
            below = find_by_config_digest(engine, base_of(missing[0])[1])
            for one in missing:
                if one.id != node.id:
                    _log.info("%s is a thin image built on %s, loading that first", name, name_of(one))
                below = _load_archive(shock, engine, [one], name_of(one), progress, below=below)
            assert below  # noqa: S101 - the image of the node, which is the last of those that were missing
            return below, sum(one.file.size for one in missing), tuple(map(name_of, missing[:-1]))
    chain = read_chain(shock, node)
    downloaded = 0
    for _ in range(_LOADS):
        image = _load_archive(shock, engine, chain, str(reference), progress)
        downloaded += sum(one.file.size for one in chain)
        if is_whole(engine, image):
            return image, downloaded, tuple(map(name_of, chain[:-1]))
    raise TemporaryError(
        f"pulling {name}: the engine has loaded it {_LOADS} times, and each time lost layers of it, as it does while "
        "images with the same layers are removed. Run it again when that has ended."
    )


def _load_archive(
    shock: ShockClient,
    engine: APIClient,
    chain: Sequence[Node],
    reference: str,
    progress: Progress,
    *,
    below: EngineImage | None = None,
) -> EngineImage:
    """Load the image in the last node of a chain, and give it one name, whatever names its archive has.

    below: the image in the engine whose layers the chain lacks.
    Raises ArchiveError, before the engine has loaded anything, if the archive holds another image than its node says.
    """
    from skyport_wf.engine.config_digests import note_config_digest
    from skyport_wf.engine.images import load_image
    from skyport_wf.image.contents import Layer

    node = chain[-1]
    said = id_of(node).removeprefix("sha256:")
    base = [Layer(diff_id, 0, "") for diff_id in below.root_fs.layers] if below else []
    try:
        with open_whole(shock, chain, progress, reference=reference, base=base, wanted_id=f"sha256:{said}") as archive:
            image = load_image(engine, pieces_of(archive), name_of(node))
    except ArchiveError as error:
        raise ArchiveError(
            f"{error} AWE workers cannot run {name_of(node)} as it is published. Nothing was loaded."
        ) from error
    # Read from the very bytes that were loaded; containerd's store would tell it only by its export.
    note_config_digest(image.id, archive.image_id)
    return image
