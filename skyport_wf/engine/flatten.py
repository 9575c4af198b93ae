"""Make one layer of an image that the engine has."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from skyport_wf.engine.images import EngineImage, export_image, find_image, load_image, remove_image, tag_image
from skyport_wf.errors import SkyportError
from skyport_wf.image.archive.flatten import flattened

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.image_list.reference import ImageReference


def flatten_image(
    client: APIClient, image: str, reference: ImageReference, *, before: EngineImage | None, is_commit: bool
) -> str:
    """Load an image of one layer that shows the files of `image`, with its config; tag it, and return its id.

    The layer is made here, of what the engine exports: each engine would make another.
    before: the image that had the name before `image` was made; if this fails, it gets the name back.
    is_commit: whether `image` was committed, and is to be removed; what was built is the builder's cache.
    """
    folder = Path(tempfile.gettempdir())
    try:
        with export_image(client, image) as stream, flattened(stream, reference, folder) as flat:
            loaded = load_image(client, flat.pieces(), str(reference))
        tag_image(client, loaded.id, reference)
    except BaseException:
        _give_name_back(client, reference, before)
        if is_commit:
            _remove_nameless(client, image)
        raise
    if is_commit and loaded.id != image:
        _remove_nameless(client, image)
    return loaded.id


def _give_name_back(client: APIClient, reference: ImageReference, before: EngineImage | None) -> None:
    """Let the name of an image that is not finished be that of the image that had it before, or nobody's."""
    with suppress(SkyportError):
        # From an image that loses its only name to a build nothing is left in containerd's store.
        if before and find_image(client, before.id):
            tag_image(client, before.id, reference)
        else:
            remove_image(client, str(reference))


def _remove_nameless(client: APIClient, image: str) -> None:
    """Remove an image if it has no name any more."""
    with suppress(SkyportError):
        found = find_image(client, image)
        if found and not found.repo_tags:
            remove_image(client, image)
