"""Building with BuildKit, which has `RUN --mount`, heredocs, build secrets and `# syntax`.

BuildKit's session protocol has no client in Python, so the docker command speaks it: with its buildx plugin, or, from
18.09 up to 22, by itself.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from skyport_wf.engine.build_inputs import build_arguments, secret_mask, secret_options
from skyport_wf.engine.build_output import LastLines
from skyport_wf.engine.capabilities import default_network, has_buildkit
from skyport_wf.errors import BuildError
from skyport_wf.image.context import ignore_file
from skyport_wf.image.docker_command import DockerCommand, find_docker_command

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.image.context import BuildContext
    from skyport_wf.image_list.spec import ImageSpec

_STEP_LINE = re.compile(r"#(?P<step>\d+) (?:(?P<second>\d+\.\d+) )?(?P<text>.*)")
_STAGE = re.compile(r"\[[^]]*\] ")
_COMMANDS_OWN: Final = ("DOCKER_", "BUILDKIT_", "BUILDX_")
"""How variables begin that the docker command reads."""


def find_buildkit(client: APIClient) -> DockerCommand | None:
    """Return the first docker command in PATH that can build with BuildKit on this engine; None if there is none."""
    return find_docker_command() if has_buildkit(client) else None


def build_with_buildkit(
    client: APIClient, command: DockerCommand, image: ImageSpec, context: BuildContext, output: Callable[[str], None]
) -> str:
    """Do the work of `builders.build_image` with a docker command."""
    with tempfile.TemporaryDirectory(prefix="skyport-wf-") as folder:
        id_file, dockerfile = Path(folder, "id"), context.dockerfile
        if context.without:
            # The command has no option for files to leave out. It looks for NAME.dockerignore beside a Dockerfile NAME.
            dockerfile = Path(folder, "Dockerfile")
            dockerfile.write_bytes(context.dockerfile.read_bytes())
            Path(folder, "Dockerfile.dockerignore").write_bytes(ignore_file(context))
        # Build arguments go by the environment: a process's arguments are for all to read.
        given = {name: value for name, value in image.build_args.items() if not _is_for_the_command(name)}
        arguments = _arguments(image, dockerfile, id_file, image.network or default_network(client))
        progress, mask = _Progress(), secret_mask(image.secrets)
        with subprocess.Popen(
            [command.path, "build", *arguments, str(context.root)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace",
            env={**os.environ, **given, "DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"},
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
        self._printed: dict[str, LastLines] = {}
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
            self._printed.setdefault(step, LastLines()).add(text)
        elif text.startswith("ERROR: "):
            self._failed = step
        else:
            self._instructions.setdefault(step, _STAGE.sub("", text, count=1))

    def failure(self, name: str) -> BuildError:
        """Return the error that the lines tell of."""
        at = f" at\n  {self._instructions.get(self._failed, '')}\n" if self._failed else ": "
        return BuildError(f"building {name} failed{at}{self._last}{self._printed.get(self._failed, '')}")


def _is_for_the_command(name: str) -> bool:
    """Return whether the docker command would take this variable for its own: PATH, DOCKER_HOST, ..."""
    return name in os.environ or name.startswith(_COMMANDS_OWN)


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
