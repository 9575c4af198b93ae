"""A folder with an image list, a store that is served, and the commands that publish to it."""

import io
import json
import os
import random
import socket
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

from skyport_wf.shock.client import ShockClient
from skyport_wf.shock.node import Node
from skyport_wf.store.opening import open_store
from skyport_wf.store.users import add_user
from tests.support.commands import SKYPORT
from tests.support.docker_archives import Image, file_member, legacy, tar_of

NAME = "lab/tool:1.0"
MIB = 1 << 20


class Done(NamedTuple):
    """How a command ended."""

    code: int
    log: str


class Lab:
    """Someone's project folder, with an archive to publish."""

    def __init__(self, folder: Path, token: str) -> None:
        self.folder = folder
        self.variables = {"KB_AUTH_TOKEN": token, "SKYPORT_RETRY_SECONDS": "60"}
        folder.mkdir(exist_ok=True)

    def write(self, *layers: bytes, settings: str = "", fields: str = "", name: str = NAME) -> Image:
        """Write an image list with one image, and the archive of it."""
        image = Image(tuple(layers))
        (self.folder / "image.tar").write_bytes(tar_of(legacy(image)))
        (self.folder / "images.yaml").write_text(
            f"shock: {{url: embedded, {settings}}}\nimages:\n  - {{name: '{name}', archive: image.tar, {fields}}}\n"
        )
        return image

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [SKYPORT, *arguments], cwd=self.folder, env={**os.environ, **self.variables, **variables},
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, *arguments: str, **variables: str) -> Done:
        process = self.start(*arguments, **variables)
        _, log = process.communicate(timeout=300)
        token = self.variables["KB_AUTH_TOKEN"]
        assert not token or token not in log
        assert "Traceback" not in log, log
        return Done(process.returncode, log)

    def save(self, url: str) -> Any:
        """Build and save the image; return the save record's digests."""
        for command in (
            ["build", NAME, "--record", "build.json"],
            ["save", "build.json", "--archive", "image.tar.gz", "--record", "save.json"],
        ):
            done = self.run(*command, SHOCK_URL=url)
            assert done.code == 0, done.log
        return json.loads((self.folder / "save.json").read_text())["saved"]["digests"]

    def findings(self, **variables: str) -> dict[str, str]:
        """Return what `doctor` says of each thing."""
        done = subprocess.run(
            [SKYPORT, "doctor", "--json"], cwd=self.folder, env={**os.environ, **self.variables, **variables},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode in (0, 1), done.stderr
        return {finding["what"]: finding["detail"] for finding in json.loads(done.stdout)["findings"]}

    def upload(self, url: str) -> Done:
        return self.run("upload", "save.json", "--record", "upload.json", SHOCK_URL=url)

    def register(self, url: str) -> Done:
        return self.run("register", "upload.json", "--record", "receipt.json", SHOCK_URL=url)


def big_layer(size: int, seed: int = 1) -> bytes:
    """Return a layer of which half does not compress at all, and half to nothing."""
    noise = random.Random(seed).randbytes(size // 2)
    return tar_of([file_member("noise", noise), file_member("zeros", bytes(size - size // 2))])


def incompressible_layer(size: int, seed: int = 1) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("noise")
        info.size = size
        tar.addfile(info, io.BytesIO(random.Random(seed).randbytes(size)))
    return out.getvalue()


def make_user(data: Path, name: str) -> str:
    """Return the token of a new user of the store."""
    with open_store(data) as store:
        return add_user(store.database, name)


class ServedShock:
    """`skyport-wf serve` in a process of its own, which can be killed and started again at the same address."""

    def __init__(self, data: Path, *options: str) -> None:
        self._data = data
        self._options = options
        self._process: subprocess.Popen[str]
        # A port of our own choice, as only such a one can be taken again while old connections to it are dying.
        with socket.create_server(("127.0.0.1", 0)) as unused:
            self._port = str(unused.getsockname()[1])
        self.url = f"http://127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        command = [SKYPORT, "serve", "--json", "--port", self._port, "--data", str(self._data), *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout
        lines = ""
        while not lines.endswith("}\n"):
            lines += self._process.stdout.readline()
            assert self._process.poll() is None, lines
        assert json.loads(lines)["url"] == self.url, lines

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout
        self._process.stdout.close()


@contextmanager
def served(folder: Path, *options: str) -> Iterator[tuple[ServedShock, Lab]]:
    """Serve an empty store; yield the server, and a lab of one of its users."""
    token = make_user(folder / "store", "alice")
    with ServedShock(folder / "store", *options) as server:
        yield server, Lab(folder / "lab", token)


def the_published_node(url: str, image: Image, digests: Any, name: str = NAME) -> Node:
    """Return the only node of the name, and see that it is the image, whole, to stay, and for everyone."""
    client = ShockClient(url)
    (node,) = client.query({"type": "dockerimage", "name": name})
    assert not node.expires
    assert (node.attributes or {})["id"] == image.image_id
    assert (node.file.size, node.file.checksum.md5) == (digests["size"], digests["md5"])
    return node
