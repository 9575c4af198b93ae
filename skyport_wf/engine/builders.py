"""Choosing the builder of an image: BuildKit or the classic one."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from skyport_wf.engine.podman import check_build
from skyport_wf.errors import BuildError, UsageError

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.image.context import BuildContext
    from skyport_wf.image_list.spec import ImageSpec

_log = logging.getLogger(__name__)
_HEREDOC = re.compile(rb"^\s*(RUN|COPY|ADD)\b.*<<-?[\"']?\w", re.IGNORECASE | re.MULTILINE)


def build_image(client: APIClient, image: ImageSpec, context: BuildContext, output: Callable[[str], None]) -> str:
    """Build `image` with the builder that it asks for, tag it with its name, and return the engine's id of it.

    output: called with each piece of text that the build prints.
    Raises BuildError, with the failing instruction and the last lines it printed, if it fails; UsageError if the
    image needs BuildKit and there is none.
    """
    from skyport_wf.engine.buildkit import build_with_buildkit, find_buildkit
    from skyport_wf.engine.classic_build import build_classically

    check_build(client, image)
    command = None if image.builder == "classic" else find_buildkit(client)
    if not command and (image.builder == "buildkit" or image.secrets or image.ssh):
        raise UsageError(
            f"image {image.name} is to be built with BuildKit, which needs an engine with it and a docker command of "
            "18.09 to 22, or a later one with the buildx plugin. Install one, or set `builder: classic`."
        )
    try:
        if command:
            _log.debug("building %s with BuildKit, through %s", image.name, command.path)
            return build_with_buildkit(client, command, image, context, output)
        return build_classically(client, image, context, output)
    except BuildError as error:
        # A builder that knows no heredocs takes the lines below one for instructions.
        if "unknown instruction" in str(error).lower() and _HEREDOC.search(context.dockerfile.read_bytes()):
            raise BuildError(
                f"{error}\nThe Dockerfile has a heredoc (<<). That needs BuildKit; on an engine before Docker 23, also "
                "the first line `# syntax=docker/dockerfile:1`."
            ) from error
        raise
