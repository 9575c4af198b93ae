"""The docker command that builds with BuildKit. Asking for it needs no engine."""

import functools
import os
import re
import subprocess
from pathlib import Path
from typing import Final

import msgspec

from skyport_wf.child_environment import child_environment

HOST: Final = "DOCKER_HOST"
TLS_VARIABLES: Final = ("DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
_ENGINE_VARIABLES: Final = (
    *(HOST, "DOCKER_CONTEXT", *TLS_VARIABLES, "DOCKER_API_VERSION"),
    *("BUILDX_BUILDER", "BUILDX_NO_DEFAULT_LOAD"),  # another builder, and no image in the engine
)
_IMAGE_VARIABLES: Final = ("DOCKER_DEFAULT_PLATFORM", "BUILDX_GIT_LABELS")
"""Those by which it makes another image than the image list says. Nothing else reads them, not the classic builder."""
_QUESTION_SECONDS = 20
_NEEDS_BUILDX = 23
"""The first version of the docker command that needs the buildx plugin for BuildKit."""


class DockerCommand(msgspec.Struct, frozen=True):
    """A docker command that can build with BuildKit."""

    path: str
    major: int
    """The first number of its version."""

    @property
    def has_buildx(self) -> bool:
        """True if it builds through buildx, which can export an image to a file."""
        return self.major >= _NEEDS_BUILDX

    @property
    def ignores_in_old_ways(self) -> bool:
        """True if it matches files with `.dockerignore` as before version 23."""
        return self.major < _NEEDS_BUILDX


def command_environment(*needed: str) -> dict[str, str]:
    """Return this process's variables for the docker command, without those that tell it of an engine or an image.

    needed: as for `child_environment`.
    """
    hidden = {*_ENGINE_VARIABLES, *_IMAGE_VARIABLES}
    return {name: value for name, value in child_environment(*needed).items() if name not in hidden}


def find_docker_command() -> DockerCommand | None:
    """Return the first docker command in PATH that can build with BuildKit; None if there is none."""
    return _find(os.environ.get("PATH"), os.environ.get("DOCKER_CONFIG"))


@functools.cache
def _find(_path: str | None, _config: str | None) -> DockerCommand | None:
    """Ask once for each value of the variables that decide, as an image list may have many contexts."""
    for folder in os.get_exec_path():
        path = str(Path(folder, "docker"))
        if not os.access(path, os.X_OK):
            continue
        major = re.match(r"Docker version (\d+)\.", _ask(path, "--version") or "")
        if major and (int(major[1]) < _NEEDS_BUILDX or _ask(path, "buildx", "version") is not None):
            return DockerCommand(path, int(major[1]))
    return None


def _ask(*command: str) -> str | None:
    """Return what the command prints; None if it fails."""
    try:
        # An address that it does not know keeps it from answering.
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_QUESTION_SECONDS, check=False, env=command_environment()
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done.stdout
