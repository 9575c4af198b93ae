"""The output of a build or a script, and the message that it makes when it fails.

The words are a program's, and may be anything: a message is short and acts on no terminal.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Final

from skyport_wf.errors import BuildError
from skyport_wf.formatting import one_line

_LAST_LINES: Final = 20
_LONGEST_LINE: Final = 300
_LONGEST_INSTRUCTION: Final = 1000
_LINE_END: Final = re.compile(r"[\r\n]+")
_TERMINAL_CODES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)")
"""Colours, moves of the cursor, titles of windows: whole, or their letters and digits would stay as words."""
_NO_REGISTRY_GIVES_IT: Final = re.compile(
    r"failed to (?:do request|resolve)|pull access denied|repository does not exist|manifest unknown|unauthorized"
    r"|no stage or image found|short-name|pinging container registry|dial tcp"
)
"""How engines word that. A FROM may fail for other reasons, such as a full disk, and a COPY of a stage for a path."""
_NAMED_IMAGE: Final = re.compile(
    r"^(?:load metadata for|FROM(?:\s+--\S+)*|(?:COPY|ADD)(?:\s+--\S+)*?\s+--from=)\s*(?P<image>\S+)"
)
_NAMED_IN_REASON: Final = re.compile(r"from=(?P<image>\S+): no stage or image found with that name")
"""How podman words it, also of a RUN that mounts something of several images."""
_PLATFORM: Final = re.compile(r"^FROM\s+--platform=(?P<platform>[^\s$]+)\s")
_FRONTEND: Final = re.compile(r"^resolve image config for (?:docker-image://)?(?P<image>\S+)")
"""What BuildKit does for the line `# syntax=IMAGE`."""
_PREFIXES: Final = re.compile(
    r"^(?:ERROR: |failed to build: |failed to solve(?: with frontend [\w.]+)?: |failed to create LLB definition: )+"
)
"""Where BuildKit says that something failed, before it says what."""
_VANISHED: Final = re.compile(
    r'image(?::| ID)? "?sha256:[0-9a-f]{64}|imagedb/content/sha256/[0-9a-f]{64}: no such file'
    r"|content digest sha256:[0-9a-f]{64}: not found|parent snapshot sha256:[0-9a-f]{64} does not exist"
)
"""Words of Docker's builders of an image that was there a moment ago, when they took it for a cached step."""


class LastLines:
    """Keeps the last lines of a text that comes piece by piece; as a string, the end of an error message."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._open = ""

    def add(self, text: str) -> None:
        """Take note of a piece of the text, which may begin and end inside a line; blank lines do not count."""
        first, *others = _LINE_END.split(_TERMINAL_CODES.sub("", text))
        # Of a line without an end, no more is kept than is shown: a program may print gigabytes of one.
        self._open = (self._open + first)[: _LONGEST_LINE + 1]
        for line in others:
            self._close()
            self._open = line[: _LONGEST_LINE + 1]

    def __str__(self) -> str:
        shown = [*self._lines, line_of_output(self._open)] if self._open.strip() else [*self._lines]
        lines = "".join(f"\n  | {line}" for line in shown[-_LAST_LINES:])
        return f". The last it printed:{lines}" if lines else ""

    def _close(self) -> None:
        if self._open.strip():
            self._lines.append(line_of_output(self._open))


def line_of_output(text: str) -> str:
    """Return the text in one line that no terminal acts upon, cut if it is long."""
    return one_line(text, _LONGEST_LINE)


class VanishedImageError(BuildError):
    """Somebody removed an image of a cached step while the engine used it, which has nothing to do with the build."""


class UnknownImageError(BuildError):
    """An image that the Dockerfile names is neither in the engine nor in a registry."""

    def __init__(self, message: str, *, image: str) -> None:
        """Say what happened. image: its name, perhaps with a tag that docker has added."""
        super().__init__(message)
        self.image = image


def build_failure(
    name: str, *, instruction: str, reason: str, last: LastLines | None, platform: str | None = None
) -> BuildError:
    """Return the error that says why building `name` failed.

    instruction: the one that failed, empty if it was none.
    reason: the builder's own words.
    last: what the instruction printed.
    platform: what the image list asks for, if it does.
    """
    reason = _PREFIXES.sub("", "\n".join(map(line_of_output, reason.strip().splitlines()[:_LAST_LINES])))
    if frontend := _FRONTEND.match(instruction):
        image = _plain_name(frontend["image"])
        return BuildError(
            f"building {name} failed: the engine does not have the image {image}, which the line `# syntax` of the "
            f"Dockerfile names, and no registry gave it ({reason}). Get it: `docker pull {image}`; or leave the line "
            "out, if the engine's BuildKit knows what stands below it."
        )
    named = _NAMED_IN_REASON.search(reason) or _NAMED_IMAGE.match(instruction)
    if told := _PLATFORM.match(instruction):
        platform = told["platform"]
    if named and (instruction.startswith("load") or _NO_REGISTRY_GIVES_IT.search(reason)):
        image = _plain_name(named["image"])
        # The engine may have it for another one.
        of_platform, pull = (f" for {platform}", f"pull --platform {platform}") if platform else ("", "pull")
        return UnknownImageError(
            f"building {name} failed: the engine does not have the image {image}{of_platform}, and no registry gave it "
            f"({reason}). Mend its name in the Dockerfile, or get it: `docker {pull} {image}`, or, if it is published "
            f"on your Shock, `skyport-wf pull {image}`.",
            image=image,
        )
    lines = "\n  ".join(line_of_output(line) for line in instruction[:_LONGEST_INSTRUCTION].splitlines())
    at = f" at\n  {lines}\n" if lines else ": "
    kind = VanishedImageError if _VANISHED.search(reason) else BuildError
    return kind(f"building {name} failed{at}{reason}{last or ''}")


def _plain_name(image: str) -> str:
    return line_of_output(image.removeprefix("docker.io/library/").removeprefix("docker.io/"))
