"""Building an image with the classic builder, over the Docker Engine API."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from skyport_wf.engine.connection import default_network, engine_errors
from skyport_wf.errors import BuildError
from skyport_wf.image.context import BuildContext, write_context

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.spec import ImageSpec

_STEP = re.compile(r"Step \d+/\d+ : (?P<instruction>.*)", re.DOTALL)
_BUILT = re.compile(r"sha256:[0-9a-f]{64}")
_ENGINE_CHATTER = re.compile(r"\s*---> |Removing intermediate container ")
"""What the engine says between the lines that a RUN instruction prints."""
_LAST_LINES = 20
_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;]*m")


def build_classically(client: APIClient, image: ImageSpec, context: BuildContext, output: Callable[[str], None]) -> str:
    """Build `image` from its Dockerfile, tag it with its name, and return the engine's id of it.

    output: called with each piece of text that the build prints.
    Raises BuildError, with the failing instruction and the last lines it printed, if it fails.
    """
    import tempfile

    with tempfile.TemporaryFile() as tar, engine_errors(f"building {image.name}"):
        write_context(context, tar)
        tar.seek(0)
        events = client.build(
            fileobj=tar, custom_context=True, tag=image.name, dockerfile=context.dockerfile_name,
            buildargs=dict(image.build_args), labels=dict(image.labels) or None, target=image.target,
            platform=image.platform, network_mode=image.network or default_network(client),
            pull=image.pull, nocache=image.no_cache, rm=True, forcerm=True, decode=True,
        )  # fmt: skip
        return _follow(events, image.name, output)


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
    return BuildError(f"building {name} failed{at}{error.strip()}{shown and '. The last it printed:'}{shown}")
