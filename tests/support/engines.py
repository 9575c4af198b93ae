"""The engines that tests run on: the one at DOCKER_HOST, and those that SKYPORT_TEST_ENGINES names."""

import json
import os
import subprocess
import uuid
from pathlib import Path
from typing import Any, Self

from tests.support.engine import config_digest, docker, uses_containerd_store

VARIABLE = "SKYPORT_TEST_ENGINES"
"""NAME=DOCKER_HOST, separated by spaces, as `.ci/engine-root --beside` sets it."""
MAIN = "main"


def engine_names() -> list[str]:
    """Return the names of all engines to test."""
    return [MAIN, *_others()]


def _others() -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in os.environ.get(VARIABLE, "").split())


def podman_program() -> str:
    """Return the podman command to test: that of the engine which SKYPORT_TEST_PODMAN names, or else the system's."""
    name = os.environ.get("SKYPORT_TEST_PODMAN")
    return str(_programs(_others()[name]) / "podman") if name else "podman"


def find_program(name: str) -> Path | None:
    """Return a command that comes with the engine of another Debian release, None where no engine has it."""
    found = (_programs(host) / name for host in _others().values())
    return next((path for path in found if path.exists()), None)


def _programs(host: str) -> Path:
    """Return where the commands of an engine's root lie: beside its socket."""
    return Path(host.removeprefix("unix://")).with_name("bin")


class EngineUnderTest:
    """An engine, with names of images that nobody else has there. In a `with` statement, these vanish with it."""

    def __init__(self, name: str, main: str) -> None:
        """Connect to the engine of this name; `main` is the DOCKER_HOST of the usual one."""
        host = main if name == MAIN else _others()[name]
        # People have the docker command of their engine, or a later one.
        programs = _programs(host)
        self.variables = {"DOCKER_HOST": host, "PATH": os.environ["PATH"]}
        if name != MAIN and programs.is_dir():
            self.variables["PATH"] = f"{programs}:{self.variables['PATH']}"
        self.namespace = f"test-{uuid.uuid4().hex[:12]}"
        self.is_podman = "podman" in self.docker("version", "--format", "{{json .Server}}").lower()
        self.is_containerd = uses_containerd_store(**self.variables)
        self.builders = ["classic"] if self.is_podman else ["classic", "buildkit"]
        self.published: set[str] = set()
        """The ids of published images, which may have got names of our own."""
        self.label = f"org.example.test={self.namespace}"
        """By which images of this test are told from others that come up at the same time."""

    def docker(self, *arguments: str) -> str:
        """Run the docker command on this engine, and return what it printed."""
        return docker(*arguments, **self.variables).strip()

    def name(self, image: str) -> str:
        return f"{self.namespace}/{image}:1"

    def id_of(self, name: str) -> str:
        """Return the engine's own id of an image, empty if it has none of this name."""
        found = self.docker("image", "ls", "--no-trunc", "--quiet", "--filter", f"reference=*{name}").split()
        # Podman shows one image of two names twice.
        return found[0] if found else ""

    def config_digest(self, name: str) -> str:
        return config_digest(name, **self.variables)

    def read(self, name: str, path: str) -> str:
        """Return what a file of an image holds."""
        return self.docker("run", "--rm", "--network", "host", name, "/bin/busybox", "cat", path)

    def lose_layer(self, name: str) -> None:
        """Clear an image's highest layer away, as containerd does if it seems to be one of images that are gone."""
        process = Path(self.variables["DOCKER_HOST"].removeprefix("unix://")).with_name("pid").read_text().strip()
        within = ["nsenter", "--target", process, "--mount", "--"]
        ctr = [*within, "ctr", "--address", "/run/docker/containerd/containerd.sock", "--namespace", "moby", "content"]

        def read(digest: str) -> Any:
            return json.loads(subprocess.run([*ctr, "get", digest], check=True, capture_output=True).stdout)

        image = read(self.id_of(name))
        if "manifests" in image:
            image = read(image["manifests"][0]["digest"])
        subprocess.run([*ctr, "rm", image["layers"][-1]["digest"]], check=True, capture_output=True)

    def nameless(self) -> set[str]:
        """Return the ids of images with the label that have no name."""
        filters = ["--filter", "dangling=true", "--filter", f"label={self.label}"]
        return set(self.docker("image", "ls", "--no-trunc", "--quiet", *filters).split())

    def remove(self, *names: str) -> None:
        self.docker("image", "rm", "--force", *names)

    def remove_all(self) -> None:
        """Remove all images of the namespace, and our own names for published ones."""
        listed = self.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
        tags = {image_id.removeprefix("sha256:") for image_id in self.published}
        if mine := [name for name in listed if f"{self.namespace}/" in name or name.rpartition(":")[2] in tags]:
            self.remove(*mine)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove_all()
