"""A podman of the tests' own: its images, its settings and its socket in a folder that vanishes with it."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

from tests.support.engines import podman_program
from tests.support.timing import PATIENCE

# The host's network, and low limits: both work in containers and sandboxes too.
SETTINGS = """\
[containers]
netns = "host"
log_driver = "k8s-file"
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
"""


class PodmanService:
    """`podman system service`, which can be killed and started again. Use it in a `with` statement."""

    def __init__(self) -> None:
        self._program = podman_program()
        if not shutil.which(self._program):
            pytest.fail("no podman here: install Debian's podman; `make test` does")
        # Not in pytest's folder: a socket's path may have 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="podman-"))
        self.address = f"unix://{self.folder}/sock"
        self._write_settings()
        self._driver = self._choose_driver()
        self._process: subprocess.Popen[bytes]

    def podman(self, *arguments: str, check: bool = True, stdin: str = "") -> str:
        """Run podman's own command on the service's images, and return what it printed."""
        done = subprocess.run(
            [*self._command(), *arguments], env=self._environment(), capture_output=True, text=True, check=False,
            input=stdin,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip()

    def inspect(self, name: str) -> str:
        """Return the id of an image, and of no other that podman would find under a part of the name."""
        return "sha256:" + self.podman("image", "inspect", "--format", "{{.Id}}", name)

    def start(self) -> None:
        self._process = subprocess.Popen(
            [*self._command(), "system", "service", "--time=0", self.address], env=self._environment(),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=(self.folder / "log").open("ab"),
            start_new_session=True,
        )  # fmt: skip
        limit = time.monotonic() + PATIENCE
        while not self._answers():
            log = (self.folder / "log").read_text()
            assert self._process.poll() is None, log
            assert time.monotonic() < limit, log

    def kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.podman("rm", "--all", "--force", "--time", "0", check=False)
        os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait()
        self._unmount()
        # What podman has started may still be removing files of its own.
        shutil.rmtree(self.folder, onerror=_fail_unless_gone)
        # Not by `glob`, which fails on what another podman removes meanwhile.
        groups = [group for group, _, _ in os.walk("/sys/fs/cgroup") if "/libpod_parent" in group]
        for group in sorted(groups, reverse=True):
            with suppress(OSError):  # another podman's
                Path(group).rmdir()

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as engine:
            try:
                engine.connect(self.address.removeprefix("unix://"))
            except OSError:
                return False
            engine.sendall(b"GET /_ping HTTP/1.0\r\nHost: podman\r\n\r\n")
            return b" 200 " in engine.recv(4096)

    def _write_settings(self) -> None:
        (self.folder / "containers.conf").write_text(SETTINGS)
        (self.folder / "registries.conf").write_text("unqualified-search-registries = []\n")
        policy = self.folder / ".config/containers/policy.json"
        policy.parent.mkdir(parents=True)
        policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        (self.folder / "temporary").mkdir()

    def _choose_driver(self) -> str:
        """Return the fast storage driver where it works: not on top of another overlay, as in containers."""
        self._driver = "overlay"
        done = subprocess.run([*self._command(), "info"], env=self._environment(), capture_output=True, check=False)
        return "vfs" if done.returncode else "overlay"

    def _command(self) -> list[str]:
        folders = {"root": "root", "runroot": "run", "tmpdir": "state"}
        places = [f"--{option}={self.folder / name}" for option, name in folders.items()]
        return [self._program, *places, "--storage-driver", self._driver]

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CONTAINER", "DOCKER"))}
        return {
            **kept,
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(self.folder / "registries.conf"),
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder / "temporary"),
        }

    def _unmount(self) -> None:
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for mount in reversed(mounts):
            if mount.startswith(f"{self.folder}/"):
                subprocess.run(["umount", "--lazy", mount], check=False)


def _fail_unless_gone(_: object, path: str, error: tuple[type[BaseException], BaseException, object]) -> None:
    if not isinstance(error[1], FileNotFoundError):
        raise error[1]
