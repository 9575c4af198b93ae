"""The docker command, and small images that an AWE task could start in."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAMS = {"busybox": "/bin/busybox", "bash": "/bin/bash-static"}
"""Programs that need no library, as Debian's packages busybox-static and bash-static install them."""
_ATTEMPTS = 10
_GONE_MEANWHILE = re.compile(r'NotFound\b.*content digest|parent snapshot|image:? "?sha256:|unrecognized image ID')
_LARGEST_CONFIG = 1 << 20
"""Bytes; larger files of an export are layers."""


def docker(*arguments: str, **variables: str) -> str:
    """Run the docker command and return what it printed."""
    # Listing images fails on containerd's store if another test removes one at that moment; so do a build that takes it
    # for a step of its own, and removing an image that is made of the same steps.
    again = arguments[:2] in (("image", "ls"), ("image", "rm")) or arguments[0] == "build"
    for _ in range(_ATTEMPTS if again else 1):
        done = subprocess.run(
            ["docker", *arguments], env={**os.environ, **variables}, capture_output=True, text=True, check=False
        )
        if not _GONE_MEANWHILE.search(done.stderr):
            break
    assert done.returncode == 0, f"docker {arguments}: {done.stderr}"
    return done.stdout


def inspect_image(name: str) -> dict[str, Any]:
    """Return what the engine says of an image; its `Id` is the engine's own, which need not be the published one."""
    return json.loads(docker("image", "inspect", name))[0]


def config_digest(name: str, **variables: str) -> str:
    """Return the digest of the image's config, which is published as the image's id.

    It is read from an export, as Docker with containerd's image store shows it nowhere else.
    """
    environment = {**os.environ, **variables}
    with subprocess.Popen(["docker", "save", name], env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout
        with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
            small = (member for member in tar if member.isreg() and member.size < _LARGEST_CONFIG)
            documents = {member.name: file.read() for member in small if (file := tar.extractfile(member))}
        # The export ends with zeros that tarfile leaves unread; without a reader, docker would fail.
        process.stdout.read()
    assert process.returncode == 0, f"docker save {name}"
    (entry,) = json.loads(documents["manifest.json"])
    digest = Path(entry["Config"]).stem
    # Docker with containerd's store exports no blobs of an image that was pulled beside the one it was pushed from.
    config = documents.get(entry["Config"])
    assert hashlib.sha256(config).hexdigest() == digest if config is not None else uses_containerd_store(**variables)
    return f"sha256:{digest}"


def uses_containerd_store(**variables: str) -> bool:
    """Return whether the engine keeps its images in containerd's store, and calls them by their manifests' digests."""
    return "io.containerd.snapshotter.v1" in docker("info", "--format", "{{json .DriverStatus}}", **variables)


def write_image_context(
    folder: Path, *, base: str = "scratch", data: str = "data", own_layers: bool = False, label: str = ""
) -> None:
    """Write a Dockerfile and its context: bash and busybox on `scratch`, or `data` alone on another image.

    own_layers: have no layer that other images have; otherwise all share those of the programs.
    """
    (folder / "data/deep").mkdir(parents=True)
    (folder / "data/deep/file").write_text(data)
    programs = []
    if base == "scratch":
        for name, path in PROGRAMS.items():
            shutil.copy(path, folder / name)
        programs = [f"COPY {name} /bin/{name}" for name in PROGRAMS]
        programs += ['RUN ["/bin/busybox", "--install", "-s", "/bin"]', 'CMD ["/bin/bash"]']
    copy = ["COPY data /data"]
    lines = [f"FROM {base}", *(copy + programs if own_layers else programs + copy)]
    lines += [f"LABEL {label}"] if label else []
    (folder / "Dockerfile").write_text("\n".join(lines) + "\n")


@contextmanager
def own_namespace() -> Iterator[str]:
    """Yield the first part of image names that nobody else uses; remove the images of such names afterwards."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    listed = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
    if mine := [image for image in listed if image.startswith(f"{name}/")]:
        docker("image", "rm", "--force", *mine)


@contextmanager
def shared_layers(folder: Path, name: str, lock: Path) -> Iterator[None]:
    """Keep the layers that images share in the engine.

    Whoever removes an image removes with it the layers under it that no image has, and so could take them from a
    build that is just beginning.

    lock: a file that all the processes of a test run have. They build one after the other, or there would be several
        images of a step, and the classic builder takes the newest, which is now one and now another.
    """
    write_image_context(folder)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        docker("build", "--quiet", "--network=host", "--tag", name, str(folder), DOCKER_BUILDKIT="0")
    yield
