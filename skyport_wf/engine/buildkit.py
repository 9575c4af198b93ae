"""Building with BuildKit: what `RUN --mount`, heredocs, build secrets and `# syntax` need.

BuildKit's session protocol has no client in Python, so the docker command speaks it: with its buildx plugin, or, from
18.09 up to 22, by itself.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.engine.build_arguments import build_arguments
from skyport_wf.engine.build_secrets import secret_mask, secret_options
from skyport_wf.engine.connection import engine_errors
from skyport_wf.engine.network import default_network
from skyport_wf.engine.podman import podman_version
from skyport_wf.errors import BuildError
from skyport_wf.image.context import ignore_patterns

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.image.context import BuildContext
    from skyport_wf.image_list.spec import ImageSpec

_STEP_LINE = re.compile(r"#(?P<step>\d+) (?:(?P<second>\d+\.\d+) )?(?P<text>.*)")
_STAGE = re.compile(r"\[[^]]*\] ")
_LAST_LINES = 20
_QUESTION_SECONDS = 20
_FIRST_API = (1, 39)
"""The API version of Docker 18.09."""
_COMMANDS_OWN = ("DOCKER_", "BUILDKIT_", "BUILDX_")
"""How variables begin that the docker command reads."""
_WITHOUT_BUILDX = 23
"""The first version of the docker command that needs the buildx plugin for BuildKit."""


class BuildKitCommand(msgspec.Struct, frozen=True):
    """A docker command that can build with BuildKit."""

    path: str


def find_buildkit(client: APIClient) -> BuildKitCommand | None:
    """Return the first docker command in PATH that can build with BuildKit on this engine; None if there is none."""
    if not _engine_has_buildkit(client):
        return None
    commands = (Path(folder) / "docker" for folder in os.get_exec_path())
    able = (str(path) for path in commands if os.access(path, os.X_OK) and _command_has_buildkit(str(path)))
    path = next(able, None)
    return BuildKitCommand(path) if path else None


def build_with_buildkit(
    client: APIClient, command: BuildKitCommand, image: ImageSpec, context: BuildContext, output: Callable[[str], None]
) -> str:
    """Build `image` from its Dockerfile, tag it with its name, and return the engine's id of it.

    output: called with each piece of text that the build prints.
    Raises BuildError, with the failing instruction and the last lines it printed, if it fails.
    """
    with tempfile.TemporaryDirectory(prefix="skyport-wf-") as folder:
        id_file = Path(folder) / "id"
        dockerfile = _lay_out(context, Path(folder))
        arguments = _arguments(image, dockerfile, id_file, image.network or default_network(client))
        progress, mask = _Progress(), secret_mask(image.secrets)
        with subprocess.Popen(
            [command.path, "build", *arguments, str(context.root)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=_environment(image), text=True, errors="replace",
        ) as process:  # fmt: skip
            try:
                for line in map(mask, process.stdout or ()):
                    progress.follow(line)
                    output(line)
            except BaseException:
                process.terminate()
                raise
        if process.returncode:
            raise progress.failure(image.name)
        return id_file.read_text().strip()


class _Progress:
    """Follows BuildKit's plain progress: `#5 [2/3] RUN make`, `#5 0.081 what it prints`, `#5 ERROR: why`."""

    def __init__(self) -> None:
        self._instructions: dict[str, str] = {}
        self._printed: dict[str, deque[str]] = {}
        self._failed = ""
        self._last = "the docker command failed"

    def follow(self, line: str) -> None:
        """Take note of a line."""
        self._last = line.strip() or self._last
        match = _STEP_LINE.match(line)
        if not match:
            return
        step, text = match["step"], match["text"]
        if match["second"]:
            self._printed.setdefault(step, deque(maxlen=_LAST_LINES)).append(text)
        elif text.startswith("ERROR: "):
            self._failed = step
        else:
            self._instructions.setdefault(step, _STAGE.sub("", text, count=1))

    def failure(self, name: str) -> BuildError:
        """Return the error that the lines tell of."""
        at = f" at\n  {self._instructions.get(self._failed, '')}\n" if self._failed else ": "
        shown = "".join(f"\n  | {line}" for line in self._printed.get(self._failed, ()) if line.strip())
        return BuildError(f"building {name} failed{at}{self._last}{shown and '. The last it printed:'}{shown}")


def _environment(image: ImageSpec) -> dict[str, str]:
    """Return the command's variables, with the build arguments: a process's arguments are for all to read."""
    given = {name: value for name, value in image.build_args.items() if not _is_for_the_command(name)}
    return {**os.environ, **given, "DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"}


def _is_for_the_command(name: str) -> bool:
    """Return whether the docker command would take this variable for its own: PATH, DOCKER_HOST, ..."""
    return name in os.environ or name.startswith(_COMMANDS_OWN)


def _lay_out(context: BuildContext, folder: Path) -> Path:
    """Return the Dockerfile to build: a copy if the context is without more than it says itself.

    The command has no option for that. It looks for NAME.dockerignore beside a Dockerfile called NAME.
    """
    if not context.without:
        return context.dockerfile
    (folder / "Dockerfile").write_bytes(context.dockerfile.read_bytes())
    (folder / "Dockerfile.dockerignore").write_text("\n".join((*ignore_patterns(context), "")), encoding="utf-8")
    return folder / "Dockerfile"


def _arguments(image: ImageSpec, dockerfile: Path, id_file: Path, network: str | None) -> Iterator[str]:
    yield from ("--tag", image.name, "--file", str(dockerfile), "--iidfile", str(id_file))
    for name, text in build_arguments(image).items():
        yield from ("--build-arg", f"{name}={text}" if _is_for_the_command(name) else name)
    for label, text in image.labels.items():
        yield from ("--label", f"{label}={text}")
    for option, value in {"--target": image.target, "--platform": image.platform, "--network": network}.items():
        if value:
            yield from (option, value)
    yield from secret_options(image.secrets)
    for agent in image.ssh:
        yield from ("--ssh", agent)
    if image.pull:
        yield "--pull"
    if image.no_cache:
        yield "--no-cache"


def _engine_has_buildkit(client: APIClient) -> bool:
    if podman_version(client):
        # It answers with an API version that has BuildKit, and has another builder.
        return False
    with engine_errors("telling whether it has BuildKit"):
        # The header Builder-Version tells only which builder the engine prefers, and 20.10 prefers the classic one.
        headers = client.get(f"{client.base_url}/_ping", timeout=_QUESTION_SECONDS).headers
    return tuple(map(int, headers.get("API-Version", "0.0").split("."))) >= _FIRST_API


def _command_has_buildkit(path: str) -> bool:
    version = _ask(path, "version", "--format", "{{.Client.Version}}")
    major = re.match(r"(\d+)\.", version or "")
    if not major:
        return False
    return int(major[1]) < _WITHOUT_BUILDX or _ask(path, "buildx", "version") is not None


def _ask(*command: str) -> str | None:
    """Return what the command prints; None if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_QUESTION_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done.stdout
