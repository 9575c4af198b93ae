"""Choosing the builder of an image: BuildKit or the classic one."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.engine.build_inputs import folder_outside
from skyport_wf.engine.build_output import VanishedImageError
from skyport_wf.engine.capabilities import podman_version
from skyport_wf.engine.images import find_image, name_in_engine
from skyport_wf.engine.podman import check_build
from skyport_wf.errors import BuildError, EngineError, UsageError
from skyport_wf.image.base_names import replace_images
from skyport_wf.image.instructions import read_instructions
from skyport_wf.image.platforms import is_platform
from skyport_wf.image.variables import platform_arguments
from skyport_wf.image_list.reference import is_local_spelling, short_docker_name
from skyport_wf.input_file import exists

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.image.context import BuildContext
    from skyport_wf.image.docker_command import DockerCommand
    from skyport_wf.image_list.spec import ImageSpec

_log = logging.getLogger(__name__)
_ATTEMPTS = 10
_LONGEST_PAUSE = 1.0
"""Seconds."""
_FROM_CACHE = "Using cache"
"""In what Docker's classic builder and podman's print of a step that they do not make anew."""
_NEEDS_BUILDKIT = re.compile(r"(?<=requires BuildKit\. )Refer to https://docs\.docker\.com/\S+ to learn how to .*")
"""What Docker's classic builder advises; its page tells of variables that mean nothing here."""
_BUILDKIT_NETWORKS = (None, "default", "host", "none")
"""The values of `network` that BuildKit understands."""
_USUAL_NETWORKS = (None, "host", "none")
"""Those that every builder understands."""


