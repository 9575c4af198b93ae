"""Make one layer of an image that the engine has."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from skyport_wf.engine.images import export_image, load_image, tag_image
from skyport_wf.image.archive.flatten import flattened

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.image_list.reference import ImageReference


def flatten_image(client: APIClient, image: str, reference: ImageReference) -> str:
    """Load an image of one layer that shows the files of `image`, with its config; tag it, and return its id.

    The layer is made here, of what the engine exports: each engine would make another.
    """
    folder = Path(tempfile.gettempdir())
    with export_image(client, image) as stream, flattened(stream, reference, folder) as flat:
        loaded = load_image(client, flat.pieces(), str(reference))
    tag_image(client, loaded.id, reference)
    return loaded.id
