"""Finding out in the engine what the archive of a thin image may leave out."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from skyport_wf.engine.config_digests import config_digest
from skyport_wf.engine.images import require_image
from skyport_wf.errors import SkyportError
from skyport_wf.records.source import ThinBase

if TYPE_CHECKING:
    from docker import APIClient


def find_thin_base(client: APIClient, name: str, image_id: str, *, base: str, base_reference: str) -> ThinBase:
    """Return the base of a thin image with its id, and with its layers, which the image's archive need not have.

    name, image_id: the thin image's name, and the engine's id of it.
    base, base_reference: the base's name, and the name that the engine has it under.
    Raises SkyportError if the image is not built on the base, EngineError if the engine has not both.
    """
    found = require_image(client, base_reference, wanted_by=name)
    wanted = found.root_fs.layers
    own = require_image(client, image_id, wanted_by=name).root_fs.layers[: len(wanted)]
    for number, (layer, expected) in enumerate(zip_longest(own, wanted), 1):
        if layer != expected:
            raise SkyportError(
                f"{name} cannot be a thin image built on {base}, because it is not built on it: layer {number} of "
                f"{len(wanted)} in {base} is {expected}, in {name} it is {layer or 'missing'}. Build it FROM {base} as "
                f"that is published (skyport-wf pull {base}), or remove `base`."
            )
    return ThinBase(base, config_digest(client, found), wanted)