def build_image(
    client: APIClient,
    image: ImageSpec,
    context: BuildContext,
    output: Callable[[str], None],
    *,
    bases: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Build `image` with the builder that it asks for, tag it with its name, and return the engine's id of it.

    output: called with each piece of text that the build prints.
    bases: for images that the Dockerfile names, the names that the engine has the right ones under.
    Raises BuildError, with the failing instruction and the last lines it printed, if it fails; UsageError if the
    image needs BuildKit and there is none.
    """
    check_builder(client, image)
    if moved := [
        name
        for name, held in bases.items()
        if short_docker_name(name) != short_docker_name(held) and not is_local_spelling(name, held)
    ]:
        _log.info("in the engine, other images are called %s; the published ones are taken", ", ".join(moved))
    # Podman has whole names, and a Dockerfile may name another registry than the one that an image has there.
    whole = podman_version(client) is not None
    others = {name: name_in_engine(client, held) for name, held in bases.items() if whole or held != name}
    if not others:
        return _build(client, image, context, output)

    def told(text: str) -> str:
        for name, other in others.items():
            text = text.replace(other, name)
        return text

    with _renamed_bases(context, others, image) as renamed:
        try:
            return _build(client, image, renamed, lambda text: output(told(text)))
        except BuildError as error:
            raise BuildError(told(str(error))) from error


def check_builder(client: APIClient, image: ImageSpec) -> None:
    """Raise UsageError if there is no builder for what the image asks for. Nothing is built."""
    check_build(client, image)
    for field, texts in {"build_args": image.build_args, "labels": image.labels}.items():
        for name, text in texts.items():
            if "\0" in name + text:
                # The engine would cut it, or fail at the first RUN.
                raise UsageError(f"image {image.name}: `{field}` {name!r} has a NUL character. Leave that out.")
    _choose_builder(client, image)


def asks_for_a_builder(image: ImageSpec) -> bool:
    """Return whether not every engine can build the image."""
    return _needs_buildkit(image) or image.network not in _USUAL_NETWORKS


@contextmanager
def _renamed_bases(context: BuildContext, others: Mapping[str, str], image: ImageSpec) -> Iterator[BuildContext]:
    """Yield the context with a Dockerfile that calls images by other names; what `COPY` sees is as it was."""
    content = context.dockerfile.read_bytes()
    with folder_outside(context) as folder:
        dockerfile = folder / "Dockerfile"
        dockerfile.write_bytes(
            replace_images(content, others, build_args=image.build_args, platform=image.normalized_platform)
        )
        # The rules of what the context leaves out stand beside a Dockerfile, under its name.
        rules = context.dockerfile.with_name(context.dockerfile.name + ".dockerignore")
        if exists(rules):
            (folder / "Dockerfile.dockerignore").write_bytes(rules.read_bytes())
        yield msgspec.structs.replace(context, dockerfile=dockerfile)


def _build(client: APIClient, image: ImageSpec, context: BuildContext, output: Callable[[str], None]) -> str:
    """Build the image, and again where somebody has removed an image that the engine took for a cached step."""
    import tenacity

    again = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(VanishedImageError),
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        # Whoever removes images may be about to remove more of them.
        wait=tenacity.wait_random_exponential(multiplier=0.05, max=_LONGEST_PAUSE),
        reraise=True,
    )
    return again(_build_once, client, image, context, output)


def _build_once(client: APIClient, image: ImageSpec, context: BuildContext, output: Callable[[str], None]) -> str:
    from skyport_wf.engine.buildkit import build_with_buildkit

    command = _choose_builder(client, image)
    try:
        if command:
            _log.debug("building %s with BuildKit, through %s", image.name, command.path)
            return build_with_buildkit(client, command, image, context, output)
        return _build_for_platform(client, image, context, output)
    except (BuildError, EngineError) as error:
        # Docker's own builder refuses what it cannot read before it begins.
        if _NEEDS_BUILDKIT.search(str(error)):
            advice = "Install a docker command of 18.09 to 22, or a later one with the buildx plugin."
            if image.builder == "classic":
                advice = "Leave `builder: classic` out of the image list."
            elif image.network not in _BUILDKIT_NETWORKS:
                advice = "Set `network` to `host` or `none`, or leave it out."
            raise BuildError(_NEEDS_BUILDKIT.sub(advice, str(error))) from error
        # A builder that knows no heredocs takes the lines below one for instructions.
        if "unknown instruction" in str(error).lower() and any(
            instruction.heredocs for instruction in read_instructions(context.dockerfile.read_bytes())
        ):
            raise BuildError(
                f"{error}\nThe Dockerfile has a heredoc (<<). That needs BuildKit; on an engine before Docker 23, also "
                "the first line `# syntax=docker/dockerfile:1`."
            ) from error
        raise


def _build_for_platform(
    client: APIClient, image: ImageSpec, context: BuildContext, output: Callable[[str], None]
) -> str:
    """Build with the engine's own builder, and again where its cache had the steps of another platform.

    Of one Dockerfile for two platforms, it takes the steps of the first for those of the second.
    """
    from skyport_wf.engine.classic_build import build_classically

    is_cached = False

    def listen(text: str) -> None:
        nonlocal is_cached
        is_cached = is_cached or _FROM_CACHE in text
        output(text)

    image_id = build_classically(client, image, context, listen)
    found = find_image(client, image_id)
    wanted = image.platform or platform_arguments(None)["TARGETPLATFORM"]
    if not is_cached or found is None or is_platform(found.platform, wanted):
        return image_id
    _log.info("the engine's cache has %s for %s: building it without the cache", image.name, found.platform)
    return build_classically(client, msgspec.structs.replace(image, no_cache=True), context, output)


def _choose_builder(client: APIClient, image: ImageSpec) -> DockerCommand | None:
    """Return the docker command that builds the image with BuildKit; None for the engine's own builder.

    Raises UsageError if the image needs BuildKit and there is none.
    """
    from skyport_wf.engine.buildkit import find_buildkit

    needs_buildkit = _needs_buildkit(image)
    if needs_buildkit and image.network not in _BUILDKIT_NETWORKS:
        raise UsageError(
            f"image {image.name}: BuildKit gives a build the engine's own network, the host's or none, and no "
            f"{image.network!r}. Set `network` to `host` or `none`, or leave it out."
        )
    # Of the two, only the classic builder knows networks that someone has made.
    is_classic = image.builder == "classic" or image.network not in _BUILDKIT_NETWORKS
    command = None if is_classic else find_buildkit(client)
    if not command and needs_buildkit:
        raise UsageError(
            f"image {image.name} is to be built with BuildKit, which needs an engine with it and a docker command of "
            "18.09 to 22, or a later one with the buildx plugin. Install one, or set `builder: classic`."
        )
    return command


def _needs_buildkit(image: ImageSpec) -> bool:
    return bool(image.builder == "buildkit" or image.secrets or image.ssh)
