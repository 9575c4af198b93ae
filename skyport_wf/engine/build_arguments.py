"""The build arguments of an image, whichever builder builds it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from skyport_wf.image_list.spec import ImageSpec

EPOCH: Final = "SOURCE_DATE_EPOCH"
"""Names the time that builds take for now, in seconds since 1970. Source: reproducible-builds.org."""


def build_arguments(image: ImageSpec) -> dict[str, str]:
    """Return the values of `ARG` by name: those of the image list, and SOURCE_DATE_EPOCH if it is set here.

    A `RUN` sees it if the Dockerfile declares it; later versions of BuildKit also write it into the image.
    """
    given = {EPOCH: os.environ[EPOCH]} if os.environ.get(EPOCH) else {}
    return {**given, **image.build_args}
