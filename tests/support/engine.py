"""The docker command, and small images that an AWE task could start in."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

PROGRAMS = {"busybox": "/bin/busybox", "bash": "/bin/bash-static"}
"""Programs that need no library, as Debian's packages busybox-static and bash-static install them."""


def docker(*arguments: str) -> str:
    """Run the docker command and return what it printed."""
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


def inspect_image(name: str) -> dict[str, Any]:
    """Return what the engine says of an image."""
    return json.loads(docker("image", "inspect", name))[0]


def write_image_context(folder: Path, *, base: str = "scratch", data: str = "data") -> None:
    """Write a Dockerfile and its context: bash and busybox on `scratch`, or `data` alone on another image."""
    (folder / "data/deep").mkdir(parents=True)
    (folder / "data/deep/file").write_text(data)
    lines = [f"FROM {base}", "COPY data /data"]
    if base == "scratch":
        for name, path in PROGRAMS.items():
            shutil.copy(path, folder / name)
        lines += [f"COPY {name} /bin/{name}" for name in PROGRAMS]
        lines += ['RUN ["/bin/busybox", "--install", "-s", "/bin"]', 'CMD ["/bin/bash"]']
    (folder / "Dockerfile").write_text("\n".join(lines) + "\n")
