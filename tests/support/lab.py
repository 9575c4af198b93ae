"""A folder with an image list, a store that is served, and the commands that publish to it."""

import io
import json
import random
import signal
import socket
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from skyport_wf.publication.connection import system_user
from skyport_wf.shock.client import ShockClient
from skyport_wf.shock.node import Node
from skyport_wf.store.opening import open_store
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from skyport_wf.store.wsgi.transport import EMBEDDED_URL, embedded_session
from tests.support.commands import Command, Done, environment, run
from tests.support.docker_archives import Image, file_member, legacy, tar_of

NAME = "lab/tool:1.0"
MIB = 1 << 20


class Lab:
    """Someone's project folder, the variables of their shell, and the commands that they type there."""

    def __init__(self, folder: Path, token: str = "", **variables: str) -> None:
        self.folder = folder
        self.variables = {"SKYPORT_DATA": str(folder / "store"), "SKYPORT_RETRY_SECONDS": "60", **variables}
        if token:
            self.variables["KB_AUTH_TOKEN"] = token
        folder.mkdir(exist_ok=True)

    def write_list(self, *entries: str, shock: str = "") -> None:
        """Write an image list of these entries, each the fields of an image; `shock` are those of the Shock."""
        listed = "".join(f"  - {{{entry}}}\n" for entry in entries)
        (self.folder / "images.yaml").write_text(f"shock: {{{shock}}}\nimages:\n{listed}")

    def write(self, *layers: bytes, settings: str = "", fields: str = "", name: str = NAME) -> Image:
        """Write an image list with one image, and the archive of it."""
        image = Image(tuple(layers))
        (self.folder / "image.tar").write_bytes(tar_of(legacy(image)))
        self.write_list(f"name: '{name}', archive: image.tar, {fields}", shock=f"url: embedded, {settings}")
        return image

    def start(self, *arguments: str, **variables: str) -> Command:
        """Start `skyport-wf`; to be used in a `with` statement."""
        return Command(arguments, folder=self.folder, variables=environment(**{**self.variables, **variables}))

    def run(self, *arguments: str, **variables: str) -> Done:
        """Run `skyport-wf`, and see that it neither crashes nor shows the token."""
        with self.start(*arguments, **variables) as command:
            out, log = command.communicate()
        assert command.returncode is not None
        token = self.variables.get("KB_AUTH_TOKEN")
        assert not token or token not in out + log
        assert "Traceback" not in log, log
        return Done(command.returncode, out, log)

    def run_program(self, program: str, *arguments: str, **variables: str) -> Done:
        """Run another program of the environment."""
        return run(program, *arguments, folder=self.folder, variables=environment(**{**self.variables, **variables}))

    def do(self, *arguments: str, **variables: str) -> Any:
        """Run a command that has to succeed, and return its result."""
        return self.run(*arguments, "--json", **variables).result

    def receipt(self, path: str = "receipt.json") -> Any:
        return json.loads((self.folder / path).read_text())

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
        done = self.run("doctor", "--json", **variables)
        assert done.code in (0, 1), done.log
        return {finding["what"]: finding["detail"] for finding in json.loads(done.out)["findings"]}

    def upload(self, url: str, *options: str) -> Done:
        return self.run("upload", "save.json", "--record", "upload.json", *options, SHOCK_URL=url)

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


@contextmanager
def opened(data: Path) -> Iterator[ShockClient]:
    """Open the store in a folder, as its user does."""
    with open_store(data) as store:
        yield ShockClient(EMBEDDED_URL, session=embedded_session(ShockApp(store), remote_user=system_user()))


def make_user(data: Path, name: str) -> str:
    """Return the token of a new user of the store."""
    with open_store(data) as store:
        return add_user(store.database, name)


class ServedShock:
    """`skyport-wf serve` in a process of its own, which can be killed and started again at the same address."""

    def __init__(self, data: Path, *options: str, gateway_to: str = "") -> None:
        """Serve the store in `data`; or a gateway to the Shock at another address, which only works beside there."""
        self._data = data
        self._options = options
        self._gateway_to = gateway_to
        # A port of our own choice, as only such a one can be taken again while old connections to it are dying.
        with socket.create_server(("127.0.0.1", 0)) as unused:
            self._port = str(unused.getsockname()[1])
        self.url = f"http://127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        of = ("--shock", self._gateway_to) if self._gateway_to else ("--data", str(self._data))
        command = ("serve", "--json", "--port", self._port, *of, *self._options)
        self._process = Command(command, folder=self._data.parent, variables=environment(), quiet=True)
        lines = ""
        while not lines.endswith("}\n"):
            lines += self._process.stdout.readline()
            assert self._process.poll() is None, lines
        assert json.loads(lines)["url"] == self.url, lines

    def kill(self) -> None:
        with self._process:
            self._process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            if self._process.poll() is None:
                self._process.send_signal(signal.SIGTERM)
                assert self._process.wait() == 0


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
