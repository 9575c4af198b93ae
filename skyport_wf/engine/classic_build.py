"""Building an image with the engine's own builder, over the Docker Engine API: Docker's classic one, or podman's."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skyport_wf.digests import is_sha256
from skyport_wf.engine.build_inputs import build_arguments
from skyport_wf.engine.build_output import LastLines, build_failure
from skyport_wf.engine.capabilities import default_network
from skyport_wf.engine.connection import answers_closed, engine_errors
from skyport_wf.engine.images import tag_image
from skyport_wf.engine.podman import build_labels, build_network, build_options, own_name
from skyport_wf.errors import BuildError
from skyport_wf.image.context import BuildContext
from skyport_wf.image.context_tar import write_context
from skyport_wf.output_file import scratch_file

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.image_list.spec import ImageSpec

_STEP = re.compile(r"(?:\[\d+/\d+\] )?(?:Step \d+/\d+ :|STEP \d+/\d+:) (?P<instruction>.*)", re.DOTALL)
"""`Step 2/3 : RUN make` of Docker, `[1/2] STEP 2/3: RUN make` of podman."""
_RESOLVING = re.compile(
    r"resolving step \{.*? Original:(?P<instruction>.*) Flags:\[.*?\] StartLine:\d+ EndLine:\d+\}: (?P<reason>.*)",
    re.DOTALL,
)
"""Podman's words for a step that it cannot read, of which it names the one before: all that its parser knows of it."""
_ENGINE_CHATTER = re.compile(r"\s*---> |Removing intermediate container |time=\"")
"""Lines of the engine's own between those that a RUN instruction prints; podman's log begins with the time."""
_SAID_ALREADY = re.compile(
    r"building at STEP \".*?\": (?:Build error: |while running runtime: )?| &imagebuilder\.Step\{.*", re.DOTALL
)
"""Where podman's errors repeat the instruction."""
_RED = re.compile(r"\A\x1b\[91m(?P<printed>.*)\x1b\[0m\Z", re.DOTALL)
"""What a RUN writes to stderr, as Docker passes it on: in red, which it is not asked for."""


def build_classically(client: APIClient, image: ImageSpec, context: BuildContext, output: Callable[[str], None]) -> str:
    """Do the work of `builders.build_image` with the engine's own builder."""
    network = build_network(client, image.network or default_network(client))
    with (
        scratch_file(Path(tempfile.gettempdir())) as scratch,
        open(scratch.descriptor, "rb", closefd=False) as tar,
        engine_errors(f"building {image.name}"),
        build_options(client, build_arguments(image)),
        answers_closed(client),
    ):
        write_context(context, scratch)
        tar.seek(0)
        events = client.build(
            fileobj=tar, custom_context=True, tag=own_name(client, image.name), dockerfile=context.dockerfile_name,
            buildargs=build_arguments(image), labels=build_labels(client, image.labels) or None, target=image.target,
            platform=image.normalized_platform, network_mode=network,
            pull=image.pull, nocache=image.no_cache, rm=True, forcerm=True, decode=True,
        )  # fmt: skip
        image_id = _follow(events, image, output)
    _check_labels(client, image_id, image)
    tag_image(client, image_id, image.reference)
    return image_id


def _check_labels(client: APIClient, image_id: str, image: ImageSpec) -> None:
    """Raise BuildError if the image has other labels than it is to have: engines differ in how they read them."""
    if not image.labels:
        return
    with engine_errors(f"looking at {image.name}"):
        found = client.inspect_image(image_id)["Config"].get("Labels") or {}
    for name, value in image.labels.items():
        if found.get(name) != value:
            raise BuildError(
                f"building {image.name}: the engine did not set the label {name} to {value!r}. Set it by a LABEL in "
                "the Dockerfile."
            )


def _follow(events: Iterable[dict[str, Any]], image: ImageSpec, output: Callable[[str], None]) -> str:
    """Pass on what a build prints, and return the id of the image it made. Raises BuildError if it fails."""
    instruction, image_id, last = "", "", LastLines()
    for event in events:
        text = _RED.sub(r"\g<printed>", event.get("stream", ""))
        output(text)
        if step := _STEP.match(text):
            instruction, last = step["instruction"].strip(), LastLines()
        else:
            # With their ends: an event may be a line, or the beginning of one.
            lines = text.splitlines(keepends=True)
            last.add("".join(line for line in lines if not _ENGINE_CHATTER.match(line)))
        if "aux" in event:
            image_id = event["aux"].get("ID", image_id)
        if "error" in event:
            reason = _SAID_ALREADY.sub("", event["error"])
            if resolving := _RESOLVING.search(reason):
                # What was printed is of the one before.
                instruction, reason, last = resolving["instruction"], resolving["reason"], LastLines()
            platform = image.normalized_platform
            raise build_failure(image.name, instruction=instruction, reason=reason, last=last, platform=platform)
    if not is_sha256(image_id):
        raise BuildError(f"building {image.name}: the engine ended without saying which image it built")
    return image_id
