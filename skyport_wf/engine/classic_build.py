"""Building an image with the engine's own builder, over the Docker Engine API: Docker's classic one, or podman's."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from skyport_wf.engine.build_arguments import build_arguments
from skyport_wf.engine.connection import answers_closed, engine_errors
from skyport_wf.engine.images import tag_image
from skyport_wf.engine.network import default_network
from skyport_wf.engine.podman import build_network, build_options, own_name
from skyport_wf.errors import BuildError
from skyport_wf.image.context import BuildContext, write_context

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.image_list.spec import ImageSpec

_STEP = re.compile(r"(?:\[\d+/\d+\] )?(?:Step \d+/\d+ :|STEP \d+/\d+:) (?P<instruction>.*)", re.DOTALL)
"""`Step 2/3 : RUN make` of Docker, `[1/2] STEP 2/3: RUN make` of podman."""
_BUILT = re.compile(r"sha256:[0-9a-f]{64}")
_ENGINE_CHATTER = re.compile(r"\s*---> |Removing intermediate container |time=\"")
"""What the engine says between the lines that a RUN instruction prints; podman's own log begins with the time."""
_SAID_ALREADY = re.compile(
    r"building at STEP \".*?\": (?:Build error: |while running runtime: )?| &imagebuilder\.Step\{.*", re.DOTALL
)
"""What podman's errors repeat of the instruction."""
_LAST_LINES = 20
_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;]*m")


def build_classically(client: APIClient, image: ImageSpec, context: BuildContext, output: Callable[[str], None]) -> str:
    """Build `image` from its Dockerfile, tag it with its name, and return the engine's id of it.

    output: called with each piece of text that the build prints.
    Raises BuildError, with the failing instruction and the last lines it printed, if it fails.
    """
    import tempfile

    network = build_network(client, image.network or default_network(client))
    with (
        tempfile.TemporaryFile() as tar,
        engine_errors(f"building {image.name}"),
        build_options(client, build_arguments(image)),
        answers_closed(client),
    ):
        write_context(context, tar)
        tar.seek(0)
        events = client.build(
            fileobj=tar, custom_context=True, tag=own_name(client, image.name), dockerfile=context.dockerfile_name,
            buildargs=build_arguments(image), labels=dict(image.labels) or None, target=image.target,
            platform=image.platform, network_mode=network,
            pull=image.pull, nocache=image.no_cache, rm=True, forcerm=True, decode=True,
        )  # fmt: skip
        image_id = _follow(events, image.name, output)
    tag_image(client, image_id, image.reference)
    return image_id


def _follow(events: Iterable[dict[str, Any]], name: str, output: Callable[[str], None]) -> str:
    """Pass on what a build prints, and return the id of what it made."""
    instruction, image_id = "", ""
    last: deque[str] = deque(maxlen=_LAST_LINES)
    for event in events:
        text = event.get("stream", "")
        output(text)
        if step := _STEP.match(text):
            instruction = step["instruction"].strip()
            last.clear()
        else:
            last.extend(_TERMINAL_CODES.sub("", text).splitlines())
        if "aux" in event:
            image_id = event["aux"].get("ID", image_id)
        if "error" in event:
            raise _failure(name, instruction, last, event["error"])
    if not _BUILT.fullmatch(image_id):
        raise BuildError(f"building {name}: the engine ended without saying which image it built")
    return image_id


def _failure(name: str, instruction: str, last: Iterable[str], error: str) -> BuildError:
    lines = [line for line in last if line.strip() and not _ENGINE_CHATTER.match(line)]
    shown = "".join(f"\n  | {line}" for line in lines)
    at = f" at\n  {instruction}\n" if instruction else ": "
    what = _SAID_ALREADY.sub("", error).strip()
    return BuildError(f"building {name} failed{at}{what}{shown and '. The last it printed:'}{shown}")
